"""Random lives of a TrainingRun: what must hold no matter what happens and what the controller misses."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from deepsynth_api.conditions import ConditionType, is_true
from deepsynth_api.labels import QUEUE_NAME
from deepsynth_api.report import Report, TrainReport
from deepsynth_api.v1alpha1 import Attempt, TrainingRun, TrainingRunStatus
from deepsynth_operator.core.errors import Conflict
from deepsynth_operator.core.observed import Manifest
from deepsynth_simulator.object_store import ObjectKey, WatchEvent
from deepsynth_simulator.pod_runner import ContainerExit
from integration.control.crashing_cluster import Crash, CrashingCluster
from integration.control.drawn_lives import check_is_drawn
from support.builders import a_training_run
from support.cluster_faults import (
    EVICTED,
    LaggingView,
    disrupt,
    find_pods,
    lose_node,
    restore_node,
    set_suspended,
    taint_node,
)
from support.controller import Controller

NAME = "read-xsum"
NODES = ("node-a", "node-b")
FAILURES = (1, 75, 79, 137)
MAX_STOP = timedelta(seconds=330)
SECONDS = (1, 5, 15, 60, 400, 700)


class Watcher:
    """Sees every status that is written and every Job that is made, in their true order, and objects."""

    def __init__(self, machine: "RunMachine") -> None:
        self.machine = machine
        self.status = TrainingRunStatus()
        self.attempts: dict[int, Attempt] = {}
        self.jobs: dict[str, str] = {}
        """Names of all Jobs there ever were, with the uid of the newest of each name."""

    def receive(self, event: WatchEvent) -> None:
        kind = event.manifest["kind"]
        if kind == "TrainingRun":
            self._check_status(TrainingRun.model_validate(event.manifest).status)
        elif kind == "Job" and event.type == "ADDED":
            self._check_new_job(event.manifest)
        elif kind == "Job" and event.type == "DELETED" and not self.machine.user_deletes:
            ended = [attempt for attempt in self.status.attempts if attempt.job == event.manifest["metadata"]["name"]]
            assert all(attempt.end_time for attempt in ended), "an outcome is written before its Job is deleted"

    def _check_status(self, new: TrainingRunStatus) -> None:
        old = self.status
        check_is_drawn("TrainingRun", old, new)
        if is_true(old.conditions, ConditionType.COMPLETE) or is_true(old.conditions, ConditionType.FAILED):
            assert (new.state, new.completion_time, new.attempts) == (old.state, old.completion_time, old.attempts)
        if old.start_time is not None:
            assert (new.start_time, new.datasets) == (old.start_time, old.datasets)
        for field in ("saved_step", "restarts", "failures"):
            assert getattr(new, field) >= getattr(old, field), field
        assert new.usage.gpu_seconds >= old.usage.gpu_seconds
        assert new.attempts_without_progress <= 10
        for attempt in new.attempts:
            self._check_attempt(attempt, new)
        self._check_usage(new)
        assert sum(attempt.end_time is None for attempt in self.attempts.values()) <= 1
        counted = [attempt for attempt in self.attempts.values() if attempt.end_time and attempt.outcome != "Succeeded"]
        assert new.failures == sum(attempt.outcome in {"Failed", "Hung"} for attempt in counted)
        self.status = new

    def _check_attempt(self, attempt: Attempt, status: TrainingRunStatus) -> None:
        old = self.attempts.get(attempt.number)
        if old is None:
            assert attempt.number == max(self.attempts, default=0) + 1, "numbers follow each other"
            assert all(other.end_time for other in self.attempts.values()), "one attempt at a time"
        else:
            assert (attempt.job, attempt.start_time) == (old.job, old.start_time)
            assert (attempt.last_step or 0) >= (old.last_step or 0)
            if old.end_time is not None:
                same = (attempt.end_time, attempt.outcome, attempt.reason) == (old.end_time, old.outcome, old.reason)
                assert same, "an outcome is final"
        if attempt.reason == "JobDeleted" and (old is None or old.end_time is None):
            assert attempt.job not in self.machine.control.list_jobs(), "a stale cache is no proof"
        if attempt.end_time is not None and attempt.outcome in {"Failed", "Hung"}:
            assert attempt.job in self.machine.failed_jobs, f"{attempt.job} was disrupted, not failed"
        self.attempts[attempt.number] = attempt

    def _check_usage(self, status: TrainingRunStatus) -> None:
        """GPU-seconds of the run are those of its attempts; lost ones are a part, known when an attempt has ended."""
        attempts = self.attempts.values()
        for attempt in attempts:
            assert 0 <= attempt.lost_gpu_seconds <= attempt.gpu_seconds
            assert attempt.end_time or attempt.lost_gpu_seconds == 0
        assert status.usage.gpu_seconds == sum(attempt.gpu_seconds for attempt in attempts)
        assert status.usage.lost_gpu_seconds == sum(attempt.lost_gpu_seconds for attempt in attempts)

    def _check_new_job(self, job: Manifest) -> None:
