"""After any kill, the run ends with the weights of an undisturbed one, and its status says what happened."""

import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from deepsynth_api.v1alpha1 import TrainingRun
from deepsynth_cluster.clusters.interface import Faults
from e2e.support.installation import Installation
from e2e.support.kills import (
    Scene,
    delete_job,
    delete_pod,
    evict_pod,
    kill_operator,
    kill_worker,
    lose_node,
    suspend_and_resume,
)
from e2e.support.lives import RunLife, get_ended
from e2e.support.resources import build_run


@dataclass(frozen=True)
class Kill:
    act: Callable[[Scene], None]
    outcome: str
    reasons: set[str]
    failures: int = 0


SMOKE = {"a deleted pod"}
"""Runs in CI; `make e2e` runs all. Workers are killed in tests/integration/train_resume too."""
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
    node = lose_node(scene)
    (ended,) = get_ended(scene.life.run)
    assert (ended.outcome, ended.reason, ended.node) == ("Disrupted", "NodeLost", node)
    assert scene.life.wait_for_model() == undisturbed
    assert scene.life.run.status.failures == 0


def test_a_run_survives_kills_of_the_operator_at_random_moments(begin: Callable[..., Scene], undisturbed: str) -> None:
    scene = begin("kill-operator")
    moments = random.Random(4)
    for _ in range(10):
        time.sleep(moments.uniform(0.5, 4))
        kill_operator(scene)
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
