"""After any kill, the run ends with the weights of an undisturbed one, and its status says what happened."""

import os
import random
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from deepsynth_api.v1alpha1 import TrainingRun
from deepsynth_cluster.clusters.interface import Cluster, Faults
from deepsynth_demo.chart import SYSTEM_NAMESPACE
from e2e.support.installation import Installation
from e2e.support.lives import RunLife, get_ended
from e2e.support.resources import build_run


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
    scene.life.api.delete_job(scene.life.run.status.attempts[-1].job)


def suspend_and_resume(scene: Scene) -> None:
    scene.life.api.patch_spec("TrainingRun", scene.life.name, suspend=True)
    scene.life.wait_for_state("Suspended")
    scene.life.wait_for("no pod runs", lambda _: not scene.life.api.list_pods(scene.life.uid))
    scene.life.api.patch_spec("TrainingRun", scene.life.name, suspend=False)


def kill_worker(scene: Scene) -> None:
    """SIGKILL the training process itself, not the launcher that is the container's first process."""
    processes = scene.faults.container_pids(scene.life.api.namespace, scene.life.get_pod(1))
    workers = [pid for pid in processes if b"deepsynth_train.worker" in read_command(pid)]
    os.kill(min(workers), signal.SIGKILL)  # the others are its children


def read_command(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:  # it ended
        return b""


@dataclass(frozen=True)
class Kill:
    act: Callable[[Scene], None]
    outcome: str
    reasons: set[str]
    failures: int = 0


SMOKE = {"a deleted pod", "a killed worker"}
"""One kill of each kind runs in CI; `make e2e` runs all."""
KILLS = {
    "a deleted pod": Kill(delete_pod, "Disrupted", {"PodDeleted", "PeerLost", "Stopped"}),
    "an evicted pod": Kill(evict_pod, "Disrupted", {"Evicted"}),
    "a killed worker": Kill(kill_worker, "Failed", {"WorkerKilled"}, failures=1),
    "a deleted job": Kill(delete_job, "Disrupted", {"JobDeleted"}),
    "a suspension": Kill(suspend_and_resume, "Suspended", {"SuspendedByUser"}),
}


@pytest.fixture
def begin(installation: Installation, faults: Faults) -> Callable[..., Scene]:
    def begin(name: str, **spec: Any) -> Scene:
        life = RunLife.begin(installation.api, installation.volume, build_run(name, **spec))
        return Scene(installation, faults, life)

    return begin


@pytest.mark.parametrize(
    "kill",
    [pytest.param(kill, id=name, marks=[] if name in SMOKE else [pytest.mark.slow]) for name, kill in KILLS.items()],
)
def test_a_run_survives_and_its_model_is_the_undisturbed_one(
    kill: Kill, begin: Callable[..., Scene], undisturbed: str, request: pytest.FixtureRequest
) -> None:
    scene = begin(kill.act.__name__.replace("_", "-"), backoffLimit=1)
    scene.life.wait_for_saved_step(10)
    kill.act(scene)
    model = scene.life.wait_for_model()
    run = scene.life.run
    (ended,) = get_ended(run)
    assert (ended.outcome, ended.reason in kill.reasons) == (kill.outcome, True), ended
    assert run.status.failures == kill.failures
    assert (run.status.attempts[-1].resumed_from_step or 0) >= 10
    assert model == undisturbed
    if kill.outcome == "Failed":
        assert (ended.rank, ended.exit_code) == (1, 137)
        assert ended.node in scene.cluster.nodes


def test_a_run_survives_the_loss_of_a_node(begin: Callable[..., Scene], undisturbed: str) -> None:
    """Kubelet and containers stop, the Node object stays. Once the node is back, the run continues."""
    scene = begin("lose-node")
    scene.life.wait_for_saved_step(10)
    node = scene.life.get_node(1)
    scene.faults.stop_node(node)
    try:
        run = scene.life.wait_for("the attempt to end", lambda run: bool(get_ended(run)))
    finally:
        scene.faults.start_node(node)
    (ended,) = get_ended(run)
    assert (ended.outcome, ended.reason, ended.node) == ("Disrupted", "NodeLost", node)
    assert scene.life.wait_for_model() == undisturbed
    assert scene.life.run.status.failures == 0


def test_a_run_survives_kills_of_the_operator_at_random_moments(begin: Callable[..., Scene], undisturbed: str) -> None:
    scene = begin("kill-operator")
    moments = random.Random(4)
    for _ in range(10):
        time.sleep(moments.uniform(0.5, 4))
        scene.cluster.kubectl("-n", SYSTEM_NAMESPACE, "delete", "pod", "--all", "--force", "--grace-period=0")
    assert scene.life.wait_for_model() == undisturbed
    assert [attempt.outcome for attempt in scene.life.run.status.attempts] == ["Succeeded"]
    jobs = scene.life.api.list_jobs(scene.life.uid)
    assert len(jobs) == 1, "no Job is created twice"


def test_a_run_survives_a_restart_of_the_api_server(begin: Callable[..., Scene], undisturbed: str) -> None:
    scene = begin("restart-api-server")
    scene.life.wait_for_saved_step(5)
    scene.faults.restart_api_server()
    assert scene.life.wait_for_model() == undisturbed
    assert_no_failure(scene.life.run)


@pytest.mark.slow
def test_a_run_survives_half_a_minute_without_etcd(begin: Callable[..., Scene], undisturbed: str) -> None:
    scene = begin("stop-etcd")
    scene.life.wait_for_saved_step(5)
    scene.faults.stop_etcd()
    try:
        time.sleep(30)
    finally:
        scene.faults.start_etcd()
    assert scene.life.wait_for_model() == undisturbed
    assert_no_failure(scene.life.run)


def assert_no_failure(run: TrainingRun) -> None:
    """Pods work without an API server, but a control plane that saw no leases for a while may take a node for lost."""
    *earlier, last = [attempt.outcome for attempt in run.status.attempts]
    assert last == "Succeeded"
    assert set(earlier) <= {"Disrupted"}
    assert run.status.failures == 0
