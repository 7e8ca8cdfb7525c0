"""What may happen to a run in real containers, on a cluster that is ours to break."""

import os
import signal
from dataclasses import dataclass
from pathlib import Path

from kubernetes.client import ApiException

from deepsynth_api.v1alpha1 import TrainingRun
from deepsynth_cluster.clusters.interface import Cluster, Faults
from deepsynth_demo.chart import SYSTEM_NAMESPACE
from e2e.support.api import wait_until
from e2e.support.installation import Installation
from e2e.support.lives import START_SECONDS, RunLife, get_ended


@dataclass(frozen=True)
class Scene:
    installation: Installation
    faults: Faults
    life: RunLife

    @property
    def cluster(self) -> Cluster:
        return self.installation.cluster


def delete_pod(scene: Scene) -> None:
    scene.life.api.delete_pod(scene.life.get_pod(1))


def evict_pod(scene: Scene) -> None:
    scene.life.api.evict_pod(scene.life.get_pod(1))


def delete_job(scene: Scene) -> None:
    """A Job that was deleted before may still be the last one on status: its pods save while they end."""

    def delete(run: TrainingRun) -> bool:
        try:
            scene.life.api.delete_job(run.status.attempts[-1].job)
        except ApiException as error:
            if error.status != 404:
                raise
            return False
        return True

    scene.life.wait_for("a Job to delete", delete)


def kill_operator(scene: Scene) -> None:
    scene.cluster.kubectl("-n", SYSTEM_NAMESPACE, "delete", "pod", "--all", "--force", "--grace-period=0")


def lose_node(scene: Scene) -> str:
    """Stop the node of rank 1, and start it again once the attempt has ended. Its name."""
    node, attempts = scene.life.get_node(1), len(get_ended(scene.life.run))
    scene.faults.stop_node(node)
    try:
        scene.life.wait_for("the attempt to end", lambda run: len(get_ended(run)) > attempts)
    finally:
        scene.faults.start_node(node)
    return node


def suspend_and_resume(scene: Scene) -> None:
    scene.life.api.patch_spec("TrainingRun", scene.life.name, suspend=True)
    scene.life.wait_for_state("Suspended")
    nodes = range(scene.life.run.spec.num_nodes)
    scene.life.wait_for("no pod runs", lambda _: not any(scene.life.api.find_pod(scene.life.uid, n) for n in nodes))
    scene.life.api.patch_spec("TrainingRun", scene.life.name, suspend=False)


def kill_worker(scene: Scene) -> None:
    """SIGKILL the training process itself, not the launcher that is the container's first process."""
    pod = scene.life.get_pod(1)

    def find_workers() -> list[int]:
        processes = scene.faults.container_pids(scene.life.api.namespace, pod)
        return [pid for pid in processes if b"deepsynth_train.worker" in read_command(pid)]

    workers = wait_until(f"a worker in {pod}", find_workers, START_SECONDS)
    assert workers
    os.kill(min(workers), signal.SIGKILL)  # the others are its children


def read_command(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:  # it ended
        return b""
