"""A real Kubernetes cluster on this machine, without Docker: `python -m deepsynth_cluster up|load|down|status`."""

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from deepsynth_cluster.clusters.bare import BareCluster
from deepsynth_cluster.clusters.selection import NAME, NODES
from deepsynth_cluster.programs.build import program
from deepsynth_host.errors import ToolError

INSTALL = """
helm upgrade --install deepsynth charts/deepsynth --namespace deepsynth --create-namespace \\
  --set images.registry=localhost,images.pullPolicy=Never \\
  --set images.operator.repository=deepsynth-cpu,images.operator.tag=dev \\
  --set images.renderer.repository=deepsynth-cpu,images.renderer.tag=dev \\
  --set images.trainer.repository=deepsynth-gpu,images.trainer.tag=dev"""


def main(command: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m deepsynth_cluster", description=__doc__)
    parser.add_argument("action", choices=("up", "load", "down", "status"))
    parser.add_argument(
        "images", nargs="*", type=Path, help="load: archives or OCI layouts, as printed by `make images`"
    )
    parser.add_argument("--name", default=NAME, help="name of the cluster; several may run side by side")
    parser.add_argument("--nodes", type=int, default=NODES, help="number of worker nodes; 0 is a control plane alone")
    arguments = parser.parse_args(command)
    if arguments.images and arguments.action != "load":
        parser.error(f"{arguments.action} takes no images; name a cluster with --name")
    cluster = BareCluster(arguments.name)
    try:
        if arguments.action == "up":
            _up(cluster, arguments.nodes)
        elif arguments.action == "load":
            for image in arguments.images:
                cluster.load_image(image)
                print(f"{image} is on every node of cluster {cluster.name}")
            print(INSTALL)
        elif arguments.action == "down":
            cluster.down()
            print(f"cluster {cluster.name} is gone")
        else:
            _status(cluster)
    except ToolError as error:
        sys.exit(str(error))


def _up(cluster: BareCluster, nodes: int) -> None:
    began = time.monotonic()
    cluster.up(nodes)
    print(f"cluster {cluster.name} is up ({time.monotonic() - began:.1f} s), files and logs are in {cluster.folder}")
    print(f"  export KUBECONFIG={cluster.kubeconfig}")
    print(f"  export PATH={program('kubectl').parent}:{program('helm').parent}:$PATH")


def _status(cluster: BareCluster) -> None:
    if not cluster.is_healthy:
        sys.exit(f"cluster {cluster.name} is not up, or not all its nodes are Ready")
    print(f"cluster {cluster.name} is up: {len(cluster.nodes)} nodes, KUBECONFIG={cluster.kubeconfig}")


if __name__ == "__main__":
    main()
