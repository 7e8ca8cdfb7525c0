"""Watches for the fake API server, with bookmarks, errors, and versions that are too old."""

import asyncio
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from copy import deepcopy
from queue import Queue
from typing import Any, TypeVar

from aiohttp import web

from deepsynth_operator.core.observed import Manifest
from deepsynth_operator.kubernetes.api.api_paths import RESOURCES
from support.cluster.fake_api_server import FakeApiServer, serve


class WatchedApiServer(FakeApiServer):
    """A watch reports what has changed since its resourceVersion; `break_watches` closes all that are open."""

    def __init__(self) -> None:
        super().__init__()
        self._history: list[tuple[str, Manifest]] = []
        self.listeners.append(lambda event, manifest: self._history.append((event, deepcopy(manifest))))
        self._open: dict[Callable[[Manifest | None], None], None] = {}
        self._oldest = 0
        self._reporting = threading.Lock()
        """Tests change objects from other threads: a change while a watch starts must be reported exactly once."""

    def break_watches(self) -> None:
        for send in list(self._open):
            self._open.pop(send, None)
            send(None)

    def fail_watches(self, code: int, message: str = "") -> None:
        """Send an error to all watches: 410 means that their resourceVersion is too old."""
        self.send({"type": "ERROR", "object": {"kind": "Status", "code": code, "message": message}})

    def send(self, event: Manifest) -> None:
        """Send an event to all watches."""
        for send in list(self._open):
            send(event)

    def forget_history(self) -> None:
        """From now on, a watch from a version before the newest is refused with 410."""
        self._oldest = max(int(manifest["metadata"]["resourceVersion"]) for _, manifest in self._history)

    @property
    def watches(self) -> int:
        return len(self._open)

    async def respond(self, request: web.Request, body: Any) -> web.StreamResponse:
        if request.query.get("watch") == "true":
            return await self._watch(request)
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
        if since < self._oldest:
            status = {"kind": "Status", "code": 410, "reason": "Expired", "message": "too old resource version"}
            return web.json_response(status, status=410)
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


Watched = TypeVar("Watched", bound=WatchedApiServer)


@contextmanager
def serve_in_a_thread(build: Callable[[], Watched]) -> Iterator[Watched]:
    """In an event loop of its own, so that it answers while the operator's is blocked."""
    served: Queue[tuple[Watched, Callable[[], object]]] = Queue()

    async def main() -> None:
        loop, stop = asyncio.get_running_loop(), asyncio.Event()
        async with serve(build()) as server:
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
