"""Polls the pods of running resources in the background, so that no worker ever waits for a pod.

    pod starts ──▶ begin(pod)        ┐
    reconcile ───▶ read_all(pods)    ┴─▶ poll (ReportReader), at once and then every interval, while reconciles ask
                        │                          │
                        ▼                          ▼ something new
            the newest reports, at once      notify: the resource is queued

Mere progress is written now and then only, so it causes a reconcile as often. Everything else does so at once. The pods
of an attempt that has not begun to work are polled sooner, so that it is shown when it does.
"""

import asyncio
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol

from deepsynth_api.report import Report
from deepsynth_operator.controller.pace import Pace
from deepsynth_operator.core.observed import Manifest
from deepsynth_operator.core.resource_key import ResourceKey
from deepsynth_operator.decisions.shared.throttle import compute_hold
from deepsynth_operator.kubernetes.reports.report_budget import ReportBudget
from deepsynth_operator.kubernetes.watches.watch_events import find_owner

_PATIENCE: Final = 1.75
"""A resource that has not been asked about for this many times as long as progress takes is not polled any more."""
_FIRST_PAUSE_SECONDS: Final = 1.0
"""Between the first two polls; doubled each time."""
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
    reports: dict[str, bytes] = field(default_factory=dict)
    """As JSON: as objects they take five times as much memory, and thousands are kept."""
    starts: bool = True
    """Whether no pod has reported that it works, or one reports that it does not yet."""
    pause: float = _FIRST_PAUSE_SECONDS
    notified: float = float("-inf")
    has_progress: bool = False
    """Whether mere progress was reported that nobody has been notified of."""


class ReportPoller:
    """notify: called with a resource whose pods have reported something new. pace: how often they are polled.

    is_progress: whether the second of two reports says no more than that work continues. starts: whether a report is
    from before the work.
    """

    def __init__(
        self,
        reader: ReadsReports,
        notify: Callable[[ResourceKey], None],
        pace: Pace,
        *,
        is_progress: Callable[[Report, Report], bool] = lambda _old, _new: False,
        starts: Callable[[Report], bool] = lambda _report: False,
        budget: ReportBudget | None = None,
    ) -> None:
        self._reader, self._notify, self._pace = reader, notify, pace
        self._is_progress, self._starts = is_progress, starts
        self._budget = budget or ReportBudget()
        self._polls: dict[ResourceKey, _Poll] = {}

    async def close(self) -> None:
        """End all polls."""
        tasks = [poll.task for poll in self._polls.values() if poll.task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def begin(self, pod: Manifest) -> None:
        """Poll a pod that has just started, before a reconcile asks for it, unless its resource is polled already."""
        if (owner := find_owner(pod)) is not None and owner not in self._polls:
            self._ask(owner, [pod])

    async def read_all(self, pods: Sequence[Manifest]) -> dict[str, Report]:
        """What is known of the pods of one resource, by uid. Does not wait for any of them."""
        owner = find_owner(pods[0]) if pods else None
        if owner is None:
            return {}
        uids = _get_uids(pods)
        return {uid: _load(report) for uid, report in self._ask(owner, pods).reports.items() if uid in uids}

    def _ask(self, owner: ResourceKey, pods: Sequence[Manifest]) -> _Poll:
        """Follow these pods from now on."""
        now, poll = asyncio.get_running_loop().time(), self._polls.get(owner)
        if poll is not None and poll.task is not None and not _get_uids(pods) & _get_uids(poll.pods):
            poll.task.cancel()  # these are of another attempt
            poll = None
        if poll is None:
            poll = self._polls[owner] = _Poll(pods, now)
            poll.task = asyncio.create_task(self._follow(owner, poll), name=f"polls of {owner}")
        poll.pods, poll.asked = pods, now
        self._pace.note(owner, len(pods))
        return poll

    async def _follow(self, owner: ResourceKey, poll: _Poll) -> None:
        """Poll until nobody asks any more."""
        loop = asyncio.get_running_loop()
        try:
            while loop.time() <= poll.asked + _PATIENCE * self._pace.get_progress_seconds(owner.namespace):
                begin = loop.time()
                await self._poll(owner, poll)
                await asyncio.sleep(max(begin + self._choose_pause(owner, poll) - loop.time(), 0.0))
        finally:
            if self._polls.get(owner) is poll:
                del self._polls[owner]
                self._budget.forget(owner)
                self._pace.note(owner, 0)

    def _choose_pause(self, owner: ResourceKey, poll: _Poll) -> float:
        pause = self._pace.get_poll_seconds(owner.namespace)
        if not poll.starts:
            return pause
        sooner, poll.pause = poll.pause, 2 * poll.pause
        return min(pause, sooner)

    async def _poll(self, owner: ResourceKey, poll: _Poll) -> None:
        pods = poll.pods
        try:
            read = await self._reader.read_all(pods)
        except Exception:
            _logger.exception("the pods of %s could not be polled", owner)
            return
        before, reports = poll.reports, self._budget.fit(owner, pods, {uid: _dump(read[uid]) for uid in read})
        new = [uid for uid in reports if before.get(uid) != reports[uid]]
        is_progress = all(uid in before and self._is_progress(_load(before[uid]), read[uid]) for uid in new)
        poll.reports, poll.starts = reports, not reports or any(self._starts(read[uid]) for uid in reports)
        poll.has_progress = bool(new or poll.has_progress)
        hold = compute_hold(self._pace.get_progress_seconds(owner.namespace))
        now = asyncio.get_running_loop().time()
        if not is_progress or (poll.has_progress and now >= poll.notified + hold):
            poll.has_progress, poll.notified = False, now
            self._notify(owner)


def _dump(report: Report) -> bytes:
    return report.model_dump_json(by_alias=True, exclude_none=True).encode()


def _load(report: bytes) -> Report:
    return Report.model_validate_json(report)


def _get_uids(pods: Sequence[Manifest]) -> set[str]:
    return {pod["metadata"]["uid"] for pod in pods}
