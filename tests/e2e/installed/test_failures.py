"""What fails says why, on the resource and as an Event, within seconds. What no retry can fix is not retried."""

from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import pytest

from deepsynth_api.conditions import ConditionType, find_condition
from deepsynth_api.v1alpha1 import Condition, TrainingRun
from e2e.support.api import wait_until
from e2e.support.histories import History, record_history
from e2e.support.installation import Installation
from e2e.support.lives import RunLife, describe, get_ended
from e2e.support.resources import PAGES, build_generation, build_run

SECONDS = 120
"""For a pod to be created and looked at by its node, and for the controller to report it."""
FAIL_ON_RANK_1 = """\
import os

if os.environ.get("RANK") == "1":
    from torch.optim.optimizer import register_optimizer_step_pre_hook

    def fail(*_):
        raise ValueError("this optimizer cannot be run on rank 1")

    register_optimizer_step_pre_hook(fail)
"""
FAULT = {"name": "fault", "configMap": {"name": "fails-on-rank-1"}, "mountPath": "/opt/fault"}
RUNS: dict[str, dict[str, Any]] = {
    "fails-on-rank-1": {
        "template": {"env": [{"name": "PYTHONPATH", "value": "/opt/fault"}], "volumes": [FAULT]},
        "backoffLimit": 1,
    },
    "bad-configuration": {"model": {"uri": "pvc://deepsynth/no-such-model"}, "backoffLimit": 3},
    "missing-secret": {
        "datasets": [{"name": "pages", "uri": PAGES, "secretRef": {"name": "nowhere"}}],
        "startTimeoutSeconds": 60,
    },
    "late-secret": {"datasets": [{"name": "pages", "uri": PAGES, "secretRef": {"name": "late"}}], "maxSteps": 2},
    "no-image": {"image": "127.0.0.1:9/gpu:1", "startTimeoutSeconds": 60, "backoffLimit": 0},
    "no-place": {"template": {"nodeSelector": {"no-such": "node"}}},
}


@dataclass(frozen=True)
class Failing:
    """A run of this file, with all that its status has said: the tests look at it later."""

    life: RunLife
    history: History

    def wait_for_reason(self, reason: str) -> str:
        """Message of the condition Complete once it has had this reason. An Event reports the same."""
        condition = wait_until(reason, lambda: self._find(reason), SECONDS, lambda: describe(self.life.run))
        assert condition is not None
        wait_until(f"Event {reason}", lambda: reason in self.life.get_event_reasons(), SECONDS)
        return condition.message

    def wait_for_failure(self) -> Condition:
        run = self.life.wait_for_end()
        assert run.status.state == "Failed"
        condition = find_condition(run.status.conditions, ConditionType.FAILED)
        assert condition is not None
        return condition

    def _find(self, reason: str) -> Condition | None:
        runs = [TrainingRun.model_validate(version) for version in self.history.versions]
        conditions = [find_condition(run.status.conditions, ConditionType.COMPLETE) for run in runs]
        return next((found for found in conditions if found is not None and found.reason == reason), None)


@pytest.fixture(scope="module")
def failing(installation: Installation) -> Iterator[Mapping[str, Failing]]:
    """All runs at once, on GPUs for all of them: most spend their time waiting."""
    installation.restore()
    installation.cluster.set_gpus(len(RUNS), installation.cluster.nodes)
    installation.apply_config_map("fails-on-rank-1", {"sitecustomize.py": FAIL_ON_RANK_1})
    with ExitStack() as stack:
        histories = {name: stack.enter_context(record_history(installation.api, "TrainingRun", name)) for name in RUNS}
        yield {name: Failing(begin(installation, name, **RUNS[name]), histories[name]) for name in RUNS}
    installation.cluster.set_gpus(1, installation.cluster.nodes)


@pytest.fixture(autouse=True)
def restored() -> None:
    """These runs live side by side, so none is deleted between two tests."""


def begin(installation: Installation, name: str, **spec: Any) -> RunLife:
    return RunLife.begin(installation.api, installation.volume, build_run(name, **spec))


def test_a_missing_secret_is_reported_at_once_and_fails_the_run(failing: Mapping[str, Failing]) -> None:
    run = failing["missing-secret"]
    assert 'secret "nowhere" not found' in run.wait_for_reason("CreateContainerConfigError")
    assert 'secret "nowhere" not found' in run.wait_for_failure().message
    assert len(run.life.run.status.attempts) == 1


def test_an_image_that_cannot_be_pulled_is_reported_at_once(failing: Mapping[str, Failing]) -> None:
    run = failing["no-image"]
    assert "127.0.0.1:9/gpu:1" in run.wait_for_reason("ImagePullBackOff")
    assert "127.0.0.1:9/gpu:1" in run.wait_for_failure().message


def test_pods_that_fit_on_no_node_are_reported_at_once(installation: Installation, failing: Mapping[str, Any]) -> None:
    assert "didn't match Pod's node affinity/selector" in failing["no-place"].wait_for_reason("Unschedulable")
    installation.api.delete("TrainingRun", "no-place")


def test_a_secret_that_is_created_late_is_no_failure(installation: Installation, failing: Mapping[str, Any]) -> None:
    run = failing["late-secret"]
    run.wait_for_reason("CreateContainerConfigError")
    installation.cluster.kubectl(
        "-n", installation.api.namespace, "create", "secret", "generic", "late", "--from-literal=UNUSED=1"
    )
    run.life.wait_for_model()
    assert len(run.life.run.status.attempts) == 1


def test_a_bad_configuration_is_not_retried(failing: Mapping[str, Failing]) -> None:
    run = failing["bad-configuration"]
    failed = run.wait_for_failure()
    (attempt,) = run.life.run.status.attempts
    assert attempt.exit_code == 64
    assert "no-such-model" in failed.message


def test_an_exception_on_rank_1_is_reported_with_rank_and_node_and_the_retries_end(
    installation: Installation, failing: Mapping[str, Failing]
) -> None:
    life = failing["fails-on-rank-1"].life
    failed = failing["fails-on-rank-1"].wait_for_failure()
    attempts = life.run.status.attempts
    assert [attempt.outcome for attempt in attempts] == ["Failed", "Failed"]
    assert {attempt.rank for attempt in attempts} == {1}
    assert {attempt.node for attempt in attempts} <= set(installation.cluster.nodes)
    assert "this optimizer cannot be run on rank 1" in attempts[0].message
    assert failed.reason == "BackoffLimitExceeded"
    assert "this optimizer cannot be run on rank 1" in failed.message
    assert {"AttemptFailed", "Failed"} <= life.get_event_reasons()


def test_a_generation_reports_a_missing_secret(installation: Installation) -> None:
    installation.api.create(build_generation("generation-without-secret", "pvc://deepsynth/never", secret="nowhere"))
    life = installation.wait_for_generation(
        "generation-without-secret", lambda item: "nowhere" in str(item.status.conditions), SECONDS
    )
    assert life.status.state == "Starting"
    installation.api.delete("DatasetGeneration", "generation-without-secret")


@pytest.mark.slow
def test_two_runs_that_hold_half_of_the_gpus_each_do_not_block_each_other_forever(installation: Installation) -> None:
    """A taint gives each one node; without it both wait for the node that the other holds."""
    node, cluster = installation.cluster.nodes[1], installation.cluster
    installation.restore()
    cluster.set_gpus(1, cluster.nodes)
    cluster.kubectl("taint", "node", node, "half=second:NoSchedule")
    try:
        first = begin(installation, "first-half", startTimeoutSeconds=20, maxSteps=2)
        first.wait_for("its pod on the first node", lambda _: installation.api.find_pod(first.uid, 0) is not None)
        toleration = {"key": "half", "operator": "Exists"}
        second = begin(
            installation, "second-half", startTimeoutSeconds=20, maxSteps=2, template={"tolerations": [toleration]}
        )
        second.wait_for("its pod on the second node", lambda _: bool(installation.api.list_pods(second.uid)))
    finally:
        cluster.kubectl("taint", "node", node, "half-")
    for life in (first, second):
        life.wait_for_model()
    ended = [*get_ended(first.run), *get_ended(second.run)]
    assert {attempt.reason for attempt in ended} == {"NotStarted"}
    assert (first.run.status.failures, second.run.status.failures) == (0, 0)
