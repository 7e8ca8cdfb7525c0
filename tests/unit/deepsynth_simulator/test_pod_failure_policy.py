from typing import Any

import pytest

from deepsynth_simulator.pod_failure_policy import judge_pod

RULES: list[dict[str, Any]] = [
    {"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget"}]},
    {"action": "FailIndex", "onExitCodes": {"operator": "In", "values": [64, 65]}},
    {"action": "FailJob", "onExitCodes": {"operator": "NotIn", "values": [1]}},
]


def build_pod(exit_code: int, **status: Any) -> dict[str, Any]:
    container = {"name": "main", "state": {"terminated": {"exitCode": exit_code}}}
    return {"metadata": {"namespace": "default", "name": "a"}, "status": {"containerStatuses": [container], **status}}


def build_job(rules: list[dict[str, Any]]) -> dict[str, Any]:
    return {"spec": {"podFailurePolicy": {"rules": rules}}}


@pytest.mark.parametrize(("code", "action"), [(64, "FailIndex"), (2, "FailJob"), (1, "Count"), (0, "Count")])
def test_the_first_rule_that_matches_the_exit_code_decides(code: int, action: str) -> None:
    assert judge_pod(build_job(RULES), build_pod(code)).action == action


def test_a_disruption_is_judged_by_its_condition() -> None:
    disrupted = build_pod(64, conditions=[{"type": "DisruptionTarget", "status": "True"}])
    assert judge_pod(build_job(RULES), disrupted).action == "Ignore"


def test_the_message_names_container_pod_code_and_rule() -> None:
    message = judge_pod(build_job(RULES), build_pod(64)).message
    assert message == "Container main for pod default/a failed with exit code 64 matching FailIndex rule at index 1"


def test_without_a_policy_every_failure_counts() -> None:
    assert judge_pod({"spec": {}}, build_pod(64)).action == "Count"
