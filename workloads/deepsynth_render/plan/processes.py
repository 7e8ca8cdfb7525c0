"""Work on batches in several processes, with results in order and few batches in memory."""

import contextlib
import multiprocessing
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import Final, Self, TypeVar

from deepsynth_api.errors import TemporaryError

MAX_PROCESSES: Final = 4
"""Each takes up to 150 MB, and one process that reads cannot feed many more."""
BATCHES_ALONE: Final = 20
"""What is done before processes are started, which takes a second."""
_CPU_LIMIT: Final = Path("/sys/fs/cgroup/cpu.max")

Batch = TypeVar("Batch")
Result = TypeVar("Result")


class SharedWork:
    """Maps a picklable function over batches. Use it as a context: leaving it ends the processes."""

    def __init__(self, processes: int | None = None, *, alone: int = BATCHES_ALONE) -> None:
        """processes: by default as many as this container may use. alone: batches that this process does itself."""
        self._processes = processes or min(MAX_PROCESSES, count_cpus())
        self._alone = alone
        self._pool: ProcessPoolExecutor | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._pool:
            self._pool.shutdown(cancel_futures=True)

    def map(self, function: Callable[[Batch], Result], batches: Iterable[Batch]) -> Iterator[Result]:
        """The results in the order of the batches, of which at most twice as many as processes are under way."""
        pending: deque[Future[Result]] = deque()
        for batch in batches:
            if self._alone > 0 or self._processes < 2:
                self._alone -= 1
                yield function(batch)
                continue
            with _explain_kills():
                pending.append(self._open().submit(function, batch))
            if len(pending) > 2 * self._processes:
                yield _wait(pending.popleft())
        while pending:
            yield _wait(pending.popleft())

    def _open(self) -> ProcessPoolExecutor:
        if self._pool is None:
            # Not by fork: other threads of this process, such as the server of the report, may hold locks. Not by a
            # fork server: its socket lies below TMPDIR, whose path may be too long for one (AF_UNIX: 107 bytes).
            context = multiprocessing.get_context("spawn")
            self._pool = ProcessPoolExecutor(self._processes, mp_context=context)
        return self._pool


def _wait(future: Future[Result]) -> Result:
    with _explain_kills():
        return future.result()


@contextlib.contextmanager
def _explain_kills() -> Iterator[None]:
    """A pool whose process was killed ends what is under way, and takes nothing any more."""
    try:
        yield
    except BrokenProcessPool as error:
        raise TemporaryError(
            "a process of the plan step was killed, probably because memory ran out; raise resources.limits.memory of "
            "the container in spec.template"
        ) from error


def count_cpus() -> int:
    """Processors that this container may use at the same time, at least 1."""
    cpus = len(os.sched_getaffinity(0))
    try:
        quota, period = _CPU_LIMIT.read_text().split()
    except (OSError, ValueError):
        return cpus
    return cpus if quota == "max" else max(1, min(cpus, int(quota) // int(period)))
