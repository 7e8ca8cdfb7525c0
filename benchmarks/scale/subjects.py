"""Who is measured: DeepSynth, or a peer that gets the same runs on the same control plane.

Each has a namespace of its own, so that all Jobs and pods there are its own.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import Final, Protocol

from benchmarks.scale.api_client import Manifest, build_path

from deepsynth_api.kinds import KINDS
from deepsynth_api.labels import OWNER_NAME_ANNOTATION
from deepsynth_cluster.clusters.bare import BareCluster
from deepsynth_cluster.clusters.trainer import RUNTIME, KubeflowTrainer
from e2e.support.resources import build_run

NAMESPACE: Final = "ml"
PEER_NAMESPACE: Final = "peer"
TRAIN_JOBS: Final = f"/apis/trainer.kubeflow.org/v1alpha1/namespaces/{PEER_NAMESPACE}/trainjobs"


class Controller(Protocol):
    """The processes of a controller while it runs."""

    @property
    def pids(self) -> Sequence[int]: ...

    def read_metrics(self) -> str:
        """DeepSynth's metrics, or nothing."""

    def count_requests(self) -> Counter[str]:
        """Requests to the API server by the controller's own count, if it has one."""


@dataclass(frozen=True)
class Subject:
    """runs: the path of its runs. watched: the paths of all that has states, runs included."""

    name: str
    namespace: str
    runs: str
    watched: Sequence[str]
    run: Callable[[], AbstractContextManager[Controller]]
    """Its controller, ready until the block ends."""
    build_run: Callable[[str, int], Manifest]
    """A run of this name with N nodes."""
    read_state: Callable[[Manifest], str]
    read_owner: Callable[[Manifest], str]
    """The name of the resource that a Job belongs to."""


def build_deepsynth(run: Callable[[], AbstractContextManager[Controller]]) -> Subject:
    return Subject(
        "DeepSynth",
        NAMESPACE,
        build_path("TrainingRun", NAMESPACE),
        [build_path(kind, NAMESPACE) for kind in KINDS],
        run,
        lambda name, nodes: build_run(name, numNodes=nodes),
        lambda item: str(item.get("status", {}).get("state", "")),
        lambda job: str(job["metadata"]["annotations"][OWNER_NAME_ANNOTATION]),
    )


def build_trainer(cluster: BareCluster) -> Subject:
    """Kubeflow Trainer with JobSet, as their charts configure them."""
    return Subject(
        "Trainer + JobSet",
        PEER_NAMESPACE,
        TRAIN_JOBS,
        [TRAIN_JOBS],
        lambda: _run_trainer(cluster),
        _build_train_job,
        read_train_job_state,
        lambda job: str(job["metadata"]["labels"]["jobset.sigs.k8s.io/jobset-name"]),
    )


def read_train_job_state(item: Manifest) -> str:
    """The state that a user can see in a TrainJob, in our words."""
    status = item.get("status", {})
    ended = [found["type"] for found in status.get("conditions", []) if found["status"] == "True"]
    jobs = status.get("jobsStatus", [])
    if ended:
        return str(ended[-1])
    if any(job["ready"] for job in jobs):
        return "Running"
    return "Starting" if any(job["active"] for job in jobs) else ""


@dataclass(frozen=True)
class _TrainerProcesses:
    trainer: KubeflowTrainer

    @property
    def pids(self) -> Sequence[int]:
        return self.trainer.pids

    def read_metrics(self) -> str:
        return ""

    def count_requests(self) -> Counter[str]:
        return Counter()


@contextmanager
def _run_trainer(cluster: BareCluster) -> Iterator[Controller]:
    cluster.kubectl("create", "namespace", PEER_NAMESPACE, check=False)  # exists the second time
    trainer = KubeflowTrainer(cluster)
    with trainer.run():
        yield _TrainerProcesses(trainer)


def _build_train_job(name: str, nodes: int) -> Manifest:
    return {
        "apiVersion": "trainer.kubeflow.org/v1alpha1",
        "kind": "TrainJob",
        "metadata": {"name": name},
        "spec": {
            "runtimeRef": {"name": RUNTIME},
            "trainer": {"image": "none", "command": ["train"], "numNodes": nodes},
        },
    }
