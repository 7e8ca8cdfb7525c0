"""What GitOps tools that use kstatus see, in every version of a resource that a watch reports."""

from collections.abc import Iterator, Sequence
from itertools import groupby, pairwise
from typing import Any

import pytest

from deepsynth_api.conditions import ConditionType
from deepsynth_operator.decisions.shared.throttle import START_DETAILS
from integration.gitops.lives import LIVES, Sight, watch_life
from support.gitops.kstatus import Verdict, judge

SETTLING = (["InProgress", "Current"], ["InProgress", "Current", "Failed"], ["InProgress", "Failed"], ["Current"])
CONTINUED = {"a failed run continues": ["InProgress", "Current", "Failed", "Current"]}
"""What a change of the spec brings back to work. The version in which it was not seen yet is InProgress."""
OF_BOTH_KINDS = set(ConditionType) - {ConditionType.DATASET_READY}


@pytest.fixture(params=LIVES, name="sights")
def live(request: pytest.FixtureRequest) -> Sequence[Sight]:
    return watch_life(request.param)


def is_seen(sight: Sight) -> bool:
    seen: bool = sight.resource["metadata"]["generation"] == sight.resource["status"]["observedGeneration"]
    return seen


def expect(sight: Sight, was_accepted: bool) -> Verdict:
    """What the design demands: in progress only until the first child or wait exists, failed when it failed."""
    if not is_seen(sight):
        return "InProgress"
    if sight.state == "Failed":
        return "Failed"
    is_accepted = was_accepted or sight.has_job or sight.state != "Starting"
    return "Current" if is_accepted else "InProgress"


def test_every_version_has_the_expected_kstatus(sights: Sequence[Sight]) -> None:
    was_accepted = False
    for sight in sights:
        verdict = judge(sight.resource)
        assert verdict == expect(sight, was_accepted), (sight.state, sight.resource["status"])
        was_accepted = was_accepted or verdict == "Current"


def test_a_resource_is_in_progress_from_its_creation_and_settled_within_fifteen_seconds(
    sights: Sequence[Sight],
) -> None:
    first, settled = sights[0], next(sight for sight in sights if judge(sight.resource) != "InProgress")
    assert first.resource["status"] == {"observedGeneration": -1}
    assert judge(first.resource) == "InProgress"
    assert settled.time <= first.time + START_DETAILS


@pytest.mark.parametrize("life", LIVES)
def test_once_settled_only_a_change_of_the_spec_brings_it_back_into_progress(life: str) -> None:
    seen = [judge(sight.resource) for sight in watch_life(life) if is_seen(sight)]
    verdicts = [verdict for verdict, _ in groupby(seen)]
    assert verdicts == CONTINUED[life] if life in CONTINUED else verdicts in SETTLING


@pytest.mark.parametrize("life", ["a complete run continues", "a failed run continues"])
def test_a_run_that_continues_is_in_progress_until_its_new_spec_is_seen_and_complete_at_its_end(life: str) -> None:
    sights = watch_life(life)
    changed = next(index for index, sight in enumerate(sights) if sight.resource["metadata"]["generation"] == 2)
    assert sights[changed - 1].state in {"Complete", "Failed"}
    assert [judge(sight.resource) for sight in sights[changed : changed + 2]] == ["InProgress", "Current"]
    after = [state for state, _ in groupby(sight.state for sight in sights[changed + 1 :])]
    assert after == ["Starting", "Running", "Complete"]
    assert {judge(sight.resource) for sight in sights[changed + 1 :]} == {"Current"}


def test_a_finished_resource_keeps_its_verdict() -> None:
    for name, verdict in (("a run is changed after its end", "Current"), ("a run fails twice", "Failed")):
        assert [key for key, _ in groupby(judge(sight.resource) for sight in watch_life(name))][-1] == verdict


def test_all_conditions_exist_from_the_first_status_and_name_their_generation(
    sights: Sequence[Sight],
) -> None:
    for sight in sights[1:]:
        conditions = sight.resource["status"]["conditions"]
        assert {condition["type"] for condition in conditions} >= OF_BOTH_KINDS
        seen = sight.resource["status"]["observedGeneration"]
        assert {condition["observedGeneration"] for condition in conditions} == {seen}
        assert all(condition["reason"] for condition in conditions)


def test_the_transition_time_changes_only_with_the_status(sights: Sequence[Sight]) -> None:
    for old, new in pairwise(list_conditions(sights)):
        for kind, condition in new[1].items():
            before = old[1].get(kind)
            moved = before is None or before["status"] != condition["status"]
            expected = f"{new[0].time:%Y-%m-%dT%H:%M:%SZ}" if moved or before is None else before["lastTransitionTime"]
            assert condition["lastTransitionTime"] == expected, kind


def list_conditions(sights: Sequence[Sight]) -> Iterator[tuple[Sight, dict[str, Any]]]:
    for sight in sights:
        conditions = sight.resource["status"].get("conditions", [])
        yield sight, {condition["type"]: condition for condition in conditions}


def test_waiting_for_the_condition_complete_ends_exactly_when_the_resource_is_complete(sights: Sequence[Sight]) -> None:
    for sight, conditions in list_conditions(sights[1:]):
        assert (conditions["Complete"]["status"] == "True") == (sight.state == "Complete")
        assert (conditions["Failed"]["status"] == "True") == (sight.state == "Failed")
        assert (conditions["Suspended"]["status"] == "True") == (sight.state == "Suspended")
