"""A run under test, from its creation to its end: what a test waits for and looks at on the way."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from deepsynth_api.conditions import ConditionType, find_condition
from deepsynth_api.v1alpha1 import Attempt, DatasetGeneration, TrainingRun
from e2e.support.api import Api, Manifest, wait_until

START_SECONDS = 240
"""Two trainers import their libraries on two shared processors, and a lost node takes a while to be noticed."""
END_SECONDS = 600
ENDED = {"Complete", "Failed"}


@dataclass(frozen=True)
class RunLife:
    api: Api
    name: str
    volume: Path
    """What the claim holds, as this machine sees it."""

    @classmethod
    def begin(cls, api: Api, volume: Path, manifest: Manifest) -> "RunLife":
        api.create(manifest)
        return cls(api, manifest["metadata"]["name"], volume)

    @property
    def run(self) -> TrainingRun:
        return self.api.get_run(self.name)

    @cached_property
    def uid(self) -> str:
        return self.run.metadata.uid

    def wait_for(self, what: str, check: Callable[[TrainingRun], bool], seconds: float = START_SECONDS) -> TrainingRun:
        """The run once `check` holds. Raises AssertionError as soon as it has ended without."""

        def look() -> TrainingRun | None:
            run = self.run
            if check(run):
                return run
            assert run.status.state not in ENDED, f"{what}: {self.name} ended first. {describe(run)}"
            return None

        found = wait_until(f"{self.name}: {what}", look, seconds, lambda: describe(self.run))
        assert found is not None
        return found

    def wait_for_saved_step(self, step: int) -> TrainingRun:
        """Wait until the status names a checkpoint of at least this step."""
        return self.wait_for(f"saved step {step}", lambda run: run.status.saved_step >= step)

    def wait_for_state(self, *states: str) -> TrainingRun:
        return self.wait_for(f"state {' or '.join(states)}", lambda run: run.status.state in states)

    def wait_for_end(self) -> TrainingRun:
        return self.wait_for("its end", lambda run: run.status.state in ENDED, END_SECONDS)

    def wait_for_model(self) -> str:
        """Wait until it is Complete. Returns the sha256 of the model's weights."""
        run = self.wait_for_end()
        assert run.status.state == "Complete", describe(run)
        return hash_file(self.volume / self.name / "model/model.safetensors")

    def get_pod(self, index: int) -> str:
        """Name of the pod of this node rank, once it runs: between two attempts there is none."""
        pod = self._wait_for_pod(index)
        name: str = pod["metadata"]["name"]
        return name

    def get_node(self, index: int) -> str:
        node: str = self._wait_for_pod(index)["spec"]["nodeName"]
        return node

    def _wait_for_pod(self, index: int) -> Manifest:
        pod = wait_until(
            f"pod {index} of {self.name}",
            lambda: self.api.find_pod(self.uid, index),
            START_SECONDS,
            lambda: describe(self.run),
        )
        assert pod is not None
        return pod

    def get_event_reasons(self) -> set[str]:
        return {event["reason"] for event in self.api.list_events(self.name)}


def get_ended(run: TrainingRun) -> list[Attempt]:
    return [attempt for attempt in run.status.attempts if attempt.outcome not in {None, "Succeeded"}]


def describe(resource: TrainingRun | DatasetGeneration) -> str:
    """State, reason and attempts, for the message of a failed test."""
    status = resource.status
    condition = find_condition(status.conditions, ConditionType.COMPLETE)
    attempts = resource.status.attempts if isinstance(resource, TrainingRun) else []
    lines = [f"{item.number}: {item.outcome} {item.reason} {item.message[:300]}" for item in attempts]
    return f"{status.state}: {condition.reason if condition else ''}: {condition.message if condition else ''} {lines}"


def hash_file(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
