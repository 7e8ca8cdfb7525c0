"""A Hugging Face Hub on loopback that fails when asked to.

    with HubServer() as hub:
        hub.fail_next("commit", "lost")
        api = HfApi(endpoint=hub.url, token=hub.token)

Written from recorded requests of the real client, not from the code under test. stop() and start() keep the state.
"""

import contextlib
import socket
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self

from support.free_port import find_free_port
from support.store.hub_server.faults import ODD, STATUS, FaultKind, Faults
from support.store.hub_server.repository import Commit, RefusedError, Repository
from support.store.hub_server.routes import Answer, Hub, Request, answer_json, find_route


class HubServer:
    """url: the value for HF_ENDPOINT. token: may read and write as user `owner`. read_token: may only read."""

    token = "hf_writer"
    read_token = "hf_reader"

    def __init__(self, owner: str = "someone", *, page_entries: int = 1000) -> None:
        tokens = {self.token: "write", self.read_token: "read"}
        self.hub = Hub(owner, tokens, page_entries=page_entries)
        self.faults = Faults()
        self.requests: list[tuple[str, str]] = []
        """(route, target) of every request, in the order of their arrival."""
        self.bytes_sent = 0
        self.interruptions: dict[str, Callable[[], object]] = {}
        self._server: _Server | None = None
        self._port = find_free_port()  # no other server takes it while this one is stopped

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.stop()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    def start(self) -> None:
        """Listen; after stop(), on the same port."""
        self._server = _Server(("127.0.0.1", self._port), self)
        self.hub.api, self.hub.files = self.url, f"http://localhost:{self._port}"
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()

    def stop(self) -> None:
        """Close the port and every connection at once."""
        if self._server is not None:
            self._server.shutdown()
            self._server.close_connections()
            self._server.server_close()
            self._server = None

    def fail_next(self, route: str, kind: FaultKind, times: int = 1, *, skip: int = 0) -> None:
        """Let the next `times` requests of a route (see ROUTES; "*" is any) fail, after `skip` that succeed."""
        self.faults.plan(route, kind, times, skip)

    def before_next(self, route: str, action: Callable[[], object]) -> None:
        """Run `action` when the next request of a route arrives, before it takes effect, as a faster client would."""
        self.interruptions[route] = action

    def count(self, route: str) -> int:
        return sum(1 for name, _ in self.requests if name == route)

    def repository(self, repo_id: str, kind: str = "dataset") -> Repository:
        return self.hub.repositories[kind, repo_id]

    def create_repository(self, repo_id: str, kind: str = "dataset", *, private: bool = False) -> Repository:
        """A repository that the client did not create."""
        self.hub.repositories[kind, repo_id] = Repository(kind, repo_id, private)
        return self.repository(repo_id, kind)

    def read(self, repo_id: str, revision: str = "main", kind: str = "dataset") -> dict[str, bytes]:
        """Path -> content, as the server has it."""
        commit: Commit = self.repository(repo_id, kind).find(revision)
        return {path: blob.content for path, blob in commit.tree.items()}


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 128  # a slow machine must not refuse connections

    def __init__(self, address: tuple[str, int], owner: HubServer) -> None:
        self.owner = owner
        self._connections: set[socket.socket] = set()
        super().__init__(address, _Handler)

    def get_request(self) -> tuple[socket.socket, Any]:
        connection, address = super().get_request()
        self._connections.add(connection)
        return connection, address

    def shutdown_request(self, request: Any) -> None:
        self._connections.discard(request)
        super().shutdown_request(request)

    def close_connections(self) -> None:
        for connection in list(self._connections):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Ignore it: in the tests clients disconnect on purpose."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1
    server: _Server

    def do_GET(self) -> None:
        owner, (route, handler) = self.server.owner, find_route(self.command, self.path)
        owner.requests.append((route, self.path))
        fault = owner.faults.take(route)
        if fault == "refuse" or (fault == "cut" and self.command in {"POST", "PUT"}):
            self.rfile.read(0 if fault == "refuse" else int(self.headers.get("Content-Length", 2)) // 2)
            self._hang_up()
            return
        request = self._read_request()
        owner.interruptions.pop(route, _do_nothing)()
        if fault in STATUS:
            status, message = STATUS[fault]
            self._send(answer_json({"error": message}, status, owner.faults.headers(fault)))
        elif fault in ODD:
            status, body, kind = ODD[fault]
            self._send(Answer(status, body, {"Content-Type": kind, **owner.faults.headers(fault)}))
        elif fault == "loop":
            self._send(Answer(302, b"", {"Location": self.path}))
        elif fault == "late":
            threading.Event().wait(owner.faults.delay)  # time.sleep is replaced in tests
            self._hang_up()
        elif (answer := _respond(owner.hub, request, handler)) and fault == "lost":
            self._hang_up()
        elif fault == "short":
            self._send(replace(answer, body=answer.body[: len(answer.body) // 2]))
        elif fault == "damaged":
            self._send(replace(answer, body=answer.body[::-1]))
        else:
            self._send(answer, cut=fault == "cut")

    do_HEAD = do_POST = do_PUT = do_DELETE = do_GET  # noqa: N815 - http.server looks for these names

    def _read_request(self) -> Request:
        headers = {key.lower(): value for key, value in self.headers.items()}
        return Request(self.command, self.path, headers, b"".join(self._read_body()))

    def _read_body(self) -> Iterator[bytes]:
        if self.headers.get("Transfer-Encoding", "").lower() != "chunked":
            yield self.rfile.read(int(self.headers.get("Content-Length", 0)))
            return
        while size := int(self.rfile.readline(), 16):
            yield self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()

    def _send(self, answer: Answer, *, cut: bool = False) -> None:
        self.send_response_only(answer.status)
        if "Date" not in answer.headers:
            self.send_header("Date", self.date_time_string())
        for key, value in {**answer.headers, "Content-Length": str(len(answer.body))}.items():
            self.send_header(key, value)
        self.end_headers()
        body = b"" if self.command == "HEAD" else answer.body[: len(answer.body) // 2] if cut else answer.body
        self.wfile.write(body)
        self.server.owner.bytes_sent += len(body)
        if cut:
            self._hang_up()

    def _hang_up(self) -> None:
        self.close_connection = True
        self.wfile.flush()
        with contextlib.suppress(OSError):
            self.connection.shutdown(socket.SHUT_RDWR)

    def log_message(self, *_: Any) -> None:
        """Keep the tests' output quiet."""


def _respond(hub: Hub, request: Request, handler: Callable[[Hub, Request], Answer]) -> Answer:
    try:
        hub.authenticate(request)
        return handler(hub, request)
    except RefusedError as refused:
        return answer_json({"error": refused.message}, refused.status, refused.headers)


def _do_nothing() -> None:
    pass
