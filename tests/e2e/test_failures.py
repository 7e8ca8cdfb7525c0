"""What fails says why, on the resource and as an Event, within seconds; what no try can mend is not tried again."""

from typing import Any

import pytest

from deepsynth_api.conditions import ConditionType, find_condition
from deepsynth_api.v1alpha1 import Condition, TrainingRun
from e2e.installation import Installation
from e2e.lives import RunLife, get_ended
from e2e.resources import build_generation, build_run

SECONDS = 120
"""For a pod to be made, to be looked at by its node, and for the controller to tell."""
FAIL_ON_RANK_1 = """\
import os

if os.environ.get("RANK") == "1":
    import torch

    def fail(*_):
        raise ValueError("this model cannot be run on rank 1")

    torch.nn.modules.module.register_module_forward_pre_hook(fail)
"""


def begin(installation: Installation, name: str, **spec: Any) -> RunLife:
    return RunLife.begin(installation.api, installation.volume, build_run(name, **spec))


def get_condition(run: TrainingRun, kind: ConditionType) -> Condition:
    condition = find_condition(run.status.conditions, kind)
    assert condition is not None
    return condition


def get_failure(life: RunLife) -> Condition:
    run = life.wait_for_end()
    assert run.status.state == "Failed"
    return get_condition(run, ConditionType.FAILED)


def wait_for_reason(life: RunLife, reason: str) -> str:
    """Message of the condition, once it has this reason; an Event tells the same."""
    found = life.wait_for(reason, lambda run: get_condition_reason(run) == reason, SECONDS)
    life.wait_for(f"Event {reason}", lambda _: reason in life.get_event_reasons(), SECONDS)
    return get_condition(found, ConditionType.COMPLETE).message


def get_condition_reason(run: TrainingRun) -> str:
    condition = find_condition(run.status.conditions, ConditionType.COMPLETE)
    return condition.reason if condition else ""


def test_an_exception_on_rank_1_is_named_with_rank_and_node_and_the_retries_end(installation: Installation) -> None:
    installation.apply_config_map("fails-on-rank-1", {"sitecustomize.py": FAIL_ON_RANK_1})
    volume = {"name": "fault", "configMap": {"name": "fails-on-rank-1"}, "mountPath": "/opt/fault"}
    template = {"env": [{"name": "PYTHONPATH", "value": "/opt/fault"}], "volumes": [volume]}
    life = begin(installation, "fails-on-rank-1", template=template, backoffLimit=1)
    failed = get_failure(life)
    attempts = life.run.status.attempts
    assert [attempt.outcome for attempt in attempts] == ["Failed", "Failed"]
    assert {attempt.rank for attempt in attempts} == {1}
    assert {attempt.node for attempt in attempts} <= set(installation.cluster.nodes)
    assert "this model cannot be run on rank 1" in attempts[0].message
    assert failed.reason == "BackoffLimitExceeded"
    assert "this model cannot be run on rank 1" in failed.message
    assert {"AttemptFailed", "Failed"} <= life.get_event_reasons()


def test_a_bad_configuration_is_not_tried_again(installation: Installation) -> None:
    life = begin(installation, "bad-configuration", model={"uri": "pvc://deepsynth/no-such-model"}, backoffLimit=3)
    failed = get_failure(life)
    assert len(life.run.status.attempts) == 1
    assert life.run.status.attempts[0].exit_code == 64
    assert "no-such-model" in failed.message


def test_a_missing_secret_is_told_at_once_and_ends_the_run(installation: Installation) -> None:
    datasets = [{"name": "pages", "uri": "pvc://deepsynth/pages", "secretRef": {"name": "nowhere"}}]
    life = begin(installation, "missing-secret", datasets=datasets, startTimeoutSeconds=60)
    assert 'secret "nowhere" not found' in wait_for_reason(life, "CreateContainerConfigError")
    failed = get_failure(life)
    assert 'secret "nowhere" not found' in failed.message
    assert len(life.run.status.attempts) == 1


def test_a_missing_secret_that_comes_late_is_no_failure(installation: Installation) -> None:
    datasets = [{"name": "pages", "uri": "pvc://deepsynth/pages", "secretRef": {"name": "late"}}]
    life = begin(installation, "late-secret", datasets=datasets, maxSteps=2)
    wait_for_reason(life, "CreateContainerConfigError")
    installation.cluster.kubectl(
        "-n", installation.api.namespace, "create", "secret", "generic", "late", "--from-literal=UNUSED=1"
    )
    life.wait_for_model()
    assert len(life.run.status.attempts) == 1


def test_an_image_that_cannot_be_pulled_is_told_at_once(installation: Installation) -> None:
    life = begin(installation, "no-image", image="127.0.0.1:9/gpu:1", startTimeoutSeconds=60, backoffLimit=0)
    assert "127.0.0.1:9/gpu:1" in wait_for_reason(life, "ImagePullBackOff")
    assert "127.0.0.1:9/gpu:1" in get_failure(life).message


def test_pods_without_a_place_are_told_at_once(installation: Installation) -> None:
    life = begin(installation, "no-place", template={"nodeSelector": {"no-such": "node"}})
    assert "didn't match Pod's node affinity/selector" in wait_for_reason(life, "Unschedulable")
    installation.api.delete("TrainingRun", "no-place")


def test_a_generation_tells_of_a_missing_secret(installation: Installation) -> None:
    installation.api.create(build_generation("generation-without-secret", "pvc://deepsynth/never", secret="nowhere"))
    life = installation.wait_for_generation(
        "generation-without-secret", lambda item: "nowhere" in str(item.status.conditions), SECONDS
    )
    assert life.status.state == "Starting"
    installation.api.delete("DatasetGeneration", "generation-without-secret")


@pytest.mark.slow
def test_two_runs_that_hold_half_of_the_gpus_each_do_not_block_each_other_for_ever(installation: Installation) -> None:
    """A taint gives each one node; without it both wait for the node that the other holds."""
    node, cluster = installation.cluster.nodes[1], installation.cluster
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
