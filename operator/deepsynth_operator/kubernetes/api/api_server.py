"""Requests to the API server: credentials, timeouts, limited concurrency, retries. Only this uses the client library.

A request ends in one of three ways: with the answer, with ApiRefusal when the server rejected it (4xx), or with
ClusterError when the server did not answer after several tries.
"""

import asyncio
import json
import logging
import random
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any, Final, Literal, Self

import aiohttp
from kubernetes.aio.client.api_client import ApiClient
from kubernetes.aio.client.configuration import Configuration
from pydantic_core import from_json

from deepsynth_api.delays import compute_delay
from deepsynth_api.labels import OPERATOR_NAME
from deepsynth_api.report import REPORT_BYTES
from deepsynth_api.workload import REPORT_PORT
from deepsynth_operator.core.errors import ClusterError, ControllerError
from deepsynth_operator.kubernetes.api.api_login import load_configuration
from deepsynth_operator.kubernetes.api.api_paths import RESOURCES, Kind, build_path

Verb = Literal["get", "list", "watch", "create", "update", "patch", "delete"]
ContentType = Literal["application/json", "application/merge-patch+json", "application/apply-patch+yaml"]

FIRST_DELAY_SECONDS: Final = 0.25
RETRIES: Final = 4
MAX_RETRY_AFTER_SECONDS: Final = 30.0
PAGE_SIZE: Final = 100
"""Objects in a page of a list."""
MAX_PAGE_BYTES: Final = 16 * 2**20
"""Of a page, which is in memory as a whole. Any user can create Jobs that have nine megabytes each as JSON: a page that
is too large is read again with fewer objects. A single one always fits."""
_WATCH_SECONDS: Final = (300, 600)
"""How long the API server keeps a watch open: at least and at most."""
_SILENCE_SECONDS: Final = 70.0
"""Bookmarks come every minute. What was missed on a dead connection, the API server still has."""
_MAX_MESSAGE_CHARACTERS: Final = 1024
_MAX_REFUSAL_BYTES: Final = 65_536
_METHODS: Final[dict[Verb, str]] = {
    "get": "GET",
    "list": "GET",
    "watch": "GET",
    "create": "POST",
    "update": "PUT",
    "patch": "PATCH",
    "delete": "DELETE",
}
_logger = logging.getLogger(__name__)


class ApiRefusal(ControllerError):  # noqa: N818 - an answer, not a failure
    """The API server answered 4xx.

    status: the HTTP code. reason, causes, fields: from its Status object; fields are those that the causes name.
    """

    def __init__(
        self,
        status: int,
        reason: str,
        message: str,
        causes: frozenset[str] = frozenset(),
        fields: frozenset[str] = frozenset(),
    ) -> None:
        super().__init__(message)
        self.status, self.reason, self.causes, self.fields = status, reason, causes, fields


class _TooLarge(Exception):  # noqa: N818 - never leaves this module
    """The answer has more bytes than were allowed."""


class _Unavailable(Exception):  # noqa: N818 - never leaves this module
    """The request may be retried, after at least `retry_after` seconds."""

    def __init__(self, message: str, retry_after: float = 0.0) -> None:
        super().__init__(message)
        self.retry_after = retry_after


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Of one try, in seconds."""

    connect: float = 3.0
    total: float = 10.0


class ApiServer:
    """count: called for every try with verb, plural and HTTP code (or `unreachable`). Call `close` after use.

    guard: called when a connection is ready to send a request that changes something, on every try. What it raises is
    raised instead of sending.
    """

    def __init__(
        self,
        configuration: Configuration,
        count: Callable[[str, str, str], None],
        *,
        concurrency: int = 32,
        timeouts: Timeouts = Timeouts(),
        guard: Callable[[], None] = lambda: None,
        pause: Callable[[float], Any] = asyncio.sleep,
    ) -> None:
        configuration.trace_configs = [_build_tracing(guard)]
        configuration.connection_pool_maxsize = 0  # no limit: each watch has a connection of its own
        self._client: ApiClient = _Client(configuration)
        self._client.user_agent = OPERATOR_NAME
        self._count = count
        self._slots = asyncio.Semaphore(concurrency)
        self._timeout = aiohttp.ClientTimeout(total=timeouts.total, sock_connect=timeouts.connect)
        self._pause = pause

    @classmethod
    async def connect(cls, count: Callable[[str, str, str], None], **options: Any) -> Self:
        """Log in with the service account or the kubeconfig. Raises ConfigurationError if there is neither."""
        return cls(await load_configuration(), count, **options)

    async def close(self) -> None:
        await self._client.close()

    async def request(
        self,
        verb: Verb,
        kind: Kind,
        namespace: str | None = None,
        name: str | None = None,
        subresource: str = "",
        *,
        query: dict[str, Any] | None = None,
        body: Any = None,
        content_type: ContentType = "application/json",
        accept: str = "application/json",
        retries: int = RETRIES,
        max_bytes: int | None = None,
    ) -> dict[str, Any]:
        """Send a request, with retries, and return the answer. Raises ApiRefusal or ClusterError.

        max_bytes: of the answer; _TooLarge if there are more.
        """
        path = build_path(kind, namespace, name, subresource)
        headers = {"Accept": accept, "Content-Type": content_type}
        for delay in (*_build_delays(retries), None):
            try:
                async with self._slots:
                    limit = None if max_bytes is None else max_bytes + 1
                    text = await self._try(verb, kind, path, query=query, body=body, headers=headers, limit=limit)
            except _Unavailable as error:
                if delay is None:
                    raise ClusterError(f"{verb} {path}: {error}") from error
                _logger.debug("%s %s: %s; retrying", verb, path, error)
                await self._pause(max(delay, min(error.retry_after, MAX_RETRY_AFTER_SECONDS)))
            else:
                if max_bytes is not None and len(text) > max_bytes:
                    raise _TooLarge
                return _parse_answer(text, path)
        raise AssertionError("unreachable: the last try returns or raises")

    async def list_pages(
        self, kind: Kind, namespace: str | None, *, accept: str = "application/json"
    ) -> AsyncIterator[dict[str, Any]]:
        """The pages of a list, each a List object. All have the metadata.resourceVersion of the first page."""
        query: dict[str, Any] = {"limit": PAGE_SIZE}
        if selector := RESOURCES[kind].label_selector:
            query["labelSelector"] = selector
        while True:
            limit = MAX_PAGE_BYTES if query["limit"] > 1 else None
            try:
                page = await self.request("list", kind, namespace, query=query, accept=accept, max_bytes=limit)
            except _TooLarge:
                query["limit"] = max(query["limit"] // 4, 1)
                continue
            query["limit"] = min(2 * query["limit"], PAGE_SIZE)
            yield {**page, "items": page["items"] or []}  # null in an empty PartialObjectMetadataList
            if not (token := page.get("metadata", {}).get("continue")):
                return
            query["continue"] = token

    async def read_report(self, namespace: str, pod: str) -> bytes | None:
        """What the pod answers to GET /report through the API server's proxy; None unless it answers 200. One try.

        Takes no slot of the other requests: ReportReader limits how many reports are read at the same time.
        """
        path = build_path("Pod", namespace, f"{pod}:{REPORT_PORT}", "proxy/report")
        headers = {"Accept-Encoding": "identity"}
        try:
            return await self._try("get", "Pod", path, query=None, body=None, headers=headers, limit=REPORT_BYTES + 1)
        except (_Unavailable, ApiRefusal):
            return None

    async def watch(self, kind: Kind, namespace: str | None, since: str) -> AsyncGenerator[bytes, None]:
        """What the API server sends of a watch from resourceVersion `since` on, until it ends: one JSON per line.

        Raises ApiRefusal or ClusterError. Takes no slot of the other requests. There are bookmarks, so that a
        connection on which nothing arrives is dead.
        """
        path, plural = build_path(kind, namespace), RESOURCES[kind].plural
        seconds = random.randint(*_WATCH_SECONDS)  # noqa: S311 - so that not all end at the same moment
        query = {"watch": "true", "allowWatchBookmarks": "true", "resourceVersion": since, "timeoutSeconds": seconds}
        if selector := RESOURCES[kind].label_selector:
            query["labelSelector"] = selector
        limits = aiohttp.ClientTimeout(sock_connect=self._timeout.sock_connect, sock_read=_SILENCE_SECONDS)
        headers = {"Accept": "application/json"}
        try:
            answer = await self._send("watch", path, query=query, body=None, headers=headers, limits=limits)
            async with answer:
                self._count("watch", plural, str(answer.status))
                if answer.status >= 300:
                    text = await read_at_most(answer.content, _MAX_REFUSAL_BYTES)
                    _check_answer(answer.status, answer.headers.get("Retry-After"), text)
                async for chunk in answer.content.iter_any():
                    yield chunk
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            self._count("watch", plural, "unreachable")
            raise ClusterError(f"watch {path}: {str(error) or type(error).__name__}") from error
        except _Unavailable as error:
            raise ClusterError(f"watch {path}: {error}") from error

    async def try_watch(self, kind: Kind, namespace: str | None, since: int) -> None:
        """Watch for one second, from resourceVersion `since`. Raises ApiRefusal if it is forbidden, or ClusterError."""
        query = {"watch": "true", "timeoutSeconds": 1, "resourceVersion": str(since)}
        if selector := RESOURCES[kind].label_selector:
            query["labelSelector"] = selector
        path = build_path(kind, namespace)
        try:
            async with self._slots:
                await self._try("watch", kind, path, query=query, body=None, headers={"Accept": "application/json"})
        except _Unavailable as error:
            raise ClusterError(f"watch {path}: {error}") from error

    async def _try(
        self,
        verb: Verb,
        kind: Kind,
        path: str,
        *,
        query: dict[str, Any] | None,
        body: Any,
        headers: dict[str, str],
        limit: int | None = None,
    ) -> bytes:
        """One try. Raises ApiRefusal or _Unavailable."""
        plural = RESOURCES[kind].plural
        try:
            answer = await self._send(verb, path, query=query, body=body, headers=headers, limits=self._timeout)
            async with answer:
                text = await (answer.read() if limit is None else read_at_most(answer.content, limit))
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            self._count(verb, plural, "unreachable")
            raise _Unavailable(str(error) or type(error).__name__) from error
        self._count(verb, plural, str(answer.status))
        _check_answer(answer.status, answer.headers.get("Retry-After"), text)
        return text

    async def _send(
        self,
        verb: Verb,
        path: str,
        *,
        query: dict[str, Any] | None,
        body: Any,
        headers: dict[str, str],
        limits: aiohttp.ClientTimeout,
    ) -> aiohttp.ClientResponse:
        """The answer, whose body is still to be read. Raises the errors of the HTTP library."""
        serialized = await self._client.param_serialize(
            _METHODS[verb], path, query_params=query, header_params=headers, body=body, auth_settings=["BearerToken"]
        )
        answer: aiohttp.ClientResponse
        answer = (await self._client.call_api(*serialized, _request_timeout=limits)).response
        return answer


class _Client(ApiClient):
    def sanitize_for_serialization(self, obj: Any) -> Any:
        """Our bodies are JSON already. The library would look at every value, a tenth of a request's time."""
        return obj


def _build_delays(retries: int) -> Iterator[float]:
    """Seconds between tries: doubling, with jitter so that many requests are not retried at the same moment."""
    for tries in range(1, retries + 1):
        delay = compute_delay(tries, first=FIRST_DELAY_SECONDS, longest=float("inf"))
        yield delay * random.uniform(0.5, 1.5)  # noqa: S311 - not for secrets


def _check_answer(status: int, retry_after: str | None, text: bytes) -> None:
    """Raise ApiRefusal or _Unavailable unless the answer is a success."""
    if status < 300:
        return
    parsed = _parse_status(text)
    message = str(parsed.get("message") or f"HTTP {status}")[:_MAX_MESSAGE_CHARACTERS]
    # A token that has just expired gives 401; the next try reads the new one.
    if status in {401, 408, 429} or status >= 500:
        raise _Unavailable(message, float(retry_after) if retry_after and retry_after.isdecimal() else 0.0)
    causes = (parsed.get("details") or {}).get("causes") or []
    raise ApiRefusal(
        status,
        reason=str(parsed.get("reason") or ""),
        message=message,
        causes=frozenset(str(cause.get("reason")) for cause in causes),
        fields=frozenset(str(cause.get("field")) for cause in causes),
    )


def _parse_status(text: bytes) -> dict[str, Any]:
    """The Status object of an answer; empty if a proxy in between answered something else."""
    try:
        parsed = parse_json(text)
    except ValueError:
        return {}
    return parsed if isinstance(parsed, dict) else {}


def parse_json(text: bytes) -> Any:
    """Like json.loads, at a third of its time. Raises ValueError.

    The parser refuses half a surrogate pair, which the API server never sends. A fake one in a test might.
    """
    try:
        return from_json(text)
    except ValueError:
        return json.loads(text)


def _parse_answer(text: bytes, path: str) -> dict[str, Any]:
    try:
        parsed: dict[str, Any] = parse_json(text)
    except ValueError as error:
        raise ClusterError(f"{path}: the answer must be JSON, got {text[:40]!r}") from error
    return parsed


def _build_tracing(guard: Callable[[], None]) -> aiohttp.TraceConfig:
    """Hooks into the HTTP library. Those of connections are called last before a request is sent."""

    async def note_method(_: object, context: SimpleNamespace, request: aiohttp.TraceRequestStartParams) -> None:
        context.method = request.method

    async def check(_: object, context: SimpleNamespace, __: object) -> None:
        if context.method != "GET":
            guard()

    tracing = aiohttp.TraceConfig()
    tracing.on_request_redirect.append(_refuse_redirect)
    tracing.on_request_start.append(note_method)
    tracing.on_connection_create_end.append(check)
    tracing.on_connection_reuseconn.append(check)
    return tracing


async def _refuse_redirect(*_: object) -> None:
    """The API server never redirects our requests. A pod behind its proxy could, to any address."""
    raise aiohttp.ClientConnectionError("redirects are not followed")


async def read_at_most(content: aiohttp.StreamReader, limit: int) -> bytes:
    """The first `limit` bytes, or all if there are fewer. The reader's own read(n) may return fewer."""
    read = bytearray()
    while len(read) < limit and (chunk := await content.read(limit - len(read))):
        read += chunk
    return bytes(read)
