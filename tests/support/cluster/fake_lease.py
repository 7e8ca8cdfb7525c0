"""A Lease in memory with the rules of an API server, candidates that can be cut off or stopped, and who leads when."""

import asyncio
import itertools
import random
from dataclasses import replace

from deepsynth_operator.core.errors import ClusterError, Conflict, LeadershipLost
from deepsynth_operator.kubernetes.leadership.election import Election
from deepsynth_operator.kubernetes.leadership.lease import LeaseRecord


class SharedLease:
    """The object itself. `is_down`: the API server answers nobody."""

    def __init__(self) -> None:
        self.record: LeaseRecord | None = None
        self.is_down = False
        self._versions = itertools.count(1)

    def write(self, known: LeaseRecord | None, holder: str, duration: float) -> LeaseRecord:
        if (known.version if known else None) != (self.record.version if self.record else None):
            raise Conflict("the Lease changed")
        transitions = self.record.transitions + 1 if self.record else 0
        self.record = LeaseRecord(str(next(self._versions)), holder, duration, transitions, "")
        return self.record


class Candidate:
    """A process in the election. It may be cut off from the API server, stopped (SIGSTOP), or killed.

    skew, drift: its clock shows real time * drift + skew. latency: seconds of each way to the API server and back.
    """

    def __init__(
        self, lease: SharedLease, name: str, *, skew: float = 0.0, drift: float = 1.0, latency: float = 0.01
    ) -> None:
        self._lease, self._skew, self._drift, self.latency = lease, skew, drift, latency
        self.loses_answers = self.is_cut_off = False
        self._runs = asyncio.Event()
        self._runs.set()
        self.has_dropped_out = False
        self.election = Election(self, name, clock=self._read_clock, pause=self._pause)
        self.task = asyncio.create_task(self._take_part())

    @property
    def leads(self) -> bool:
        """Whether it would send a request now. A stopped process sends nothing."""
        return self._runs.is_set() and not self.task.done() and self.election.is_leading

    def stop(self) -> None:
        self._runs.clear()

    def resume(self) -> None:
        self._runs.set()

    async def kill(self) -> None:
        """Without a release."""
        self.election._may_hold = False
        await self.terminate()

    async def terminate(self) -> None:
        """As SIGTERM does."""
        self.task.cancel()
        await asyncio.wait({self.task})

    async def read(self) -> LeaseRecord | None:
        await self._travel()
        found = self._lease.record
        await self._travel()
        return found and replace(found)

    async def write(self, known: LeaseRecord | None, holder: str, duration: float) -> LeaseRecord:
        await self._travel()
        written = self._lease.write(known, holder, duration)
        await self._travel()
        if self.loses_answers:
            raise ClusterError("no answer")
        return written

    async def _take_part(self) -> None:
        try:
            await self.election.acquire()
            await self.election.hold()
        except LeadershipLost:
            self.has_dropped_out = True
        finally:
            await self.election.release()

    async def _travel(self) -> None:
        await self._pause(self.latency)
        if self.is_cut_off or self._lease.is_down:
            await self._pause(3)
            raise ClusterError("unreachable")

    def _read_clock(self) -> float:
        return asyncio.get_running_loop().time() * self._drift + self._skew

    async def _pause(self, seconds: float) -> None:
        await asyncio.sleep(seconds)
        await self._runs.wait()


class Watcher:
    """Looks every tenth of a second who leads: at most one may."""

    def __init__(self, candidates: list[Candidate]) -> None:
        self.candidates = candidates
        self.without_leader = self.longest_without_leader = 0.0
        self.overlaps: list[float] = []

    async def watch(self, seconds: float) -> None:
        loop = asyncio.get_running_loop()
        last, end = loop.time(), loop.time() + seconds
        while loop.time() < end:
            await asyncio.sleep(0.1)
            leaders = sum(candidate.leads for candidate in self.candidates)
            self.without_leader = 0.0 if leaders else self.without_leader + loop.time() - last
            self.longest_without_leader = max(self.longest_without_leader, self.without_leader)
            last = loop.time()
            if leaders > 1:
                self.overlaps.append(last)


def draw(generator: random.Random) -> dict[str, float]:
    """Skew, drift and latency of a candidate."""
    return {
        "skew": generator.uniform(-1e6, 1e6),
        "drift": generator.uniform(0.97, 1.03),
        "latency": generator.choice([0.001, 0.05, 0.5]),
    }
