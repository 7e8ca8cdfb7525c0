"""The outcomes that follow from the events recorded on a real cluster, for all and for some of the events."""

import itertools
import json
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from deepsynth_operator.core.observed import ObservedJob, ObservedPod
from support.clocks.manual_clock import START
from support.control.seen import FAILED_JOB, JOB, RUNNING_JOB, a_live_run, decide, follow

FOLDER = Path(__file__).parents[4] / "fixtures" / "job_events"
OUTCOMES = {
    "deleted": ("Disrupted", "PodDeleted"),
    "evicted": ("Disrupted", "Evicted"),
    "gang": ("Disrupted", "Evicted"),
    "node_lost": ("Disrupted", "NodeLost"),
    "out_of_memory": ("Failed", "OutOfMemory"),
    "peer_lost": ("Disrupted", "Evicted"),
    "peer_lost_alone": ("Disrupted", "PeerLost"),
    "suspended": ("Suspended", "RequeuedByQueue"),
}


def parse_pod(record: dict[str, Any]) -> ObservedPod:
    ended, index = record["terminated"] or {}, record["index"]
    return ObservedPod(
        name=f"{JOB}-{index}",
        uid=f"pod-{index}",
        job=JOB,
        index=index,
        phase=record["phase"],
        created=START,
        started=None if record["phase"] == "Pending" else START,
        deletion=START if record["deleting"] else None,
        node_ready=False,
        disruption=record["disruption"],
        exit_code=ended.get("exitCode"),
        exit_reason=ended.get("reason", ""),
        finished=START if ended else None,
        message=ended.get("message", ""),
        gone=record["event"] == "DELETED",
    )


def build_end(end: dict[str, Any]) -> ObservedJob:
    job = replace(RUNNING_JOB, completions=1)
    if end.get("condition") == "Failed":
        job = replace(FAILED_JOB, failure_reason=end["reason"], failure_message=end["message"])
    return replace(job, suspended=end.get("condition") == "Suspended")


@pytest.mark.parametrize("seen", ["everything", "every other event", "last states", "first sight and end"])
@pytest.mark.parametrize("case", sorted(OUTCOMES))
def test_a_recorded_end_has_the_same_outcome_for_any_subset_of_seen_events(case: str, seen: str) -> None:
    header, *records = map(json.loads, (FOLDER / f"{case}.jsonl").read_text(encoding="utf-8").splitlines())
    pods: dict[int, ObservedPod] = {}
    run, end = a_live_run(), build_end(header["end"])
    last = len(records) - 1
    for position, record in enumerate(records):
        pods[record["index"]] = parse_pod(record)
        is_seen = {
            "everything": True,
            "every other event": position % 2 == 0,
            "last states": False,
            "first sight and end": position == 0,
        }[seen]
        if is_seen and position < last:
            run = follow(run, decide(run, RUNNING_JOB, list(pods.values()), after=20))
    run = follow(run, decide(run, end, list(pods.values()), after=60))
    attempt = run.status.attempts[0]
    assert (attempt.outcome, attempt.reason) == OUTCOMES[case]
    assert attempt.end_time == START + timedelta(seconds=60)
    assert run.status.failures == (attempt.outcome == "Failed")


def test_every_recording_of_a_training_job_has_an_expected_outcome() -> None:
    others = {"evicted_without_policy", "suspended_without_policy", "failed_index"}
    assert {
        path.stem for path in FOLDER.glob("*.jsonl") if not path.stem.startswith("shard")
    } == OUTCOMES.keys() | others


def test_the_order_in_which_pods_are_listed_does_not_matter() -> None:
    records = [json.loads(line) for line in (FOLDER / "peer_lost.jsonl").read_text(encoding="utf-8").splitlines()[1:]]
    pods = {record["index"]: parse_pod(record) for record in records}.values()
    outcomes = {
        decide(a_live_run(), FAILED_JOB, order).status.attempts[0].reason for order in itertools.permutations(pods)
    }
    assert outcomes == {"Evicted"}
