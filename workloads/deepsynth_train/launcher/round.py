"""Round: the workers of this node from one start to their end, and how they ended."""

import os
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from deepsynth_api.errors import PeerLostError
from deepsynth_api.report import Failure, Phase
from deepsynth_train.coordination.run_folder import RESTART_VARIABLE, RunFolder
from deepsynth_train.launcher.agreement import Agreement
from deepsynth_train.launcher.processes import ROUND_VARIABLE, count_memory_kills, end_leftovers
from deepsynth_train.launcher.root_cause import WorkerEnd
from deepsynth_train.launcher.topology import Topology
from deepsynth_train.launcher.watchdog import Watchdog
from deepsynth_train.launcher.workers import Workers

_PEER_PERIOD = 0.5
"""Seconds between two looks at whether workers of other nodes have failed."""


@dataclass(frozen=True)
class RoundEnd:
    """stacks: of a hang, by local rank. at: when this was known, seconds since 1970 and monotonic."""

    ends: Sequence[WorkerEnd]
    hang: Failure | None = None
    stacks: Mapping[int, str] = field(default_factory=dict)


class Round:
    """restart: how often the workers were started in this pod before.

    agree: builds what the launchers share, once they have met; None if the workers are not started again.
    """

    def __init__(
        self,
        topology: Topology,
        folder: RunFolder,
        limits: Mapping[Phase, float],
        node: str,
        *,
        restart: int,
        stacks_wait: float,
        agree: Callable[[], Agreement] | None,
    ) -> None:
        self.folder = folder
        self.restart = restart
        self.workers = Workers(on_failure=self._announce)
        self._topology = topology
        self._limits = limits
        self._node = node
        self._stacks_wait = stacks_wait
        self._agree = agree
        self._memory_kills = count_memory_kills()
        self._over = threading.Event()

    def run(self, start: Callable[[Callable[[Mapping[int, int]], None]], Mapping[int, int]]) -> RoundEnd:
        """start: starts the workers, calls its argument with their process ids, and returns their exit codes once all
        have ended; by local rank.
        """
        os.environ[ROUND_VARIABLE] = str(self.folder.path)
        os.environ[RESTART_VARIABLE] = str(self.restart)
        watchdog = Watchdog(
            self.folder,
            self.workers,
            self._limits,
            num_nodes=self._topology.num_nodes,
            stacks_wait=self._stacks_wait,
        )
        try:
            with watchdog:
                codes = start(self._watch)
        finally:
            self._over.set()
        ends = [self._build_end(local_rank, codes) for local_rank in range(self._topology.num_proc_per_node)]
        if watchdog.hang:
            return RoundEnd(ends, watchdog.hang.describe(self._node), watchdog.hang.stacks)
        return RoundEnd(ends)

    def find_leftovers(self) -> str:
        """Why the workers must not start again in this pod, once these have ended; empty if they may."""
        if count_memory_kills() > self._memory_kills:
            return "the kernel killed a process because the memory of the pod was full"
        left = end_leftovers(self.workers.groups, str(self.folder.path))
        return f"processes {', '.join(map(str, left))} of the workers do not end" if left else ""

    def _watch(self, pids: Mapping[int, int]) -> None:
        self.workers.watch(pids)
        if self._agree is not None and self._topology.num_nodes > 1:
            threading.Thread(target=self._watch_peers, name="peers", daemon=True).start()

    def _watch_peers(self) -> None:
        """End these workers soon after one of another node has failed: they may hang in a collective."""
        assert self._agree is not None  # noqa: S101 - see `_watch`
        agreement = self._agree()
        with suppress(PeerLostError):  # node 0 is gone, and its workers with it
            while not self._over.wait(_PEER_PERIOD):
                if agreement.has_failure():
                    self.workers.expect_end()
                    return

    def _announce(self) -> None:
        if self._agree is not None and self._topology.num_nodes > 1:
            with suppress(PeerLostError):
                self._agree().announce_failure()

    def _build_end(self, local_rank: int, codes: Mapping[int, int]) -> WorkerEnd:
        code, ended = self.workers.get_end(local_rank)
        return WorkerEnd(
            rank=self._topology.node_rank * self._topology.num_proc_per_node + local_rank,
            local_rank=local_rank,
            exit_code=codes.get(local_rank, 0) if code is None else code,
            ended=ended,
            error=self.folder.read_error(local_rank),
            killed=self.workers.was_killed(local_rank),
        )


def to_wall_clock(monotonic: float) -> float:
    """Seconds since 1970."""
    return time.time() - (time.monotonic() - monotonic)
