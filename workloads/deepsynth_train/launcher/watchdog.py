"""Watchdog: a thread that kills workers that hang, or that do not stop within the pod's grace period."""

import os
import threading
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Self

from deepsynth_api.report import Phase
from deepsynth_api.workload import GRACE_PERIOD_VARIABLE
from deepsynth_train.coordination.run_folder import Beat, RunFolder
from deepsynth_train.launcher.hangs import (
    STOPPED,
    Hang,
    are_silent,
    describe_missing_stack,
    describe_state,
    find_culprit,
)
from deepsynth_train.launcher.launcher_logs import log_stacks
from deepsynth_train.launcher.reports import say
from deepsynth_train.launcher.workers import Workers

GRACE_RESERVE = 10.0
"""Seconds of the pod's grace period reserved for the report."""
STACKS_WAIT = 5.0
"""Seconds for the workers to write their stacks; faulthandler works even when the interpreter is stuck."""
OTHER_NODE_WAIT = 30.0
"""Seconds that a node whose workers all wait for another node leaves that node to report the culprit."""


class Watchdog:
    """A context manager that watches while the workers run. hang: set when their heartbeats stopped."""

    def __init__(
        self,
        folder: RunFolder,
        workers: Workers,
        limits: Mapping[Phase, float],
        *,
        num_nodes: int = 1,
        stacks_wait: float = STACKS_WAIT,
        other_node_wait: float = OTHER_NODE_WAIT,
    ) -> None:
        self.hang: Hang | None = None
        self._folder = folder
        self._workers = workers
        self._limits = limits
        self._num_nodes = num_nodes
        self._stacks_wait = stacks_wait
        self._other_node_wait = other_node_wait
        self._all_wait_since: float | None = None
        self._grace = float(os.environ.get(GRACE_PERIOD_VARIABLE, "inf")) - GRACE_RESERVE
        self._started = time.monotonic()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="watchdog", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._over.set()
        self._thread.join()

    def _watch(self) -> None:
        period = min(1.0, *self._limits.values())
        while not self._over.wait(period):
            if self._has_used_up_its_grace():
                say("the workers did not stop within the grace period")
                self._workers.kill()
                return
            self.hang = self._find_hang()
            if self.hang:
                log_stacks(self.hang.stacks)
                self._workers.kill()
                return

    def _has_used_up_its_grace(self) -> bool:
        since = self._workers.stopping_since
        return since is not None and time.monotonic() - since > self._grace

    def _find_hang(self) -> Hang | None:
        now = time.monotonic()
        beats = {rank: self._read_beat(rank) for rank in self._workers.living}
        states = {rank: self._workers.read_state(rank) for rank in beats}
        if not are_silent(beats, self._limits, now, states):
            self._all_wait_since = None
            return None
        if self._all_wait_since is not None and now - self._all_wait_since < self._other_node_wait:
            return None
        stacks = self._gather_stacks()
        culprit = find_culprit(beats, stacks, states, num_nodes=self._num_nodes)
        if culprit is None and self._all_wait_since is None:
            say("all ranks of this node wait for another node; leaving it to that node to report")
            self._all_wait_since = now
            return None
        beat = min(beats.values(), key=lambda beat: beat.at) if culprit is None else beats[culprit]
        state = "" if culprit is None else describe_state(states[culprit])
        shown = {rank: stacks.get(rank) or self._explain_missing_stack(rank) for rank in beats}
        return Hang(
            culprit,
            beat,
            now - beat.at,
            shown,
            state,
            is_stopped=culprit is not None and states[culprit] in STOPPED,
            last_heartbeat=datetime.now(UTC) - timedelta(seconds=time.monotonic() - beat.at),
        )

    def _explain_missing_stack(self, local_rank: int) -> str:
        return describe_missing_stack(self._workers.read_state(local_rank), self._workers.read_wait_channel(local_rank))

    def _read_beat(self, local_rank: int) -> Beat:
        return self._folder.read_beat(local_rank) or Beat(local_rank, "start", 0, self._started)

    def _gather_stacks(self) -> dict[int, str]:
        """Stacks of the living workers, except those that have not opened their stacks file yet."""
        ready = [rank for rank in self._workers.living if self._folder.stacks(rank).exists()]
        earlier = self._read_sizes(ready)
        self._workers.request_stacks(ready)
        deadline = time.monotonic() + self._stacks_wait
        sizes = earlier
        while time.monotonic() < deadline:
            time.sleep(0.05)
            before, sizes = sizes, self._read_sizes(ready)
            has_grown = all(size > old for size, old in zip(sizes, earlier, strict=True))
            if has_grown and sizes == before:  # a file is written line by line
                break
        return {rank: self._folder.stacks(rank).read_text(errors="replace") for rank in ready}

    def _read_sizes(self, local_ranks: Sequence[int]) -> list[int]:
        return [self._folder.stacks(rank).stat().st_size for rank in local_ranks]
