"""Recordings of Jobs and pods on a real cluster (tests/fixtures/job_events), and how two of them are compared."""

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Self

from deepsynth_simulator.pod_runner import ContainerExit

FOLDER: Final = Path(__file__).parents[2] / "fixtures" / "job_events"
CASES: Final = sorted(path.stem for path in FOLDER.glob("*.jsonl"))
Step = str | list[str]
PodKey = tuple[int, int]
"""Completion index, and the number of earlier pods of this index."""


@dataclass(frozen=True)
class State:
    """What is compared. Names and times differ in each recording, and when the finalizer is removed is a race."""

    pod: PodKey
    phase: str
    deleting: bool
    disruption: str | None
    exit_code: int | None
    exit_reason: str
    deleted: bool = False

    @property
    def is_steady(self) -> bool:
        """A kubelet may or may not report the moment in which a container has ended and its pod is still Running."""
        return self.phase != "Running" or self.exit_code is None


@dataclass
class PodNames:
    """The pods of each index in the order in which they were first seen."""

    names: dict[int, list[str]] = field(default_factory=lambda: defaultdict(list))

    def get_key(self, index: int, name: str) -> PodKey:
        known = self.names[index]
        if name not in known:
            known.append(name)
        return index, known.index(name)

    def get_newest(self, index: int) -> str:
        """Raises IndexError if the index has no pod yet."""
        return self.names[index][-1]

    @property
    def keys(self) -> list[PodKey]:
        return sorted((index, number) for index, known in self.names.items() for number in range(len(known)))


@dataclass(frozen=True)
class Recording:
    """header: the Job's spec without its template, the steps, and the Job's end. events: of a watch on its pods."""

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
        steps: list[Step] = self.header["steps"]
        return steps

    @property
    def timed(self) -> list[tuple[str, State]]:
        """Times and states, without repetitions."""
        keys = [self._names.get_key(event["index"], event["pod"]) for event in self.events]
        return drop_repetitions(
            [(event["time"], _parse(event, key)) for event, key in zip(self.events, keys, strict=True)]
        )

    @property
    def pods(self) -> list[PodKey]:
        return self._names.keys

    def list_states(self, pod: PodKey) -> list[State]:
        return [state for _, state in self.timed if state.pod == pod]

    def get_exit(self, pod: PodKey) -> ContainerExit:
        index, number = pod
        name = self._names.names[index][number]
        ended = next(event["terminated"] for event in self.events if event["pod"] == name and event["terminated"])
        return ContainerExit(ended["exitCode"], ended["reason"], ended.get("message", ""))

    @property
    def _names(self) -> PodNames:
        names = PodNames()
        for event in self.events:
            names.get_key(event["index"], event["pod"])
        return names


def drop_repetitions(timed: list[tuple[str, State]]) -> list[tuple[str, State]]:
    """Drop states that repeat a pod's last one, and states that are not steady."""
    seen: dict[PodKey, State] = {}
    kept = []
    for time, state in timed:
        if state.is_steady and seen.get(state.pod) != state:
            seen[state.pod] = state
            kept.append((time, state))
    return kept


def _parse(event: Mapping[str, Any], pod: PodKey) -> State:
    ended = event["terminated"] or {}
    return State(
        pod=pod,
        phase=event["phase"],
        deleting=event["deleting"],
        disruption=event["disruption"],
        exit_code=ended.get("exitCode"),
        exit_reason=ended.get("reason", ""),
        deleted=event["event"] == "DELETED",
    )
