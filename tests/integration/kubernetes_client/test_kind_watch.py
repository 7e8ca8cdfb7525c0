"""A watch of one kind: nothing is lost when it breaks, and what was deleted meanwhile is noticed."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from deepsynth_api.labels import MANAGED_BY, OPERATOR_NAME, OWNER_KIND, OWNER_NAME_ANNOTATION
from deepsynth_operator.controller.work_queue import WorkQueue
from deepsynth_operator.core.observed import Manifest
from deepsynth_operator.core.resource_key import ResourceKey
from deepsynth_operator.kubernetes.api import api_server
from deepsynth_operator.kubernetes.api.api_server import ApiServer
from deepsynth_operator.kubernetes.watches.kind_watch import KindWatch, _Lines
from deepsynth_operator.kubernetes.watches.resource_cache import ResourceCache
from deepsynth_operator.kubernetes.watches.watch_events import WatchEvents
from integration.kubernetes_client.fake_watches import WatchedApiServer
from support.cluster.fake_api_server import Client, Fault, serve
from support.resources.builders import a_training_run


class Watched:
    """A watch of Jobs, or of another kind, and everything that it noted."""

    def __init__(self, server: WatchedApiServer, api: ApiServer, kind: Any, namespace: str | None) -> None:
        self.server, self.cache, self.kind = server, ResourceCache(), kind
        self.noted: list[tuple[str | None, str]] = []
        self.pauses: list[float] = []
        queue: WorkQueue[ResourceKey] = WorkQueue(self._process)
        self.events = WatchEvents(self.cache, queue)
        watched = self

        class Recorder(WatchEvents):
            def note(self, kind: Any, event: Any) -> None:
                watched.noted.append((event["type"], event["object"]["metadata"]["name"]))
                super().note(kind, event)

        self.watch = KindWatch(api, Recorder(self.cache, queue), kind, namespace, self._pause)

    def put(self, name: str, namespace: str = "default", **fields: Any) -> Manifest:
        labels = {MANAGED_BY: OPERATOR_NAME, OWNER_KIND: "trainingrun"}
        metadata = {"namespace": namespace, "labels": labels, "annotations": {OWNER_NAME_ANNOTATION: "read-xsum"}}
        manifest = {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": name, **metadata}, "spec": {}}
        return self.server.put({**manifest, **fields})

    async def wait_for(self, *noted: tuple[str | None, str]) -> None:
        await self.wait_until(lambda: self.noted == list(noted))

    async def wait_until(self, check: Callable[[], object]) -> None:
        for _ in range(3000):
            if check():
                return
            await asyncio.sleep(0.01)
        raise AssertionError(f"noted {self.noted}, pauses {self.pauses}")

    def list_names(self) -> set[str]:
        return {item["metadata"]["name"] for item in self.cache.iterate(self.kind)}

    async def _process(self, _: ResourceKey) -> None:
        """Nothing: only events are of interest."""

    async def _pause(self, seconds: float) -> None:
        self.pauses.append(seconds)
        await asyncio.sleep(0.01)


def watch(
    script: Callable[[Watched], Awaitable[None]],
    *,
    kind: str = "Job",
    namespace: str | None = None,
    before: Callable[[Watched], object] = lambda _watched: None,
    since: str = "99",
) -> None:
    """before: called before the watch starts, from version `since`."""

    async def main() -> None:
        async with serve(WatchedApiServer()) as server, Client(server) as api:
            watched = Watched(server, api, kind, namespace)
            before(watched)
            task = asyncio.create_task(watched.watch.run(since))
            try:
                await watched.wait_until(lambda: server.watches == 1 or task.done())
                assert not task.done(), task.result()
                await script(watched)
                assert not task.done(), task.result()
            finally:
                task.cancel()
                await asyncio.wait({task})

    asyncio.run(main())


def count_lists(watched: Watched) -> int:
    return sum(seen.method == "GET" and "watch" not in seen.query for seen in watched.server.requests)


def test_what_changes_is_noted_in_its_order() -> None:
    async def script(watched: Watched) -> None:
        watched.put("a")
        watched.put("b")
        watched.put("a", status={"active": 1})
        watched.server.delete("Job", "b")
        await watched.wait_for(("ADDED", "a"), ("ADDED", "b"), ("MODIFIED", "a"), ("DELETED", "b"))
        assert watched.list_names() == {"a"}
        assert count_lists(watched) == 0

    watch(script)


def test_resources_of_the_first_listing_are_noted_and_then_what_came_after_it() -> None:
    def before(watched: Watched) -> None:
        first, second = a_training_run("first").to_manifest(), a_training_run("second").named("second", uid="u2")
        watched.cache.put("TrainingRun", watched.server.put(first))
        watched.server.put(second.to_manifest())

    async def script(watched: Watched) -> None:
        await watched.wait_for((None, "first"), ("ADDED", "second"))

    watch(script, kind="TrainingRun", before=before, since="100")


def test_a_watch_that_breaks_continues_where_it_was() -> None:
    async def script(watched: Watched) -> None:
        watched.put("a")
        await watched.wait_for(("ADDED", "a"))
        watched.server.break_watches()
        watched.put("b")
        await watched.wait_for(("ADDED", "a"), ("ADDED", "b"))
        assert count_lists(watched) == 0
        assert watched.pauses == [], "it had heard something"

    watch(script)


@pytest.mark.parametrize("where", ["in the watch", "at its start"])
def test_after_a_version_that_is_too_old_everything_is_listed_and_missed_deletions_are_noted(where: str) -> None:
    async def script(watched: Watched) -> None:
        watched.put("stays")
        watched.put("goes")
        await watched.wait_until(lambda: watched.list_names() == {"stays", "goes"})
        watched.server.faults = [Fault(503, path="/jobs", seconds=0.2)]
        if where == "in the watch":
            watched.server.fail_watches(410)
        watched.server.break_watches()
        watched.server.delete("Job", "goes")
        watched.put("new")
        watched.server.forget_history()
        await watched.wait_until(lambda: watched.list_names() == {"stays", "new"})
        assert ("DELETED", "goes") in watched.noted
        assert count_lists(watched) >= 1
        await watched.wait_until(lambda: watched.server.watches == 1)
        watched.put("later")
        await watched.wait_until(lambda: watched.noted[-1] == ("ADDED", "later"))

    watch(script)


def test_a_bookmark_is_where_the_next_watch_begins() -> None:
    async def script(watched: Watched) -> None:
        watched.server.send({"type": "BOOKMARK", "object": {"metadata": {"resourceVersion": "4711"}}})
        await asyncio.sleep(0.1)
        watched.server.break_watches()
        await watched.wait_until(lambda: watched.server.requests[-1].query.get("resourceVersion") == "4711")
        assert watched.noted == []

    watch(script)


@pytest.mark.parametrize(
    "fault",
    [Fault(403, body={"message": "no Role"}), Fault(404), Fault(500), Fault(429), Fault(cut=True)],
    ids=["forbidden", "no CRD", "error", "too many requests", "cut"],
)
def test_a_watch_that_cannot_be_opened_is_tried_again(fault: Fault, caplog: pytest.LogCaptureFixture) -> None:
    async def script(watched: Watched) -> None:
        watched.server.faults = [Fault(**{**vars(fault), "path": "/jobs"}) for _ in range(4)]
        watched.server.break_watches()
        await watched.wait_until(lambda: watched.server.watches == 1 and not watched.server.faults)
        assert 2 <= len(watched.pauses) <= 5
        watched.put("a")
        await watched.wait_until(lambda: watched.list_names() == {"a"})

    watch(script)
    assert len([line for line in caplog.messages if line.startswith("cannot watch jobs")]) == 1


def test_pauses_grow_up_to_a_limit() -> None:
    async def script(watched: Watched) -> None:
        watched.server.faults = [Fault(500, path="/jobs") for _ in range(12)]
        watched.server.break_watches()
        await watched.wait_until(lambda: watched.server.watches == 1 and not watched.server.faults)
        assert watched.pauses[0] <= 1.0
        assert 4.0 <= watched.pauses[-1] <= 8.0

    watch(script)


def test_a_connection_on_which_nothing_arrives_is_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(api_server, "_SILENCE_SECONDS", 0.2)

    async def script(watched: Watched) -> None:
        opened = len(watched.server.requests)
        await watched.wait_until(lambda: len(watched.server.requests) > opened + 1)
        watched.put("a")
        await watched.wait_for(("ADDED", "a"))

    watch(script)


def test_an_error_of_the_api_server_is_no_reason_to_list_again() -> None:
    async def script(watched: Watched) -> None:
        watched.server.fail_watches(500, "no leader")
        watched.server.break_watches()
        watched.put("a")
        await watched.wait_for(("ADDED", "a"))
        assert count_lists(watched) == 0

    watch(script)


def test_an_object_that_cannot_be_read_is_skipped(caplog: pytest.LogCaptureFixture) -> None:
    async def script(watched: Watched) -> None:
        broken = {"metadata": {"name": "broken", "namespace": "default", "resourceVersion": "x", "uid": "u"}}
        watched.server.send({"type": "ADDED", "object": broken})
        watched.put("a")
        await watched.wait_for(("ADDED", "broken"), ("ADDED", "a"))
        assert watched.list_names() == {"a"}

    watch(script)
    assert "an event of Job default/broken could not be noted" in caplog.text


def test_what_is_not_an_event_breaks_the_watch_and_not_the_process() -> None:
    async def script(watched: Watched) -> None:
        watched.server.send({"no": "event"})
        await watched.wait_until(lambda: watched.pauses)
        await watched.wait_until(lambda: watched.server.watches == 1)
        watched.put("a")
        await watched.wait_for(("ADDED", "a"))

    watch(script)


def test_only_its_namespace_is_watched_and_listed() -> None:
    async def script(watched: Watched) -> None:
        watched.cache.put("Job", watched.put("other", "b"))
        watched.put("mine", "a")
        await watched.wait_for(("ADDED", "mine"))
        watched.server.fail_watches(410)
        await watched.wait_for(("ADDED", "mine"), (None, "mine"))
        assert watched.list_names() == {"other", "mine"}, "what another watch has found stays"
        assert {seen.path for seen in watched.server.requests} == {"/apis/batch/v1/namespaces/a/jobs"}

    watch(script, namespace="a")


def test_the_largest_object_that_a_user_can_create_does_not_end_the_watch() -> None:
    """1.5 MiB in etcd. In JSON, the API server escapes `<` with six characters."""

    async def script(watched: Watched) -> None:
        watched.put("largest", spec={"template": {"metadata": {"annotations": {"a": r"\u003c" * (3 * 2**19)}}}})
        watched.put("next")
        await watched.wait_for(("ADDED", "largest"), ("ADDED", "next"))
        assert watched.pauses == []

    watch(script)


@pytest.mark.parametrize("size", [1, 7, 1000])
def test_lines_are_put_together_from_pieces(size: int) -> None:
    events = [json.dumps({"number": number}).encode() for number in range(20)]
    text = b"\n".join(events) + b"\n"
    lines = _Lines()
    pieces = [text[begin : begin + size] for begin in range(0, len(text), size)]
    assert [line for piece in pieces for line in lines.add(piece)] == events
