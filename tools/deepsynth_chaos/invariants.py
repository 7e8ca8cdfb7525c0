"""What must hold after any faults. Pure: each function takes what was recorded and returns what is wrong, in words."""

import itertools
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

Manifest = dict[str, Any]
FINAL_STATES: Final = {"Complete", "Failed"}
_COUNTED: Final = {"Failed", "Hung"}


@dataclass
class Record:
    """What was seen of one resource. versions: in the order of the API server. jobs: name -> uids seen."""

    versions: list[Manifest] = field(default_factory=list)
    jobs: dict[str, set[str]] = field(default_factory=dict)

    @property
    def statuses(self) -> list[Manifest]:
        return [version.get("status") or {} for version in self.versions]


@dataclass(frozen=True, slots=True)
class Life:
    """One attempt, as the pods have lived it: from which step to which. failed: a pod ended with its own failure."""

    attempt: int
    first_step: int
    last_step: int
    saved_before: int
    failed: bool = False


def check_status(record: Record) -> Iterator[str]:
    """Status never goes back: ends are final, saved steps and counts never fall, ended attempts never change."""
    for before, after in itertools.pairwise(record.statuses):
        if before.get("state") in FINAL_STATES and after.get("state") != before["state"]:
            yield f"{before['state']} became {after.get('state')}"
        for name in ("failures", "savedStep", "startTime", "completionTime"):
            old, new = before.get(name), after.get(name)
            if old is not None and (new is None or (isinstance(old, int) and new < old)):
                yield f"{name} fell from {old} to {new}"
        yield from _check_attempts(before.get("attempts") or [], after.get("attempts") or [])
        yield from _check_live(after)
        shards = [(status.get("progress") or {}).get("shardsDone", 0) for status in (before, after)]
        if shards[1] < shards[0]:
            yield f"shardsDone fell from {shards[0]} to {shards[1]}"
        if before.get("output") and after.get("output") != before["output"]:
            yield f"output changed from {before['output']} to {after.get('output')}"


def _check_live(status: Manifest) -> Iterator[str]:
    """A generation has one Job at a time, but for one that renders while the plan is made."""
    jobs = [*(status.get("jobs") or []), (status.get("ahead") or {}).get("job")]
    steps = [job["step"] for job in jobs if job is not None and not job.get("endTime")]
    if len(steps) > 1 and steps != ["plan", "render"]:
        yield f"Jobs are live at once: {', '.join(steps)}"


def _check_attempts(before: Sequence[Manifest], after: Sequence[Manifest]) -> Iterator[str]:
    known = {attempt["number"]: attempt for attempt in before}
    for attempt in after:
        old = known.get(attempt["number"])
        if old is not None and old.get("endTime"):
            for name in ("endTime", "outcome", "job", "startTime"):
                if attempt.get(name) != old.get(name):
                    yield f"attempt {old['number']} ended, then its {name} changed from {old.get(name)}"
    numbers = [attempt["number"] for attempt in after]
    if numbers != list(range(numbers[0], numbers[0] + len(numbers))) if numbers else False:
        yield f"attempts are numbered {numbers}"
    open_ones = [attempt["number"] for attempt in after if not attempt.get("endTime")]
    if len(open_ones) > 1:
        yield f"attempts {open_ones} are open at once"
    if known and numbers and numbers[-1] < max(known):
        yield f"attempt {max(known)} vanished"


def check_jobs(record: Record) -> Iterator[str]:
    """No Job is created twice: its name is used once."""
    for name, uids in record.jobs.items():
        if len(uids) > 1:
            yield f"Job {name} was created {len(uids)} times"


def check_failures(record: Record, lives: Iterable[Life]) -> Iterator[str]:
    """`status.failures` counts the attempts that failed, and only attempts in which something failed did."""
    outcomes: dict[int, str] = {}
    for status in record.statuses:
        for attempt in status.get("attempts") or []:
            if attempt.get("endTime") and attempt.get("outcome"):
                outcomes[attempt["number"]] = attempt["outcome"]
    failed = {number for number, outcome in outcomes.items() if outcome in _COUNTED}
    count = (record.statuses[-1].get("failures") or 0) if record.statuses else 0
    if count != len(failed):
        yield f"failures is {count}; attempts {sorted(failed)} failed"
    could_fail = {life.attempt for life in lives if life.failed}
    if not failed <= could_fail:
        yield f"attempts {sorted(failed - could_fail)} count as failed, but none of their pods failed"


def check_lives(lives: Sequence[Life], interval: int) -> Iterator[str]:
    """Each life begins where the last checkpoint was saved, so it repeats less than one interval."""
    done = 0
    for life in lives:
        if life.first_step != life.saved_before:
            yield f"attempt {life.attempt} began at step {life.first_step}; {life.saved_before} was saved"
        if done - life.first_step > interval:
            yield f"attempt {life.attempt} repeats {done - life.first_step} steps; a checkpoint has {interval}"
        done = max(done, life.last_step)
    for before, after in itertools.pairwise(lives):
        if after.attempt <= before.attempt:
            yield f"attempt {after.attempt} worked after attempt {before.attempt}"


def check_rows(shards: Mapping[int, Sequence[str]], published: Sequence[str], expected: Sequence[str]) -> Iterator[str]:
    """Every row once, in the shards and in what was published."""
    rendered = Counter(row for rows in shards.values() for row in rows)
    for name, counts in (("rendered", rendered), ("published", Counter(published))):
        lost = [row for row in expected if not counts[row]]
        doubled = [row for row, count in counts.items() if count > 1]
        if lost or doubled or len(counts) != len(expected):
            yield f"{name}: {len(lost)} rows lost, {len(doubled)} doubled"


def check_events(events: Iterable[Manifest]) -> Iterator[str]:
    """An attempt starts and ends once, and so does a step."""
    once = {"AttemptStarted", "StepStarted", "AttemptSucceeded", "AttemptFailed", "AttemptDisrupted", "AttemptHung"}
    counts: Counter[tuple[str, str, str]] = Counter()
    for event in events:
        if event["reason"] in once:
            key = (event["involvedObject"]["uid"], event["reason"], event["message"])
            counts[key] += event.get("count") or 1
    for (uid, reason, message), count in counts.items():
        if count > 1:
            yield f"{reason} was recorded {count} times for {uid}: {message}"


def find_orphans(owners: Iterable[Manifest], children: Iterable[Manifest]) -> Iterator[str]:
    """Children without an owner among `owners`, which are resources and, for pods, Jobs."""
    uids = {owner["metadata"]["uid"] for owner in owners}
    for child in children:
        named = {owner["uid"] for owner in child["metadata"].get("ownerReferences") or []}
        if not named & uids:
            yield f"{child.get('kind', 'object')} {child['metadata']['name']} has no owner"
