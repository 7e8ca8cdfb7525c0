"""What a user sees and when: every state that a watch shows, and when Jobs were created and ended."""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Final

from benchmarks.scale.api_client import ApiClient, Manifest
from benchmarks.scale.subjects import Subject

END_SECONDS: Final = 3600.0
NEWS_SECONDS: Final = 60.0
"""How often a long wait says what it sees."""


@dataclass(slots=True)
class JobTimes:
    """Seconds of time.monotonic(); 0 for what was not seen yet."""

    owner: str
    created: float
    ended: float = 0.0


@dataclass(slots=True)
class Life:
    """One resource. states: when each was first shown, in order."""

    created: float = 0.0
    states: list[tuple[str, float]] = field(default_factory=list)
    changed: float = 0.0
    """When its status last changed."""
    first_changed: float = 0.0
    """When its status first changed since this was last set to 0."""

    @property
    def state(self) -> str:
        return self.states[-1][0] if self.states else ""

    def find(self, state: str) -> float | None:
        return next((when for name, when in self.states if name == state), None)


@dataclass
class Observer:
    api: ApiClient
    subject: Subject
    lives: dict[str, Life] = field(default_factory=dict)
    """By the resource's name, which is unique here over all kinds and scenarios."""
    jobs: dict[str, JobTimes] = field(default_factory=dict)

    @asynccontextmanager
    async def watch(self) -> AsyncIterator[None]:
        # A group, so that a watch that fails ends the benchmark, which would wait an hour for what nobody sees.
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(self._watch_resources(path)) for path in self.subject.watched]
            tasks.append(group.create_task(self._watch_jobs()))
            yield
            for task in tasks:
                task.cancel()

    def note_creation(self, name: str) -> None:
        self.lives.setdefault(name, Life()).created = time.monotonic()

    def select(self, prefix: str) -> dict[str, Life]:
        """The lives whose name begins with this."""
        return {name: life for name, life in self.lives.items() if name.startswith(prefix)}

    def find_jobs(self, names: Iterable[str]) -> dict[str, tuple[str, JobTimes]]:
        """The last Job, with its name, of each of these resources that has one."""
        wanted = set(names)
        return {job.owner: (name, job) for name, job in self.jobs.items() if job.owner in wanted}

    async def wait_until(self, what: str, check: Callable[[], bool], seconds: float = END_SECONDS) -> None:
        begin = time.monotonic()
        news = begin + NEWS_SECONDS
        while not check():
            now = time.monotonic()
            if now > begin + seconds:
                raise TimeoutError(f"{what}: not within {seconds:.0f} s; {self._describe()}")
            if now > news:
                news += NEWS_SECONDS
                print(f"waiting for {what} since {now - begin:.0f} s; {self._describe()}", flush=True)
            await asyncio.sleep(0.1)

    def _describe(self) -> str:
        states = Counter(life.state or "none" for life in self.lives.values())
        return f"{len(self.jobs)} Jobs; states: " + ", ".join(f"{state} {count}" for state, count in states.items())

    async def _watch_resources(self, path: str) -> None:
        async for event, item in self.api.watch(path):
            name, now = item["metadata"]["name"], time.monotonic()
            if event == "DELETED":
                self.lives.pop(name, None)
                continue
            life = self.lives.setdefault(name, Life())
            state = self.subject.read_state(item)
            life.changed = now
            life.first_changed = life.first_changed or now
            if state and state != life.state:
                life.states.append((state, now))

    async def _watch_jobs(self) -> None:
        path = f"/apis/batch/v1/namespaces/{self.subject.namespace}/jobs"
        async for event, job in self.api.watch(path):
            name, now = job["metadata"]["name"], time.monotonic()
            if event == "DELETED":
                self.jobs.pop(name, None)
                continue
            times = self.jobs.setdefault(name, JobTimes(self.subject.read_owner(job), now))
            if not times.ended and _has_ended(job):
                times.ended = now


def _has_ended(job: Manifest) -> bool:
    conditions = job.get("status", {}).get("conditions") or []
    return any(item["type"] in {"Complete", "Failed"} and item["status"] == "True" for item in conditions)
