"""The demo on a real cluster: `python -m deepsynth_demo` makes one, installs DeepSynth and applies examples/cluster.

The cluster stays up afterwards, for looking around: `make cluster-down` removes it.
"""

import sys
import time
from pathlib import Path

from deepsynth_cluster.clusters.bare import BareCluster
from deepsynth_cluster.clusters.selection import NAME, NODES
from deepsynth_cluster.programs.build import program
from deepsynth_demo.chart import build_values, forget_users, install, prepare_users
from deepsynth_host.errors import ToolError
from deepsynth_images.build import build_image
from deepsynth_images.recipe import CPU, GPU, ROOT

EXAMPLES = ROOT / "examples/cluster"
NAMESPACE = "demo"
SHOWN = "datasetgenerations,trainingruns"
ENDED = {"Complete", "Failed"}
POLL_SECONDS = 5
MAX_SECONDS = 1800


def main() -> int:
    """Returns the exit code."""
    began = time.monotonic()
    try:
        cluster = BareCluster(NAME)
        volume = _install(cluster)
        cluster.kubectl("--namespace", NAMESPACE, "apply", "--filename", str(EXAMPLES))
        state = _follow(cluster)
    except ToolError as error:
        print(f"demo: {error}", file=sys.stderr)
        return 1
    print(f"\n{time.monotonic() - began:.0f} s in all")
    if state != "Complete":
        print(f"demo: read-docstrings is {state}: kubectl -n {NAMESPACE} describe trainingrun", file=sys.stderr)
        return 1
    print(f"model: {volume / 'read-docstrings/model'}")
    print(f"look around: export KUBECONFIG={cluster.kubeconfig}")
    print(f"  {program('kubectl')} --namespace {NAMESPACE} get {SHOWN}")
    print("make cluster-down removes the cluster, the model included")
    return 0


def _install(cluster: BareCluster) -> Path:
    """Returns the folder of the users' volume."""
    images = [build_image(CPU), build_image(GPU)]
    cluster.up(NODES)
    for image in images:
        cluster.load_image(image.path)
    cluster.set_gpus(1)
    install(cluster, build_values(images[0].reference, images[1].reference))
    forget_users(cluster, NAMESPACE)
    return prepare_users(cluster, NAMESPACE)


def _follow(cluster: BareCluster) -> str:
    """Print what kubectl shows whenever it changes, until the run has ended. Returns its state."""
    shown, end = "", time.monotonic() + MAX_SECONDS
    get = ("--namespace", NAMESPACE, "get")
    while True:
        state = cluster.kubectl(*get, "trainingrun", "read-docstrings", "-o", "jsonpath={.status.state}").stdout
        table = cluster.kubectl(*get, SHOWN).stdout
        if _without_age(table) != _without_age(shown):
            print(f"$ kubectl --namespace {NAMESPACE} get {SHOWN}\n{table}", flush=True)
        if state in ENDED or time.monotonic() > end:
            return state
        shown = table
        time.sleep(POLL_SECONDS)


def _without_age(table: str) -> list[str]:
    return [" ".join(line.split()[:-1]) for line in table.splitlines()]


if __name__ == "__main__":
    sys.exit(main())
