"""An S3 server on loopback for datasets larger than the disk: it makes what is read, and forgets what is written.

A file on the disk appears under many names. What is uploaded is compared with such a file and not kept where it is the
same. Other uploads stay in memory, so they must be small.

    store = EndlessStore()
    store.add("pages/data/train-00000.parquet", Template(path))
    with store: os.environ["AWS_ENDPOINT_URL"] = store.url
"""

import hashlib
import mmap
import re
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Final, Self
from urllib.parse import parse_qs, unquote, urlsplit
from xml.sax.saxutils import escape, unescape

BUCKET: Final = "large"
MARK: Final = b"#####"
"""In a template: replaced by five digits, the number of the copy."""
_PART: Final = 16 * 2**20
"""As our client cuts uploads."""
_WHEN: Final = "Thu, 01 Jan 2026 00:00:00 GMT"


class Template:
    """A file under many names. numbered: it contains MARK, so that its copies differ."""

    def __init__(self, path: Path, *, numbered: bool = False) -> None:
        with path.open("rb") as file:
            self._map = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        self._numbered = numbered
        self.size = len(self._map)
        self.fill = lru_cache(maxsize=4)(self._fill)

    def read(self, number: int) -> memoryview:
        return memoryview(self.fill(number) if self._numbered else self._map)

    def _fill(self, number: int) -> bytes:
        return self._map[:].replace(MARK, b"%05d" % number)


@dataclass(frozen=True)
class Stored:
    """An object: what was uploaded, or a copy of a template."""

    size: int
    tag: str
    kept: bytes = b""
    template: Template | None = None
    number: int = 0
    headers: Mapping[str, str] = field(default_factory=dict)

    def read(self, start: int, stop: int) -> memoryview:
        content = self.template.read(self.number) if self.template else memoryview(self.kept)
        return content[start:stop]


@dataclass
class EndlessStore:
    """latency: seconds before each answer. sent: bytes of all bodies so far. requests: how many so far."""

    latency: float = 0.0
    sent: int = 0
    requests: int = 0
    objects: dict[str, Stored] = field(default_factory=dict)
    parts: dict[str, dict[int, bytes | None]] = field(default_factory=dict)
    """By upload: the parts, None for one that is that part of a template."""
    templates: list[Template] = field(default_factory=list)
    lock: threading.RLock = field(default_factory=threading.RLock)

    def __enter__(self) -> Self:
        self._server = _Server(("127.0.0.1", 0), _Handler)
        self._server.store = self
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    @property
    def environment(self) -> dict[str, str]:
        return {
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{self._server.server_address[1]}",
            "AWS_ACCESS_KEY_ID": "a",
            "AWS_SECRET_ACCESS_KEY": "b",
            "AWS_REGION": "us-east-1",
        }

    def add(self, key: str, template: Template, number: int = 0) -> None:
        if template not in self.templates:
            self.templates.append(template)
        self.objects[key] = Stored(template.size, f'"made-{template.size}-{number}"', template=template, number=number)

    def put(self, key: str, content: bytes, headers: Mapping[str, str] | None = None) -> str:
        tag = f'"{hashlib.sha256(content).hexdigest()[:32]}"'
        self.objects[key] = Stored(len(content), tag, content, headers=headers or {})
        return tag

    def put_part(self, upload: str, number: int, content: bytes) -> None:
        start = (number - 1) * _PART
        is_made = any(each.read(0)[start : start + len(content)] == content for each in self.templates)
        self.parts.setdefault(upload, {})[number] = None if is_made else content

    def complete(self, upload: str, key: str) -> None:
        parts = self.parts.pop(upload)
        if any(part is None for part in parts.values()):
            found = [each for each in self.templates if -(-each.size // _PART) == len(parts)]
            if len(found) != 1 or any(part is not None for part in parts.values()):
                raise ValueError(f"{key} is partly another file than those that are known")
            self.add(key, found[0])
        else:
            self.put(key, b"".join(parts[number] or b"" for number in sorted(parts)))


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128
    store: EndlessStore

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that was killed."""


class _Handler(BaseHTTPRequestHandler):
    """As much of S3 as our client uses. Signatures are not checked."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: _Server

    def do_GET(self) -> None:
        store, (key, query) = self.server.store, self._start()
        if not key:
            self._list(query)
            return
        found = store.objects.get(key)
        if found is None:
            self._answer(404, b"<Error><Code>NoSuchKey</Code></Error>")
            return
        if self.headers.get("If-Match", found.tag) != found.tag:
            self._answer(412, b"<Error><Code>PreconditionFailed</Code></Error>")
            return
        headers = {"ETag": found.tag, "Last-Modified": _WHEN, **found.headers}
        span = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
        if span is None:
            self._answer(200, found.read(0, found.size), headers)
            return
        start, stop = int(span[1]), min(int(span[2]) + 1 if span[2] else found.size, found.size)
        content_range = {"Content-Range": f"bytes {start}-{stop - 1}/{found.size}"}
        self._answer(206, found.read(start, stop), {**headers, **content_range})

    do_HEAD = do_GET  # noqa: N815 - a name that the base class looks for

    def do_PUT(self) -> None:
        store, (key, query) = self.server.store, self._start()
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if source := self.headers.get("x-amz-copy-source"):
            store.objects[key] = store.objects[unquote(source).lstrip("/").removeprefix(f"{BUCKET}/")]
            self._answer(200, f"<CopyObjectResult><ETag>{store.objects[key].tag}</ETag></CopyObjectResult>".encode())
        elif "partNumber" in query:
            store.put_part(query["uploadId"], int(query["partNumber"]), body)
            self._answer(200, b"", {"ETag": f'"{query["partNumber"]}"'})
        else:
            with store.lock:
                found, wanted = store.objects.get(key), self.headers.get("If-Match")
                if (found and self.headers.get("If-None-Match")) or (wanted and (not found or found.tag != wanted)):
                    self._answer(412, b"<Error><Code>PreconditionFailed</Code></Error>")
                    return
                kept = {name: value for name, value in self.headers.items() if name.lower().startswith("x-amz-meta-")}
                tag = store.put(key, body, kept)
            self._answer(200, b"", {"ETag": tag})

    def do_POST(self) -> None:
        store, (key, query) = self.server.store, self._start()
        body = self.rfile.read(int(self.headers.get("Content-Length", 0))).decode()
        if "delete" in query:
            gone = re.findall("<Key>(.*?)</Key>", body)
            for name in gone:
                store.objects.pop(unescape(name), None)
            entries = "".join(f"<Deleted><Key>{name}</Key></Deleted>" for name in gone)
            self._answer(200, f"<DeleteResult>{entries}</DeleteResult>".encode())
        elif "uploads" in query:
            upload = hashlib.sha256(f"{key}{time.monotonic_ns()}".encode()).hexdigest()
            names = f"<Bucket>{BUCKET}</Bucket><Key>{escape(key)}</Key><UploadId>{upload}</UploadId>"
            answer = f"<InitiateMultipartUploadResult>{names}</InitiateMultipartUploadResult>"
            self._answer(200, answer.encode())
        else:
            store.complete(query["uploadId"], key)
            names = f"<Bucket>{BUCKET}</Bucket><Key>{escape(key)}</Key><ETag>{escape(store.objects[key].tag)}</ETag>"
            self._answer(200, f"<CompleteMultipartUploadResult>{names}</CompleteMultipartUploadResult>".encode())

    def do_DELETE(self) -> None:
        key, _ = self._start()
        self.server.store.objects.pop(key, None)
        self._answer(204, b"")

    def _start(self) -> tuple[str, dict[str, str]]:
        """Key and query of the request; the key of a listing is empty."""
        store, target = self.server.store, urlsplit(self.path)
        time.sleep(store.latency)
        with store.lock:
            store.requests += 1
        query = {name: values[0] for name, values in parse_qs(target.query, keep_blank_values=True).items()}
        return unquote(target.path).lstrip("/").removeprefix(BUCKET).lstrip("/"), query

    def _list(self, query: Mapping[str, str]) -> None:
        objects, start, after = self.server.store.objects, query.get("prefix", ""), query.get("start-after", "")
        entries = "".join(
            f"<Contents><Key>{escape(key)}</Key><LastModified>2026-01-01T00:00:00.000Z</LastModified>"
            f"<ETag>{escape(objects[key].tag)}</ETag><Size>{objects[key].size}</Size></Contents>"
            for key in sorted(objects)
            if key.startswith(start) and key > after
        )
        page = f"<ListBucketResult><IsTruncated>false</IsTruncated>{entries}</ListBucketResult>"
        self._answer(200, page.encode(), {"Content-Type": "application/xml"})

    def _answer(self, status: int, content: bytes | memoryview, headers: Mapping[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)
            with self.server.store.lock:
                self.server.store.sent += len(content)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the name in the base class
        pass
