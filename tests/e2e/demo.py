"""The main job on a real cluster: `python -m e2e.demo` brings one up, installs DeepSynth and applies examples/cluster.

The cluster stays up afterwards, for looking around: `make cluster-down` removes it.
"""

import sys
import time
from pathlib import Path

from deepsynth_cluster.bare import BareCluster
from deepsynth_cluster.cache import ClusterError
from deepsynth_cluster.programs import program
from deepsynth_cluster.selection import NAME, NODES
from deepsynth_images.build import build_image
from deepsynth_images.errors import ImageError
from deepsynth_images.recipe import CPU, GPU
from e2e.api import Api
from e2e.installation import Installation, build_values, forget_users, install, prepare_users
from e2e.lives import ENDED

EXAMPLES = Path(__file__).parents[2] / "examples/cluster"
NAMESPACE = "demo"
SHOWN = "datasetgenerations,trainingruns"
LOOK_SECONDS = 5
MOST_SECONDS = 1800


def main() -> int:
    """Returns the exit code."""
    began = time.monotonic()
    try:
        installation = _install()
        installation.cluster.kubectl("--namespace", NAMESPACE, "apply", "--filename", str(EXAMPLES))
        state = _follow(installation)
    except (ClusterError, ImageError) as error:
        print(f"demo: {error}", file=sys.stderr)
        return 1
    print(f"\n{time.monotonic() - began:.0f} s in all")
    if state != "Complete":
        print(
            f"demo: read-docstrings is {state}: kubectl --namespace {NAMESPACE} describe trainingrun", file=sys.stderr
        )
        return 1
    print(f"model: {installation.volume / 'read-docstrings/model'}")
    print(f"look around: export KUBECONFIG={installation.cluster.kubeconfig}")
    print(f"  {program('kubectl')} --namespace {NAMESPACE} get {SHOWN}")
    print("make cluster-down removes the cluster, the model included")
    return 0


def _install() -> Installation:
    images = [build_image(CPU), build_image(GPU)]
    cluster = BareCluster(NAME)
    cluster.up(NODES)
    for image in images:
        cluster.load_image(image.path)
    cluster.set_gpus(1)
    install(cluster, build_values(images[0].reference, images[1].reference))
    forget_users(cluster, NAMESPACE)
    return prepare_users(cluster, NAMESPACE)


def _follow(installation: Installation) -> str:
    """Print what kubectl shows whenever it changes, until the run has ended. Returns its state."""
    shown, end = "", time.monotonic() + MOST_SECONDS
    while True:
        state = _get_state(installation.api)
        table = installation.cluster.kubectl("--namespace", NAMESPACE, "get", SHOWN).stdout
        if _without_age(table) != _without_age(shown):
            print(f"$ kubectl --namespace {NAMESPACE} get {SHOWN}\n{table}", flush=True)
        if state in ENDED or time.monotonic() > end:
            return state
        shown = table
        time.sleep(LOOK_SECONDS)


def _get_state(api: Api) -> str:
    return api.get_run("read-docstrings").status.state or ""


def _without_age(table: str) -> list[str]:
    return [" ".join(line.split()[:-1]) for line in table.splitlines()]


if __name__ == "__main__":
    sys.exit(main())
