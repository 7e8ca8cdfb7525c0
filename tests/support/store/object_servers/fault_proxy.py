"""A proxy in front of an object store that fails when asked to.

with FaultProxy("http://127.0.0.1:9000") as proxy:
    proxy.fail_next("PUT", "lost")
    os.environ["AWS_ENDPOINT_URL"] = proxy.url
"""

import http.client
import re
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Final, Literal, Self
from urllib.parse import unquote, urlsplit

FaultKind = Literal["500", "503", "429", "cut", "lost", "truncated", "short", "duplicated", "html", "html 404", "slow"]
"""cut: no answer, and no effect. lost: no answer, but the effect. truncated: half of the body, then a cut. short: half
of the body as if it were all. duplicated: the store gets the request twice. html: a proxy's page with status 200.
"""
PASSING: Final[tuple[FaultKind, ...]] = (
    *("500", "503", "429", "cut", "lost", "truncated", "short", "duplicated", "html", "html 404"),
)
_OWN_HEADERS: Final = {"connection", "transfer-encoding", "date", "server"}
_SIGNED: Final = "AWS4-HMAC-SHA256 Credential=a/20260101/us-east-1/s3/aws4_request, SignedHeaders=host, Signature=x"
PAGE: Final = b"<!DOCTYPE html><html><body>Please log in</body></html>"


@dataclass
class _Fault:
    method: str
    kind: FaultKind
    target: str
    skip: int
    times: int


@dataclass
class FaultProxy:
    """requests: (method, target) of all that arrived, in their order. is_down: cuts every connection.

    dropped_headers: what does not reach the store, as with stores that do not know them.
    """

    upstream: str
    requests: list[tuple[str, str]] = field(default_factory=list)
    retry_after: str = "7"
    is_down: bool = False
    down_from: int | None = None
    """The number of the request from which on the store is down."""
    dropped_headers: tuple[str, ...] = ()
    refuse: bytes | None = None
    """The body of a 403 to every request."""
    interruptions: dict[str, Callable[[], object]] = field(default_factory=dict)
    bodies: dict[str, tuple[str, Mapping[str, str], bytes]] = field(default_factory=dict)
    """The last request of each method: target, headers, body."""
    _faults: list[_Fault] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __enter__(self) -> Self:
        self._server = _Server(("127.0.0.1", 0), _Handler)
        self._server.proxy = self
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._server.shutdown()
        self._server.server_close()

    def stop(self) -> None:
        """Refuse connections, as a server that is off."""
        self.is_down = True
        self._server.shutdown()
        self._server.server_close()

    def start(self) -> None:
        """On the same port again."""
        address = self._server.server_address
        self._server = _Server((str(address[0]), int(address[1])), _Handler)
        self._server.proxy = self
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()
        self.is_down = False

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def fail_next(self, method: str, kind: FaultKind, times: int = 1, *, skip: int = 0, target: str = "") -> None:
        """Let the next `times` requests of a method ("*" is any) fail, after `skip` that succeed. target: a pattern."""
        self._faults.append(_Fault(method, kind, target, skip, times))

    def before_next(self, target: str, action: Callable[[], object]) -> None:
        """Run `action` when the next PUT to a target arrives, before it takes effect, as a faster client would."""
        self.interruptions[target] = action

    def interrupt(self, method: str, target: str) -> None:
        for pattern in [found for found in self.interruptions if method == "PUT" and re.search(found, unquote(target))]:
            self.interruptions.pop(pattern)()

    def put(self, uri: str, content: bytes) -> None:
        """Write an object behind the back of the client under test. uri: s3://BUCKET/KEY."""
        status, _, _ = self.forward("PUT", uri.removeprefix("s3:/"), {"Authorization": _SIGNED}, content)
        assert status == 200

    def replay(self, method: str) -> None:
        """Send the last request of a method again."""
        target, headers, body = self.bodies[method]
        self.forward(method, target, headers, body)

    def forward(
        self, method: str, target: str, headers: Mapping[str, str], body: bytes
    ) -> tuple[int, Mapping[str, str], bytes]:
        connection = http.client.HTTPConnection(urlsplit(self.upstream).netloc, timeout=60)
        try:
            dropped = {"connection", *self.dropped_headers}
            kept = {name: value for name, value in headers.items() if name.lower() not in dropped}
            connection.request(method, target, body, kept)
            answer = connection.getresponse()
            found = {name: value for name, value in answer.getheaders() if name.lower() not in _OWN_HEADERS}
            return answer.status, found, answer.read()
        finally:
            connection.close()

    def count(self, method: str, target: str = "") -> int:
        return sum(1 for found, path in self.requests if found == method and re.search(target, unquote(path)))

    def take(self, method: str, target: str) -> FaultKind | None:
        """The fault of a request that has arrived."""
        with self._lock:
            self.requests.append((method, target))
            if self.is_down or (self.down_from is not None and len(self.requests) > self.down_from):
                return "cut"
            for fault in self._faults:
                if fault.times and fault.method in {method, "*"} and re.search(fault.target, unquote(target)):
                    if fault.skip:
                        fault.skip -= 1
                    else:
                        fault.times -= 1
                        return fault.kind
        return None


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128
    proxy: FaultProxy

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that gives up is no error of the proxy."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def _handle(self) -> None:
        proxy = self.server.proxy
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        proxy.interrupt(self.command, self.path)
        kind = proxy.take(self.command, self.path)
        proxy.bodies[self.command] = (self.path, dict(self.headers), body)
        if proxy.refuse is not None:
            self._answer(403, {"Content-Type": "application/xml"}, proxy.refuse)
        elif kind == "cut":
            self.close_connection = True
        elif kind in {"429", "500", "503"}:
            self._answer(int(kind), {"Retry-After": proxy.retry_after} if kind != "500" else {}, b"<Error></Error>")
        elif kind in {"html", "html 404"}:
            self._answer(404 if kind == "html 404" else 200, {"Content-Type": "text/html"}, PAGE)
        else:
            if kind == "slow":
                time.sleep(0.2)
            status, headers, content = self._forward(body)
            if kind == "duplicated":
                status, headers, content = self._forward(body)
            if kind == "lost":
                self.close_connection = True
            elif kind == "short":
                self._answer(status, headers, content[: len(content) // 2])
            else:
                self._answer(status, headers, content, sent=len(content) // 2 if kind == "truncated" else None)

    do_GET = do_PUT = do_POST = do_HEAD = do_DELETE = _handle  # noqa: N815 - names that the base class looks for

    def _forward(self, body: bytes) -> tuple[int, Mapping[str, str], bytes]:
        return self.server.proxy.forward(self.command, self.path, dict(self.headers), body)

    def _answer(self, status: int, headers: Mapping[str, str], content: bytes, sent: int | None = None) -> None:
        self.send_response(status)
        for name, value in headers.items():
            if name.lower() != "content-length":
                self.send_header(name, value)
        lengths = [value for name, value in headers.items() if name.lower() == "content-length"]
        length = next(iter(lengths), None) if self.command == "HEAD" else None
        self.send_header("Content-Length", length or str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content if sent is None else content[:sent])
        if sent is not None:
            self.close_connection = True

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the name in the base class
        pass
