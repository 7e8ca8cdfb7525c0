"""Discovery and watches for the fake API server, as kopf needs them."""

import asyncio
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from copy import deepcopy
from queue import Queue
from typing import Any, Final

from aiohttp import web

from deepsynth_operator.core.observed import Manifest
from deepsynth_operator.kubernetes.api.api_paths import RESOURCES
from support.cluster.fake_api_server import FakeApiServer, serve

_ALL_VERBS: Final = ["create", "delete", "get", "list", "patch", "update", "watch"]
_OTHER_RESOURCES: Final = (("", "v1", "namespaces"), ("apiextensions.k8s.io", "v1", "customresourcedefinitions"))


class WatchedApiServer(FakeApiServer):
    """A watch reports what has changed since its resourceVersion; `break_watches` closes all that are open."""

    def __init__(self) -> None:
        super().__init__()
        self._history: list[tuple[str, Manifest]] = []
        self.listeners.append(lambda event, manifest: self._history.append((event, deepcopy(manifest))))
        self._open: dict[Callable[[Manifest | None], None], None] = {}
        self._reporting = threading.Lock()
        """Tests change objects from other threads: a change while a watch starts must be reported exactly once."""

    def break_watches(self) -> None:
        for send in list(self._open):
            self._open.pop(send, None)
            send(None)

    def fail_a_watch(self) -> None:
        """Send an error to the oldest watch, other than that its resourceVersion is too old."""
        next(iter(self._open))({"type": "ERROR", "object": {"kind": "Status", "code": 500, "message": "no leader"}})

    @property
    def watches(self) -> int:
        return len(self._open)

    async def respond(self, request: web.Request, body: Any) -> web.StreamResponse:
        if request.query.get("watch") == "true":
            return await self._watch(request)
        if request.method == "GET" and (found := _discover(request.path)) is not None:
            return web.json_response(found)
        return await super().respond(request, body)

    async def _watch(self, request: web.Request) -> web.StreamResponse:
        *_, plural = parts = request.path.split("/")
        namespace = parts[-2] if "namespaces" in parts else None
        kind = next(kind for kind, resource in RESOURCES.items() if resource.plural == plural)
        labels = dict(item.split("=") for item in request.query.get("labelSelector", "").split(",") if item)
        queue: asyncio.Queue[Manifest | None] = asyncio.Queue()
        loop = asyncio.get_running_loop()

        def send(event: Manifest | None) -> None:
            loop.call_soon_threadsafe(queue.put_nowait, event)

        def report(event: str, manifest: Manifest) -> None:
            metadata = manifest["metadata"]
            is_meant = manifest["kind"] == kind and namespace in {None, metadata["namespace"]}
            if is_meant and labels.items() <= metadata.get("labels", {}).items():
                send({"type": event, "object": manifest})

        since = int(request.query.get("resourceVersion", 0))
        with self._reporting:
            for event, manifest in self._history:
                if int(manifest["metadata"]["resourceVersion"]) > since:
                    report(event, manifest)
            self.listeners.append(report)
        self._open[send] = None
        try:
            return await _stream(request, queue)
        finally:
            with self._reporting:
                self.listeners.remove(report)
            self._open.pop(send, None)

    def _notify(self, event: str, manifest: Manifest) -> None:
        with self._reporting:
            super()._notify(event, manifest)


@contextmanager
def serve_in_a_thread() -> Iterator[WatchedApiServer]:
    """In an event loop of its own: kopf treats every task of its loop as its own, and waits for all when it ends."""
    served: Queue[tuple[WatchedApiServer, Callable[[], object]]] = Queue()

    async def main() -> None:
        loop, stop = asyncio.get_running_loop(), asyncio.Event()
        async with serve(WatchedApiServer()) as server:
            served.put((server, lambda: loop.call_soon_threadsafe(stop.set)))
            await stop.wait()
            server.break_watches()

    thread = threading.Thread(target=lambda: asyncio.run(main()), daemon=True)
    thread.start()
    server, stop = served.get(timeout=600)
    try:
        yield server
    finally:
        stop()
        thread.join()


async def _stream(request: web.Request, queue: asyncio.Queue[Manifest | None]) -> web.StreamResponse:
    response = web.StreamResponse()
    await response.prepare(request)
    while (event := await queue.get()) is not None:
        await response.write(json.dumps(event).encode() + b"\n")
    return response


def _discover(path: str) -> Manifest | None:
    """The answer to a discovery request; None for other paths."""
    known = [(resource.group, resource.version, resource.plural) for resource in RESOURCES.values()]
    known += _OTHER_RESOURCES
    groups = {(group, version) for group, version, _ in known}
    if path == "/api":
        return {"versions": ["v1"]}
    if path == "/apis":
        return {"groups": [_describe_group(*group) for group in groups if group[0]]}
    for group, version in groups:
        if path == (f"/apis/{group}/{version}" if group else f"/api/{version}"):
            return {"resources": [_describe(plural) for *place, plural in known if place == [group, version]]}
    return None


def _describe_group(group: str, version: str) -> Manifest:
    return {"name": group, "preferredVersion": {"version": version}, "versions": [{"version": version}]}


def _describe(plural: str) -> Manifest:
    kinds = {resource.plural: kind for kind, resource in RESOURCES.items()}
    kind = kinds.get(plural, plural.title())
    return {"name": plural, "kind": kind, "singularName": kind.lower(), "namespaced": True, "verbs": _ALL_VERBS}
