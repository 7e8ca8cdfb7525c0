"""The policy tables: first match wins, every policy is named and explained, and each order has its reason."""

from typing import Any

import pytest

from deepsynth_operator.decisions.dataset_generation import policies as generation
from deepsynth_operator.decisions.shared.policies import Policy, first_match
from deepsynth_operator.decisions.training_run import policies as run

TABLES: dict[str, tuple[Policy[Any, Any], ...]] = {
    f"{kind} {name}": getattr(module, name)
    for kind, module in {"run": run, "generation": generation}.items()
    for name in ("END_POLICIES", "FAILURE_POLICIES", "START_POLICIES")
}


def test_the_first_policy_with_an_answer_decides_and_later_ones_are_not_asked() -> None:
    asked: list[str] = []

    def build(name: str, answer: str | None) -> Policy[int, str]:
        def ask(_: int) -> str | None:
            asked.append(name)
            return answer

        return Policy(ask, name)

    policies = (build("a", None), build("b", "yes"), build("c", "no"))
    assert first_match(policies, 0) == "yes"
    assert asked == ["a", "b"]
    assert first_match(policies[:1], 0) is None


@pytest.mark.parametrize("table", TABLES)
def test_every_policy_is_asked_once_and_says_when_it_answers(table: str) -> None:
    policies = TABLES[table]
    assert len({policy.name for policy in policies}) == len(policies)
    assert all(policy.when and not policy.when.endswith(".") for policy in policies)


@pytest.mark.parametrize("table", ["run END_POLICIES", "generation END_POLICIES"])
def test_how_a_job_ended_comes_before_deadline_and_suspension(table: str) -> None:
    """A run that completes in the second of its deadline has not failed; a failure is not hidden by a suspension."""
    names = [policy.name for policy in TABLES[table]]
    assert max(names.index("succeeded"), names.index("failed")) < names.index("exceeded_deadline")
    assert names.index("exceeded_deadline") < names.index("suspended_by_user") < names.index("deleted")
    assert names.index("waits_for_exit_codes") == 0
