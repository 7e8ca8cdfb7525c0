"""The audit: what the API server lists compared with what the watches reported."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from typing import Any

from deepsynth_api.labels import MANAGED_BY, OPERATOR_NAME
from deepsynth_operator.core.observed import Manifest
from deepsynth_operator.kubernetes.api.api_server import ApiServer
from deepsynth_operator.kubernetes.watches.resource_cache import ResourceCache
from deepsynth_operator.kubernetes.watches.watch_audit import AUDIT_SECONDS, GRACE_SECONDS, WatchAudit
from deepsynth_operator.process.health import SILENT_SECONDS
from support.cluster.fake_api_server import Client, FakeApiServer, Fault, serve_api


class Audited:
    """A server, a cache that a test fills, and an audit during whose pauses a test can act."""

    def __init__(self, server: FakeApiServer, api: ApiServer, namespaces: tuple[str | None, ...] = (None,)) -> None:
        self.server, self.api, self.cache = server, api, ResourceCache()
        self.gone: list[str] = []
        self.pauses: list[float] = []
        self.time = 1000.0
        self.during_pause: Callable[[], None] = lambda: None
        self.audit = WatchAudit(
            api, self.cache, namespaces, self._note_gone, clock=lambda: self.time, pause=self._pause
        )

    def put(self, name: str, *, reported: bool, namespace: str = "default") -> Manifest:
        """Store a Job; reported: its watch has reported it."""
        metadata = {"name": name, "namespace": namespace, "labels": {MANAGED_BY: OPERATOR_NAME}}
        job = self.server.put({"apiVersion": "batch/v1", "kind": "Job", "metadata": metadata})
        if reported:
            self.cache.put("Job", job)
        return job

    def get_silence(self) -> float:
        return dict(self.audit.get_silence())["jobs"]

    def _note_gone(self, _: Any, item: Any) -> None:
        self.gone.append(item["metadata"]["name"])
        self.cache.remove("Job", item)

    async def _pause(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self.time += seconds
        self.during_pause()


def audit(script: Callable[[Audited], Awaitable[None]], **options: Any) -> None:
    async def main() -> None:
        async with serve_api() as server, Client(server) as api:
            await script(Audited(server, api, **options))

    asyncio.run(main())


def test_a_watch_that_reported_everything_is_not_silent() -> None:
    async def script(audited: Audited) -> None:
        audited.put("a", reported=True)
        await audited.audit.audit()
        assert audited.get_silence() == 0
        assert audited.pauses == []

    audit(script)


def test_a_watch_that_is_a_little_late_is_not_silent() -> None:
    async def script(audited: Audited) -> None:
        job = audited.put("a", reported=False)
        audited.during_pause = lambda: audited.cache.put("Job", job)
        await audited.audit.audit()
        assert audited.get_silence() == 0
        assert audited.pauses == [GRACE_SECONDS]

    audit(script)


def test_a_watch_that_misses_a_change_is_silent_until_it_reports_it() -> None:
    async def script(audited: Audited) -> None:
        audited.put("a", reported=True)
        changed = audited.put("a", reported=False)
        await audited.audit.audit()
        audited.time += 100
        await audited.audit.audit()
        assert audited.get_silence() == 100 + GRACE_SECONDS
        audited.cache.put("Job", changed)
        await audited.audit.audit()
        assert audited.get_silence() == 0

    audit(script)


def test_an_object_that_was_changed_or_deleted_during_the_audit_counts_as_reported() -> None:
    async def script(audited: Audited) -> None:
        audited.put("a", reported=False)
        gone = audited.put("b", reported=False)

        def report_the_latest() -> None:
            audited.put("a", reported=True)
            audited.cache.remove("Job", gone)

        audited.during_pause = report_the_latest
        await audited.audit.audit()
        assert audited.get_silence() == 0

    audit(script)


def test_an_object_that_is_not_listed_is_dropped_unless_it_is_newer_than_the_list() -> None:
    async def script(audited: Audited) -> None:
        audited.put("a", reported=True)
        audited.put("b", reported=True)
        audited.server.delete("Job", "a")
        younger = audited.put("c", reported=True)
        audited.server.delete("Job", "c")
        younger["metadata"]["resourceVersion"] = "9999"
        audited.cache.put("Job", younger)
        await audited.audit.audit()
        assert audited.gone == ["a"]

    audit(script)


def test_an_audit_that_fails_says_nothing_about_the_watches() -> None:
    async def script(audited: Audited) -> None:
        audited.put("a", reported=False)
        audited.server.faults = [Fault(403, path="/jobs")]
        await audited.audit.audit()
        assert audited.get_silence() == 0

    audit(script)


def test_a_forbidden_watch_is_not_a_silent_one() -> None:
    """With a Role that allows list but not watch, a restart would not help this watch and would harm the others."""

    async def script(audited: Audited) -> None:
        audited.put("a", reported=False)

        def refuse_the_watch() -> None:
            audited.server.faults = [Fault(403, path="/jobs")]

        audited.during_pause = refuse_the_watch
        await audited.audit.audit()
        assert audited.server.faults == []
        assert audited.server.requests[-2].query["watch"] == "true"
        assert audited.get_silence() == 0

    audit(script)


def test_namespaces_are_audited_one_by_one() -> None:
    async def script(audited: Audited) -> None:
        audited.put("a", reported=True, namespace="one")
        audited.put("b", reported=True, namespace="two")
        audited.put("c", reported=False, namespace="three")
        audited.server.delete("Job", "b", "two")
        await audited.audit.audit()
        assert audited.gone == ["b"]
        assert audited.get_silence() == 0

    audit(script, namespaces=("one", "two"))


def test_a_forbidden_namespace_does_not_hide_a_silent_watch_of_another() -> None:
    async def script(audited: Audited) -> None:
        audited.put("a", reported=False, namespace="two")
        audited.server.faults = [Fault(403, path="/namespaces/one/jobs")]
        await audited.audit.audit()
        audited.time += 100
        assert audited.get_silence() == 100

    audit(script, namespaces=("one", "two"))


def test_the_first_audit_comes_soon_and_the_next_every_few_minutes() -> None:
    async def script(audited: Audited) -> None:
        def stop_after_three() -> None:
            if len(audited.pauses) == 3:
                raise asyncio.CancelledError

        audited.during_pause = stop_after_three
        with contextlib.suppress(asyncio.CancelledError):
            await audited.audit.run()
        assert audited.pauses == [GRACE_SECONDS, AUDIT_SECONDS, AUDIT_SECONDS]

    audit(script)


def test_a_silent_watch_is_audited_more_often_until_the_process_is_unhealthy() -> None:
    async def script(audited: Audited) -> None:
        audited.put("a", reported=False)

        def stop_after_three() -> None:
            if len(audited.pauses) == 4:
                raise asyncio.CancelledError

        audited.during_pause = stop_after_three
        try:
            await audited.audit.run()
        except asyncio.CancelledError:
            assert audited.pauses == [GRACE_SECONDS] * 4
        assert audited.get_silence() >= SILENT_SECONDS

    audit(script)
