"""Polls the pods of running resources in the background, so that no worker ever waits for a pod.

    reconcile ──▶ read_all(pods) ──▶ the newest reports that are known, at once
                        │
                        ▼ the first time, and from then on every interval, while reconciles keep asking
                   poll (ReportReader) ──▶ something new ──▶ notify: the resource is queued

Mere progress is written every few polls only, so it causes a reconcile as often. Everything else does so at once.
"""

import asyncio
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol

from deepsynth_api.report import Report
from deepsynth_operator.core.observed import Manifest
from deepsynth_operator.core.resource_key import ResourceKey
from deepsynth_operator.kubernetes.reports.report_budget import ReportBudget
from deepsynth_operator.kubernetes.watches.watch_events import find_owner

_INTERVALS: Final = 3.5
"""A resource that has not been asked about for this many intervals is not polled any more."""
_logger = logging.getLogger(__name__)


class ReadsReports(Protocol):
    async def read_all(self, pods: Sequence[Manifest]) -> dict[str, Report]:
        """Reports of the pods of one resource, by uid. Pods that did not answer in time are missing."""


@dataclass(slots=True)
class _Poll:
    """The pods of one resource, when they were last asked about, and what they reported at the last poll."""

    pods: Sequence[Manifest]
    asked: float
    task: asyncio.Task[None] | None = None
    reports: dict[str, Report] = field(default_factory=dict)
    held: int = 0
    """Polls since mere progress was reported that nobody has been notified of."""


class ReportPoller:
    """notify: called with a resource whose pods have reported something new. interval: seconds between two polls.

    is_progress: whether the second of two reports says no more than that work continues; then `notify` is called every
    `every` polls.
    """

    def __init__(
        self,
        reader: ReadsReports,
        notify: Callable[[ResourceKey], None],
        *,
        interval: float,
        is_progress: Callable[[Report, Report], bool] = lambda _old, _new: False,
        every: int = 1,
        budget: ReportBudget | None = None,
    ) -> None:
        self._reader, self._notify, self._interval = reader, notify, interval
        self._is_progress, self._every = is_progress, every
        self._budget = budget or ReportBudget()
        self._polls: dict[ResourceKey, _Poll] = {}

    async def close(self) -> None:
        """End all polls."""
        tasks = [poll.task for poll in self._polls.values() if poll.task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def read_all(self, pods: Sequence[Manifest]) -> dict[str, Report]:
        """What is known of the pods of one resource, by uid. Does not wait for any of them."""
        owner = find_owner(pods[0]) if pods else None
        if owner is None:
            return {}
        now = asyncio.get_running_loop().time()
        poll = self._polls.setdefault(owner, _Poll(pods, now))
        poll.pods, poll.asked = pods, now
        if poll.task is None:
            poll.task = asyncio.create_task(self._follow(owner, poll), name=f"polls of {owner}")
        uids = {pod["metadata"]["uid"] for pod in pods}
        return {uid: report for uid, report in poll.reports.items() if uid in uids}

    async def _follow(self, owner: ResourceKey, poll: _Poll) -> None:
        """Poll until nobody asks any more."""
        loop = asyncio.get_running_loop()
        try:
            while loop.time() <= poll.asked + _INTERVALS * self._interval:
                begin = loop.time()
                await self._poll(owner, poll)
                await asyncio.sleep(max(begin + self._interval - loop.time(), 0.0))
        finally:
            del self._polls[owner]
            self._budget.forget(owner)

    async def _poll(self, owner: ResourceKey, poll: _Poll) -> None:
        pods = poll.pods
        try:
            read = await self._reader.read_all(pods)
        except Exception:
            _logger.exception("the pods of %s could not be polled", owner)
            return
        reports = self._budget.fit(owner, pods, poll.reports, read)
        new = {uid: report for uid, report in reports.items() if poll.reports.get(uid) != report}
        is_progress = all(uid in poll.reports and self._is_progress(poll.reports[uid], new[uid]) for uid in new)
        poll.reports = reports
        poll.held += bool(new or poll.held)
        if poll.held >= self._every or not is_progress:
            poll.held = 0
            self._notify(owner)
