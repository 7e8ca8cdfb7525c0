"""The work of stand-in pods: steps, checkpoints, shards, and what is left of them when a pod is killed.

A model's "weights" are a chain of hashes over the steps: equal weights mean that each step was taken once, in order,
from the right checkpoint. Rank 0 trains for all ranks, as long as all of them live.
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Final

from deepsynth_api.exit_codes import ExitCode
from deepsynth_api.report import Failure, PlanReport, PublishReport, RenderReport, Report, StepName, TrainReport
from deepsynth_api.v1alpha1.dataset_generation_status import PlannedSplit
from deepsynth_api.v1alpha1.training_run_status import CheckpointStatus, ModelOutput
from deepsynth_chaos.invariants import Life

STEPS: Final = 80
INTERVAL: Final = 5
NODES: Final = 2
SHARDS: Final = 4
ROWS: Final = tuple(f"row-{number}" for number in range(40))
_TICKS: Final = {"plan": 8 * SHARDS, "render": 8, "publish": 4}
_TICKS_PER_STAGED_SHARD: Final = 7
"""So the plan stages all shards before it is done, one by one."""


def train_step(weights: str, step: int) -> str:
    return hashlib.sha256(f"{weights}/{step}".encode()).hexdigest()


def train_undisturbed() -> str:
    """The weights of a run that nothing happened to."""
    weights = ""
    for step in range(1, STEPS + 1):
        weights = train_step(weights, step)
    return weights


@dataclass
class Volume:
    """What a resource has written. It outlives all pods."""

    checkpoints: dict[int, str] = field(default_factory=lambda: {0: ""})
    lives: list[Life] = field(default_factory=list)
    late: set[int] = field(default_factory=set)
    """Attempts that took a step after a newer one had begun."""
    model: str = ""
    shards: dict[int, tuple[str, ...]] = field(default_factory=dict)
    published: tuple[str, ...] = ()

    @property
    def saved_step(self) -> int:
        return max(self.checkpoints)


@dataclass
class Conditions:
    """What pods find around them; faults change it. now: the clock of their nodes."""

    hub_is_down: bool = False
    disk_is_full: bool = False
    nodes_are_partitioned: bool = False
    now: Callable[[], datetime] = lambda: datetime.now(UTC)
    clock_offset: timedelta = timedelta()

    def read_clock(self) -> datetime:
        return (self.now() + self.clock_offset).replace(microsecond=0)


@dataclass
class Process:
    """A container. index: of the rank or, if it renders, of the shard. exit_code: None while it runs."""

    uid: str
    pod: str
    owner: str
    job: str
    step: StepName
    index: int
    exit_code: int | None = None
    report: Report | None = None
    ticks: int = 0

    @property
    def attempt(self) -> int:
        return int(self.job.rpartition("-")[2]) if self.step == "train" else 0


class Work:
    """Advances all processes by one tick. conditions: changed by faults between ticks."""

    def __init__(self) -> None:
        self.volumes: dict[str, Volume] = {}
        self.conditions = Conditions()
        self._trainings: dict[str, _Training] = {}

    def get_volume(self, owner: str) -> Volume:
        return self.volumes.setdefault(owner, Volume())

    def advance(self, processes: list[Process]) -> None:
        by_job: dict[str, list[Process]] = {}
        for process in processes:
            by_job.setdefault(process.job, []).append(process)
        for job, members in by_job.items():
            if members[0].step == "train":
                volume = self.get_volume(members[0].owner)
                training = self._trainings.setdefault(job, _Training(volume, members[0].attempt))
                training.advance(members, self.conditions)
            else:
                for member in members:
                    if member.exit_code is None:
                        self._advance_step(member)

    def fail(self, process: Process, reason: str, code: int) -> None:
        """End a process with a failure of its own, which its launcher reports."""
        _end(process, self.conditions, code, reason)
        self._note_failure(process)

    def kill(self, process: Process) -> None:
        """SIGKILL of the whole container: no last word. Nobody knows who did it, so it may count as a failure."""
        process.exit_code, process.report = ExitCode.OUT_OF_MEMORY, None
        self._note_failure(process)

    def stop(self, process: Process) -> None:
        """SIGTERM: it saves and stops."""
        training = self._trainings.get(process.job)
        if training is not None:
            training.save(self.conditions)
        process.exit_code = ExitCode.STOPPED

    def _note_failure(self, process: Process) -> None:
        training = self._trainings.get(process.job)
        if training is None and process.step == "train":
            training = self._trainings[process.job] = _Training(self.get_volume(process.owner), process.attempt)
        if training is not None:
            training.note_failure()

    def _advance_step(self, process: Process) -> None:
        process.ticks += 1
        now, volume = self.conditions.read_clock(), self.get_volume(process.owner)
        is_done = process.ticks >= _TICKS[process.step]
        needs_hub = process.step in {"plan", "publish"}
        if (needs_hub and self.conditions.hub_is_down) or (is_done and self.conditions.disk_is_full):
            _end(process, self.conditions, ExitCode.TRY_AGAIN, "StorageUnavailable")
            return
        report = Report(step=process.step, time=now)
        match process.step:
            case "plan":
                plan = PlanReport(revision="r", staging="s", staged_shards=process.ticks // _TICKS_PER_STAGED_SHARD)
                if is_done:
                    splits = [PlannedSplit(name="train", rows=len(ROWS))]
                    plan = PlanReport(revision="r", digest="d", staging="s", splits=splits, shards=SHARDS)
                report = report.updated(plan=plan)
            case "render":
                if is_done:
                    volume.shards[process.index] = ROWS[process.index :: SHARDS]
                rows = len(volume.shards.get(process.index, ()))
                render = RenderReport(shard=process.index, documents=rows, pages=rows)
                report = report.updated(render=render)
            case _:
                if is_done:
                    volume.published = tuple(row for rows in volume.shards.values() for row in rows)
                rows = len(volume.published)
                publish = PublishReport(
                    uri="pvc://deepsynth/pages", revision="v1", rows=rows, pages=rows, bytes=9, manifest_sha256="m"
                )
                report = report.updated(publish=publish)
        process.report = report
        if is_done:
            process.exit_code = ExitCode.DONE


class _Training:
    """One attempt. It begins when all ranks are there, and ends when one of them is not any more."""

    def __init__(self, volume: Volume, attempt: int) -> None:
        self._volume, self._attempt = volume, attempt
        self._step: int | None = None
        self._weights = ""
        self._entry: int | None = None

    def advance(self, ranks: list[Process], conditions: Conditions) -> None:
        living = [rank for rank in ranks if rank.exit_code is None]
        if any(rank.exit_code not in {None, 0} for rank in ranks) or conditions.nodes_are_partitioned:
            for rank in living:
                _end(rank, conditions, ExitCode.PEER_LOST, "PeerLost", is_own=False)
            return
        if len(living) == NODES:
            self._take_step(living, conditions)
        self._report(living, conditions)

    def save(self, conditions: Conditions) -> bool:
        if self._step is not None and not conditions.disk_is_full:
            self._volume.checkpoints[self._step] = self._weights
        return not conditions.disk_is_full

    def note_failure(self) -> None:
        self._write_life(failed=True)

    def _take_step(self, ranks: list[Process], conditions: Conditions) -> None:
        volume = self._volume
        if self._step is None:
            self._step = volume.saved_step
            self._weights = volume.checkpoints[self._step]
            self._write_life()
        if self._attempt < max(life.attempt for life in volume.lives):
            volume.late.add(self._attempt)
        if self._step < STEPS:
            self._step += 1
            self._weights = train_step(self._weights, self._step)
            self._write_life()
        if (self._step % INTERVAL == 0 or self._step == STEPS) and not self.save(conditions):
            self._write_life(failed=True)
            _end(ranks[0], conditions, ExitCode.TRY_AGAIN, "DiskFull")
            return
        if self._step == STEPS:
            volume.model = self._weights
            self._report(ranks, conditions)
            for rank in ranks:
                rank.exit_code = ExitCode.DONE

    def _write_life(self, *, failed: bool = False) -> None:
        lives = self._volume.lives
        if self._entry is None:
            if self._step is None:
                saved = self._volume.saved_step
                lives.append(Life(self._attempt, saved, saved, saved, failed=failed))
            else:
                lives.append(Life(self._attempt, self._step, self._step, self._volume.saved_step))
            self._entry = len(lives) - 1
            return
        old = lives[self._entry]
        last = old.last_step if self._step is None else self._step
        lives[self._entry] = Life(old.attempt, old.first_step, last, old.saved_before, failed=old.failed or failed)

    def _report(self, ranks: list[Process], conditions: Conditions) -> None:
        now, volume = conditions.read_clock(), self._volume
        newest = sorted((step for step in volume.checkpoints if step), reverse=True)[:3]
        saved = [CheckpointStatus(step=step, uri=f"pvc://c/step-{step}", time=now) for step in newest]
        first = volume.lives[self._entry].first_step if self._entry is not None else 0
        is_done = self._step == STEPS and bool(volume.model)
        for rank in ranks:
            train = TrainReport(
                attempt=self._attempt,
                phase="done" if is_done else "step" if self._step is not None else "start",
                step=self._step or 0,
                total_steps=STEPS,
                resumed_from_step=first or None,
                saved_step=volume.saved_step or None,
                checkpoints=saved,
                output=ModelOutput(uri="pvc://c/model") if is_done else None,
            )
            rank.report = Report(step="train", time=now, train=train)


def _end(process: Process, conditions: Conditions, code: int, reason: str, *, is_own: bool = True) -> None:
    process.exit_code = code
    failure = Failure(reason=reason, message=reason, exit_code=code, rank=process.index) if is_own else None
    part = process.report.train if process.report else None
    process.report = Report(step=process.step, time=conditions.read_clock(), train=part, failure=failure)
