"""Argo CD's health script over whole lives of both kinds: what users see in its UI."""

from itertools import groupby

import pytest

from integration.gitops.lives import LIVES, watch_life
from support.gitops.argocd import Health, judge

LAST = {
    "a run completes": "Healthy",
    "a run fails twice": "Degraded",
    "a run has a bad configuration": "Degraded",
    "a run can have no pods": "Degraded",
    "a run is changed after its end": "Healthy",
    "a generation completes": "Healthy",
    "a shard of a generation fails": "Degraded",
    "a generation is queued": "Progressing",
}


def list_healths(life: str) -> list[str]:
    return [health for health, _ in groupby(judge(sight.resource).status for sight in watch_life(life))]


@pytest.mark.parametrize(("life", "last"), LAST.items())
def test_a_life_progresses_from_its_first_second_to_its_end(life: str, last: str) -> None:
    healths = list_healths(life)
    assert (healths[0], healths[-1]) == ("Progressing", last)
    assert set(healths) <= {"Progressing", last}


@pytest.mark.parametrize(
    "life", ["a run is suspended from the start and again", "a generation is suspended from the start and again"]
)
def test_suspending_shows_as_suspended_and_resuming_as_progress(life: str) -> None:
    assert list_healths(life) == ["Progressing", "Suspended", "Progressing", "Suspended", "Progressing", "Healthy"]


@pytest.mark.parametrize(
    ("life", "end"), [("a complete run continues", "Healthy"), ("a failed run continues", "Degraded")]
)
def test_a_run_that_continues_shows_as_progress_again(life: str, end: str) -> None:
    assert list_healths(life) == ["Progressing", end, "Progressing", "Healthy"]


@pytest.mark.parametrize("life", LIVES)
def test_the_health_agrees_with_the_state_and_says_why(life: str) -> None:
    for sight in watch_life(life):
        health, metadata, status = judge(sight.resource), sight.resource["metadata"], sight.resource["status"]
        if status["observedGeneration"] != metadata["generation"]:
            assert health == Health("Progressing", "the operator has not seen this spec yet")
            continue
        words = {"Complete": "Healthy", "Failed": "Degraded", "Suspended": "Suspended"}
        assert health.status == words.get(sight.state, "Progressing")
        assert health.message
        if health.status == "Progressing":
            assert health.message.startswith(f"{sight.state}: ")


def test_a_resource_without_any_status_is_in_progress() -> None:
    assert judge({"metadata": {"generation": 1}}).status == "Progressing"


def test_a_missing_message_is_not_an_error() -> None:
    conditions = [{"type": "Failed", "status": "True"}]
    resource = {"metadata": {"generation": 1}, "status": {"observedGeneration": 1, "conditions": conditions}}
    assert judge(resource) == Health("Degraded", "")
