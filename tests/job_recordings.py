"""What Jobs and pods did on a real cluster: tests/fixtures/job_events, and how two such recordings are compared."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Self

from deepsynth_local.pod_runner import ContainerExit

FOLDER: Final = Path(__file__).parent / "fixtures" / "job_events"
CASES: Final = sorted(path.stem for path in FOLDER.glob("*.jsonl"))
Step = str | list[str]


@dataclass(frozen=True)
class State:
    """What counts of a pod. Names and moments differ each time, and the finalizer's removal is a race."""

    index: int
    phase: str
    deleting: bool
    disruption: str | None
    exit_code: int | None
    exit_reason: str
    deleted: bool = False


@dataclass(frozen=True)
class Recording:
    """header: the Job's spec, the steps, and how the Job ended. events: the pods', as a watch told them."""

    header: Mapping[str, Any]
    events: Sequence[Mapping[str, Any]]

    @classmethod
    def read(cls, case: str) -> Self:
        first, *lines = (FOLDER / f"{case}.jsonl").read_text(encoding="utf-8").splitlines()
        return cls(json.loads(first), [json.loads(line) for line in lines])

    def write(self, case: str) -> None:
        lines = "".join(f"{json.dumps(line)}\n" for line in (self.header, *self.events))
        (FOLDER / f"{case}.jsonl").write_text(lines, encoding="utf-8")

    @property
    def steps(self) -> list[Step]:
        """From the Job's creation on."""
        return [*self.header["given"], *self.header["steps"]]

    @property
    def snapshot(self) -> set[State]:
        """The state in which the recording began: ADDED events of pods that are not Pending."""
        return {parse_record(event) for event in self.events[: self._begin]}

    @property
    def timed(self) -> list[tuple[str, State]]:
        """What followed, repetitions left out."""
        return drop_repetitions([(event["time"], parse_record(event)) for event in self.events[self._begin :]])

    @property
    def indexes(self) -> list[int]:
        return sorted({event["index"] for event in self.events})

    def list_states(self, index: int) -> list[State]:
        """All states of one pod, the one it began with included."""
        states = [(event["time"], parse_record(event)) for event in self.events if event["index"] == index]
        return [state for _, state in drop_repetitions(states)]

    def get_exit(self, index: int) -> ContainerExit:
        ended = next(event["terminated"] for event in self.events if event["index"] == index and event["terminated"])
        return ContainerExit(ended["exitCode"], ended["reason"], ended.get("message", ""))

    @property
    def _begin(self) -> int:
        is_first = [event["event"] == "ADDED" and event["phase"] != "Pending" for event in self.events]
        return is_first.index(False) if False in is_first else len(is_first)


def parse_record(event: Mapping[str, Any]) -> State:
    ended = event["terminated"] or {}
    return State(
        index=event["index"],
        phase=event["phase"],
        deleting=event["deleting"],
        disruption=event["disruption"],
        exit_code=ended.get("exitCode"),
        exit_reason=ended.get("reason", ""),
        deleted=event["event"] == "DELETED",
    )


def drop_repetitions(timed: list[tuple[str, State]]) -> list[tuple[str, State]]:
    seen: dict[int, State] = {}
    kept = []
    for time, state in timed:
        if seen.get(state.index) != state:
            kept.append((time, state))
        seen[state.index] = state
    return kept
