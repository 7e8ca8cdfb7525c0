"""Workers: signals to the worker processes of this node, and when and how each ended."""

import contextlib
import os
import signal
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from deepsynth_api.exit_codes import ExitCode

_STOPPED = (ExitCode.STOPPED, -signal.SIGTERM)


@dataclass
class Workers:
    """Thread safe. The elastic agent starts and reaps the processes; this only watches and signals them.

    peer_grace: seconds that the others have to end after one has failed, before they are killed. They cannot
    continue, and may hang in a collective that never completes. on_failure: called, in any thread, when one fails by
    itself; the workers of other nodes cannot continue either.
    """

    peer_grace: float = 10.0
    on_failure: Callable[[], None] = lambda: None
    stopping_since: float | None = None
    """When the launcher was asked to stop; seconds, monotonic."""
    _pids: dict[int, int] = field(default_factory=dict)
    _ends: dict[int, tuple[int | None, float]] = field(default_factory=dict)
    _killed: set[int] = field(default_factory=set)

    def watch(self, pids: Mapping[int, int]) -> None:
        """Start to watch. pids: process id by local rank."""
        self._pids.update(pids)
        for local_rank, pid in pids.items():
            threading.Thread(target=self._wait_for, args=(local_rank, pid), daemon=True).start()
        if self.stopping_since is not None:
            self.stop()

    def _wait_for(self, local_rank: int, pid: int) -> None:
        """Record when the process ends, without reaping it: the agent polls too slowly to see who ended first."""
        try:
            status = os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
        except ChildProcessError:  # the agent has reaped it and knows the exit code
            code = None
        else:
            code = _exit_code(status)
        self._ends[local_rank] = (code, time.monotonic())
        if code:
            self.expect_end()
        if code and code not in _STOPPED and not self.was_killed(local_rank):
            self.on_failure()

    def expect_end(self) -> None:
        """Another worker has failed, here or on another node: kill these unless they end by themselves."""
        timer = threading.Timer(self.peer_grace, self.kill)
        timer.daemon = True
        timer.start()

    def get_end(self, local_rank: int) -> tuple[int | None, float]:
        """(exit code, or None if only the agent knows it; when). The process has ended."""
        return self._ends.get(local_rank, (None, time.monotonic()))

    @property
    def groups(self) -> list[int]:
        """Their process groups, which outlive them if they have left children."""
        return list(self._pids.values())

    @property
    def have_started(self) -> bool:
        return bool(self._pids)

    def was_killed(self, local_rank: int) -> bool:
        return local_rank in self._killed

    @property
    def living(self) -> list[int]:
        """Local ranks of the running workers."""
        return [local_rank for local_rank in self._pids if local_rank not in self._ends]

    def stop(self) -> None:
        """Ask all workers to save and stop. Called from the signal handler."""
        self.stopping_since = self.stopping_since or time.monotonic()
        self._signal(self.living, signal.SIGTERM)

    def request_stacks(self, local_ranks: Sequence[int]) -> None:
        """Ask workers to write their stacks. Call it only for workers with a handler: the signal kills others."""
        self._signal(local_ranks, signal.SIGUSR1)

    def read_state(self, local_rank: int) -> str:
        """The process's state as `ps` shows it, such as T for stopped; "" where there is no /proc."""
        try:
            status = Path(f"/proc/{self._pids[local_rank]}/stat").read_text()
        except OSError:
            return ""
        return status.rpartition(")")[2].split()[0]

    def read_wait_channel(self, local_rank: int) -> str:
        """Function of the kernel in which the process sleeps, such as do_signal_stop; "" where that is hidden."""
        try:
            return Path(f"/proc/{self._pids[local_rank]}/wchan").read_text()
        except OSError:
            return ""

    def kill(self) -> None:
        """Kill running workers and their children. Their exit codes then say nothing about the cause."""
        for local_rank in self.living:
            self._killed.add(local_rank)
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._pids[local_rank], signal.SIGKILL)

    def _signal(self, local_ranks: Sequence[int], number: int) -> None:
        for local_rank in local_ranks:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self._pids[local_rank], number)


def _exit_code(status: os.waitid_result | None) -> int | None:
    if status is None:
        return None
    return status.si_status if status.si_code == os.CLD_EXITED else -status.si_status
