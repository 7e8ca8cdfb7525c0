"""Discovery and watches for the fake API server: what kopf needs of one."""

import asyncio
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from copy import deepcopy
from queue import Queue
from typing import Any, Final

from aiohttp import web

from deepsynth_operator.kubernetes.api_paths import RESOURCES
from support.fake_api_server import FakeApiServer, Manifest, serve

_EVERYTHING: Final = ["create", "delete", "get", "list", "patch", "update", "watch"]
_ALSO_LOOKED_FOR: Final = (("", "v1", "namespaces"), ("apiextensions.k8s.io", "v1", "customresourcedefinitions"))


class WatchedApiServer(FakeApiServer):
    """A watch tells what has happened since the resourceVersion it names; `break_watches` ends all that are open."""

    def __init__(self) -> None:
        super().__init__()
        self._history: list[tuple[str, Manifest]] = []
        self.listeners.append(lambda event, manifest: self._history.append((event, deepcopy(manifest))))
        self._open: dict[Callable[[Manifest | None], None], None] = {}
        self._telling = threading.Lock()
        """Tests change objects in threads of their own: what happens while a watch begins is told once."""

    def break_watches(self) -> None:
        for send in list(self._open):
            self._open.pop(send, None)
            send(None)

    def fail_a_watch(self) -> None:
        """Tell the oldest of an error that is not its age."""
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

        def tell(event: str, manifest: Manifest) -> None:
            metadata = manifest["metadata"]
            is_meant = manifest["kind"] == kind and namespace in {None, metadata["namespace"]}
            if is_meant and labels.items() <= metadata.get("labels", {}).items():
                send({"type": event, "object": manifest})

        since = int(request.query.get("resourceVersion", 0))
        with self._telling:
            for event, manifest in self._history:
                if int(manifest["metadata"]["resourceVersion"]) > since:
                    tell(event, manifest)
            self.listeners.append(tell)
        self._open[send] = None
        try:
            return await _stream(request, queue)
        finally:
            with self._telling:
                self.listeners.remove(tell)
            self._open.pop(send, None)

    def _tell(self, event: str, manifest: Manifest) -> None:
        with self._telling:
            super()._tell(event, manifest)


@contextmanager
def serve_in_a_thread() -> Iterator[WatchedApiServer]:
    """With an event loop of its own: kopf takes every task of its loop for its own, and waits for them when it ends."""
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
    """What the API says of itself."""
    known = [(resource.group, resource.version, resource.plural) for resource in RESOURCES.values()]
    known += _ALSO_LOOKED_FOR
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
    return {"name": plural, "kind": kind, "singularName": kind.lower(), "namespaced": True, "verbs": _EVERYTHING}
