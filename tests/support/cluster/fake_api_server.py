"""An API server on loopback that follows the rules a client depends on, with faults on demand.

It implements uids, resourceVersions, the status subresource, preconditions, server-side apply, pages, tokens and, in
fake_watches, watches. It implements neither schemas nor authorization.
"""

import asyncio
import itertools
import json
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any, Final, TypeVar

from aiohttp import web
from kubernetes.aio.client.configuration import Configuration

from deepsynth_operator.core.observed import Manifest
from deepsynth_operator.kubernetes.api.api_paths import RESOURCES, build_path
from deepsynth_operator.kubernetes.api.api_server import ApiServer, Timeouts

_MAX_BODY_BYTES: Final = 3 * 2**20
"""As the API server has it."""
Listener = Callable[[str, Manifest], None]
"""Called with ADDED, MODIFIED or DELETED and the object."""


@dataclass
class Fault:
    """What happens to the next request whose method and path match.

    status: answer this, with `headers` and `body`. cut: close the connection. after: carry the request out first.
    seconds: wait before that.
    """

    status: int = 0
    method: str = ""
    path: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    body: Manifest = field(default_factory=dict)
    cut: bool = False
    after: bool = False
    seconds: float = 0.0

    def matches(self, request: web.Request) -> bool:
        return self.method in {"", request.method} and self.path in request.path


@dataclass
class Seen:
    """A request that arrived."""

    method: str
    path: str
    query: dict[str, str]
    headers: Mapping[str, str]
    body: Any


class FakeApiServer:
    """objects: by path. faults: each is used once, in order. requests: all that arrived."""

    def __init__(self) -> None:
        self.objects: dict[str, Manifest] = {}
        self.faults: list[Fault] = []
        self.requests: list[Seen] = []
        self.listeners: list[Listener] = []
        self.token = ""
        """If set, requests without this token get 401."""
        self.cut_off: set[str] = set()
        """Connections that use these tokens break."""
        self.active = self.max_active = 0
        self._versions = itertools.count(100)
        self._uids = itertools.count(1)
        self.port = 0

    def put(self, manifest: Manifest) -> Manifest:
        """Store an object as if a user had applied it."""
        path = build_path(manifest["kind"], manifest["metadata"].get("namespace"), manifest["metadata"]["name"])
        return self._store(path, manifest)

    def get(self, kind: Any, name: str, namespace: str = "default") -> Manifest | None:
        return self.objects.get(build_path(kind, namespace, name))

    def delete(self, kind: Any, name: str, namespace: str = "default") -> Manifest:
        return self._remove(build_path(kind, namespace, name))

    def list_kind(self, kind: str) -> list[Manifest]:
        return [item for item in self.objects.values() if item["kind"] == kind]

    async def handle(self, request: web.Request) -> web.StreamResponse:
        self.active += 1
        self.max_active = max(self.max_active, self.active)
        try:
            return await self._handle(request)
        finally:
            self.active -= 1

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        text = await request.text()
        body = json.loads(text) if text else None
        self.requests.append(Seen(request.method, request.path, dict(request.query), request.headers, body))
        fault = next((item for item in self.faults if item.matches(request)), None)
        token = request.headers.get("Authorization", "").rpartition(" ")[2]
        if token in self.cut_off and request.transport is not None:
            self.requests.pop()
            request.transport.abort()
            return web.Response()
        if self.token and token != self.token:
            return web.json_response({"kind": "Status", "message": "Unauthorized", "code": 401}, status=401)
        if fault is None:
            return await self.respond(request, body)
        self.faults.remove(fault)
        answer = self._answer(request, body) if fault.after else None
        await asyncio.sleep(fault.seconds)
        if fault.cut and request.transport is not None:
            request.transport.abort()
            return web.Response()
        if fault.status:
            return web.json_response(fault.body, status=fault.status, headers=fault.headers)
        return answer or self._answer(request, body)

    async def respond(self, request: web.Request, body: Any) -> web.StreamResponse:
        """The answer without a fault."""
        return self._answer(request, body)

    def _answer(self, request: web.Request, body: Any) -> web.Response:
        try:
            return web.json_response(_METHODS[request.method](self, request, body))
        except _Refusal as refusal:
            message = f"{request.path}: {refusal.reason}"
            details = {"causes": [{"reason": "FieldValueInvalid", "field": refusal.field}]}
            status = {"kind": "Status", "reason": refusal.reason, "message": message, "details": details}
            return web.json_response(status, status=refusal.status)

    def _get(self, request: web.Request, _: Any) -> Manifest:
        if (found := self.objects.get(request.path)) is not None:
            return found
        if request.path.rpartition("/")[2] in {resource.plural for resource in RESOURCES.values()}:
            return self._list(request)
        raise _Refusal(404, "NotFound")

    def _list(self, request: web.Request) -> Manifest:
        parts = request.path.split("/")
        plural, prefix = parts[-1], "/".join(parts[:-1])
        kind = next(kind for kind, resource in RESOURCES.items() if resource.plural == plural)
        labels = dict(item.split("=") for item in request.query.get("labelSelector", "").split(",") if item)
        items = [
            item
            for path, item in sorted(self.objects.items())
            if item["kind"] == kind
            and path.startswith(prefix)
            and labels.items() <= item["metadata"].get("labels", {}).items()
        ]
        begin, limit = int(request.query.get("continue", 0)), int(request.query.get("limit", len(items) or 1))
        rest = str(begin + limit) if begin + limit < len(items) else ""
        version = str(max([99, *(int(item["metadata"]["resourceVersion"]) for item in self.objects.values())]))
        return {
            "kind": f"{kind}List",
            "metadata": {"resourceVersion": version, "continue": rest},
            "items": items[begin : begin + limit]
            or (None if "PartialObjectMetadata" in request.headers["Accept"] else []),
        }

    def _create(self, request: web.Request, body: Manifest) -> Manifest:
        path = f"{request.path}/{body['metadata']['name']}"
        if path in self.objects:
            raise _Refusal(409, "AlreadyExists")
        return self._store(path, body)

    def _update(self, request: web.Request, body: Manifest) -> Manifest:
        path = request.path.removesuffix("/status")
        found = self._find(path)
        for name in ("uid", "resourceVersion"):
            if body["metadata"].get(name) not in {None, found["metadata"][name]}:
                raise _Refusal(409, "Conflict")
        if path == request.path and found["kind"] == "Lease":
            return self._store(path, body)
        if path == request.path:
            raise _Refusal(403, "Forbidden")  # of a user's object the operator writes only the status
        return self._store(path, {**found, "status": body["status"]})

    def _patch(self, request: web.Request, body: Manifest) -> Manifest:
        if request.headers["Content-Type"] == "application/apply-patch+yaml":
            return self._store(request.path, _merge(self.objects.get(request.path, {}), body))
        path = request.path.removesuffix("/status")
        found = self._find(path)
        if body.get("metadata", {}).get("uid") not in {None, found["metadata"]["uid"]}:
            raise _Refusal(422, "Invalid", "metadata.uid")
        changed = body.keys() & {"status"} if path != request.path else body.keys() - {"status"}
        return self._store(path, _merge(found, {part: body[part] for part in changed}))

    def _delete(self, request: web.Request, body: Manifest) -> Manifest:
        found = self._find(request.path)
        if (body or {}).get("preconditions", {}).get("uid") not in {None, found["metadata"]["uid"]}:
            raise _Refusal(409, "Conflict")
        return self._remove(request.path)

    def _find(self, path: str) -> Manifest:
        if path not in self.objects:
            raise _Refusal(404, "NotFound")
        return self.objects[path]

    def _store(self, path: str, manifest: Manifest) -> Manifest:
        stored = deepcopy(dict(manifest))
        known = self.objects.get(path, {}).get("metadata", {})
        uid = known.get("uid") or manifest["metadata"].get("uid") or f"uid-{next(self._uids)}"
        stored["metadata"] |= {"uid": uid, "resourceVersion": str(next(self._versions))}
        self.objects[path] = stored
        self._notify("MODIFIED" if known else "ADDED", stored)
        return deepcopy(stored)

    def _remove(self, path: str) -> Manifest:
        removed = self.objects.pop(path)
        removed["metadata"]["resourceVersion"] = str(next(self._versions))
        self._notify("DELETED", removed)
        return removed

    def _notify(self, event: str, manifest: Manifest) -> None:
        for listener in self.listeners:
            listener(event, manifest)


Served = TypeVar("Served", bound=FakeApiServer)


class _Refusal(Exception):  # noqa: N818 - an answer
    def __init__(self, status: int, reason: str, field: str = "") -> None:
        super().__init__(reason)
        self.status, self.reason, self.field = status, reason, field


def _merge(old: Manifest, new: Manifest) -> Manifest:
    """A JSON merge patch."""
    merged = dict(old)
    for key, value in new.items():
        merged[key] = _merge(merged.get(key, {}), value) if isinstance(value, dict) else value
    return merged


_METHODS: dict[str, Callable[[FakeApiServer, web.Request, Any], Manifest]] = {
    "GET": FakeApiServer._get,
    "POST": FakeApiServer._create,
    "PUT": FakeApiServer._update,
    "PATCH": FakeApiServer._patch,
    "DELETE": FakeApiServer._delete,
}


@asynccontextmanager
async def serve_api() -> AsyncIterator[FakeApiServer]:
    """An empty server on a free port of loopback."""
    async with serve(FakeApiServer()) as server:
        yield server


@asynccontextmanager
async def serve(server: Served) -> AsyncIterator[Served]:
    """Let `server` listen on a free port of loopback."""
    application = web.Application(client_max_size=_MAX_BODY_BYTES)
    application.router.add_route("*", "/{path:.*}", server.handle)
    runner = web.AppRunner(application, access_log=None, shutdown_timeout=0.5)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    server.port = runner.addresses[0][1]
    try:
        yield server
    finally:
        await runner.cleanup()


class Client:
    """An ApiServer for a fake one, which records what it counted and its pauses."""

    def __init__(
        self,
        server: FakeApiServer,
        *,
        token: str = "",
        concurrency: int = 32,
        seconds: float = 60,
        guard: Callable[[], None] = lambda: None,
    ) -> None:
        self.counted: list[tuple[str, str, str]] = []
        self.pauses: list[float] = []
        configuration = Configuration(host=f"http://127.0.0.1:{server.port}")
        if token:
            configuration.api_key["BearerToken"] = f"bearer {token}"
        self.api = ApiServer(
            configuration,
            self._count,
            concurrency=concurrency,
            timeouts=Timeouts(seconds, seconds),
            guard=guard,
            pause=self._pause,
        )

    async def __aenter__(self) -> ApiServer:
        return self.api

    async def __aexit__(self, *_: object) -> None:
        await self.api.close()

    def _count(self, *labels: str) -> None:
        verb, resource, code = labels
        self.counted.append((verb, resource, code))

    async def _pause(self, seconds: float) -> None:
        self.pauses.append(seconds)
