"""The XML API of Google Cloud Storage in front of fake-gcs-server, which takes writes by the JSON API only.

obstore speaks the XML API. This front changes the form of requests and answers; objects, generations and conditions are
the emulator's. Only the parts of an upload are kept here, until its completion writes them as one object.

with GcsFront("http://127.0.0.1:4443", accepts=lambda token: token == "a token") as front:
    os.environ["GOOGLE_BASE_URL"] = front.url
"""

import hashlib
import http.client
import json
import re
import threading
import uuid
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Final, Self
from urllib.parse import parse_qsl, quote, unquote, urlencode, urlsplit
from xml.etree import ElementTree as ET
from xml.sax.saxutils import escape

_MIN_PART_BYTES: Final = 5 * 2**20
_MAX_KEYS: Final = "1000"
_IF_GENERATION: Final = "x-goog-if-generation-match"
_KEPT_HEADERS: Final = ("content-type", "content-range", "etag", "last-modified", "x-goog-generation")
_META: Final = "x-goog-meta-"


@dataclass(frozen=True)
class _Answer:
    status: int
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)


class _RefusalError(Exception):
    def __init__(self, status: int, code: str, message: str) -> None:
        text = f"<?xml version='1.0' encoding='UTF-8'?><Error><Code>{code}</Code><Message>{message}</Message></Error>"
        self.answer = _Answer(status, text.encode(), {"Content-Type": "application/xml; charset=UTF-8"})


@dataclass(frozen=True)
class _Request:
    method: str
    bucket: str
    key: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    """Names in lower case."""
    body: bytes


@dataclass(frozen=True)
class _Upload:
    request: _Request
    """The one that started it, whose headers the object gets."""
    parts: dict[int, bytes] = field(default_factory=dict)


@dataclass
class GcsFront:
    """accepts: whether a bearer token is valid."""

    upstream: str
    accepts: Callable[[str], bool]
    _uploads: dict[str, _Upload] = field(default_factory=dict)

    def __enter__(self) -> Self:
        self._server = _Server(("127.0.0.1", 0), _Handler)
        self._server.front = self
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._server.shutdown()
        self._server.server_close()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def answer(self, request: _Request) -> _Answer:
        try:
            self._require_access(request)
            return self._find_action(request)(request)
        except _RefusalError as error:
            return error.answer

    def _require_access(self, request: _Request) -> None:
        if not self.accepts(request.headers.get("authorization", "").removeprefix("Bearer ")):
            raise _RefusalError(401, "AuthenticationRequired", "Authentication required.")

    def _find_action(self, request: _Request) -> Callable[[_Request], _Answer]:
        match request.method, *sorted(request.query.keys() & {"uploads", "uploadId"}):
            case "GET", *_ if not request.key:
                return self._list
            case "GET" | "HEAD", *_:
                return self._get
            case "PUT", "uploadId":
                return self._put_part
            case "PUT", *_:
                return self._copy if "x-goog-copy-source" in request.headers else self._put
            case "POST", "uploads":
                return self._start_upload
            case "POST", "uploadId":
                return self._complete_upload
            case "DELETE", "uploadId":
                return self._abort_upload
            case "DELETE", *_:
                return self._delete
        raise _RefusalError(501, "NotImplemented", f"{request.method} of {sorted(request.query)}")

    def _list(self, request: _Request) -> _Answer:
        names = {"prefix": "prefix", "delimiter": "delimiter", "continuation-token": "pageToken"}
        asked = {names[name]: value for name, value in request.query.items() if name in names}
        if after := request.query.get("start-after"):
            asked["startOffset"] = f"{after}\0"  # the JSON API includes the name itself
        asked["maxResults"] = request.query.get("max-keys", _MAX_KEYS)
        path = f"/storage/v1/b/{_quote(request.bucket)}/o?{urlencode(asked)}"
        found = self._ask_json(request, path, method="GET")
        return _build_xml("ListBucketResult", _describe_listing(found))

    def _get(self, request: _Request) -> _Answer:
        headers = {name: value for name, value in request.headers.items() if name == "range"}
        asked = {name: value for name, value in request.query.items() if name == "generation"}
        path = f"/download{_name_object(request.bucket, request.key)}?{urlencode(asked)}"
        answer = self._forward(request.method, path, headers, b"")
        self._refuse(request, answer)
        found = {name.lower(): value for name, value in answer.headers.items()}
        if request.headers.get("if-match", found.get("etag")) != found.get("etag"):
            raise _RefusalError(412, "PreconditionFailed", "At least one of the pre-conditions did not hold.")
        kept = {name: value for name, value in found.items() if name in _KEPT_HEADERS or name.startswith(_META)}
        if request.method == "HEAD":
            kept["content-length"] = found["content-length"]
        return _Answer(answer.status, answer.body, kept)

    def _put(self, request: _Request) -> _Answer:
        return self._write(request, request.body)

    def _write(self, request: _Request, content: bytes) -> _Answer:
        asked = {"uploadType": "multipart"}
        if _IF_GENERATION in request.headers:
            asked["ifGenerationMatch"] = request.headers[_IF_GENERATION]
        attributes = {
            name.removeprefix(_META): value for name, value in request.headers.items() if name.startswith(_META)
        }
        kind = request.headers.get("content-type", "application/octet-stream")
        boundary = uuid.uuid4().hex
        described = json.dumps({"name": request.key, "contentType": kind, "metadata": attributes})
        start = f"--{boundary}\r\nContent-Type: application/json\r\n\r\n{described}\r\n"
        start += f"--{boundary}\r\nContent-Type: {kind}\r\n\r\n"
        found = self._ask_json(
            request,
            f"/upload/storage/v1/b/{_quote(request.bucket)}/o?{urlencode(asked)}",
            headers={"Content-Type": f"multipart/related; boundary={boundary}"},
            body=b"".join((start.encode(), content, f"\r\n--{boundary}--\r\n".encode())),
        )
        return _Answer(200, headers={"ETag": f'"{found["etag"]}"', "x-goog-generation": found["generation"]})

    def _copy(self, request: _Request) -> _Answer:
        if _IF_GENERATION in request.headers:  # the emulator would ignore it
            raise _RefusalError(501, "NotImplemented", "a copy with a condition")
        bucket, _, key = request.headers["x-goog-copy-source"].lstrip("/").partition("/")
        target = _name_object(request.bucket, request.key).removeprefix("/storage/v1")
        path = f"{_name_object(unquote(bucket), unquote(key))}/rewriteTo{target}"
        found = self._ask_json(request, path)["resource"]
        return _build_xml("CopyObjectResult", [_tag("ETag", f'"{found["etag"]}"')])

    def _delete(self, request: _Request) -> _Answer:
        self._refuse(request, self._forward("DELETE", _name_object(request.bucket, request.key), {}, b""))
        return _Answer(204)

    def _start_upload(self, request: _Request) -> _Answer:
        name = uuid.uuid4().hex
        self._uploads[name] = _Upload(request)
        return _build_xml("InitiateMultipartUploadResult", [_tag("UploadId", name)])

    def _put_part(self, request: _Request) -> _Answer:
        self._find_upload(request).parts[int(request.query["partNumber"])] = request.body
        return _Answer(200, headers={"ETag": _compute_tag(request.body)})

    def _complete_upload(self, request: _Request) -> _Answer:
        upload = self._find_upload(request)
        parts = []
        for part in ET.fromstring(request.body):  # noqa: S314 - the client under test has written it
            found = upload.parts.get(int(part.findtext("PartNumber", "0")))
            if found is None or part.findtext("ETag") != _compute_tag(found):
                raise _RefusalError(400, "InvalidPart", "One or more of the specified parts could not be found.")
            parts.append(found)
        if any(len(part) < _MIN_PART_BYTES for part in parts[:-1]):
            raise _RefusalError(400, "EntityTooSmall", "Your proposed upload is smaller than the minimum size.")
        written = self._write(upload.request, b"".join(parts))
        self._uploads.pop(request.query["uploadId"], None)
        answer = _build_xml("CompleteMultipartUploadResult", [_tag("ETag", written.headers["ETag"])])
        return _Answer(200, answer.body, {**answer.headers, **written.headers})

    def _abort_upload(self, request: _Request) -> _Answer:
        self._find_upload(request)
        self._uploads.pop(request.query["uploadId"], None)
        return _Answer(204)

    def _find_upload(self, request: _Request) -> _Upload:
        upload = self._uploads.get(request.query["uploadId"])
        if upload is None:
            raise _RefusalError(404, "NoSuchUpload", "The specified upload does not exist.")
        return upload

    def _ask_json(
        self,
        request: _Request,
        path: str,
        *,
        method: str = "POST",
        headers: Mapping[str, str] | None = None,
        body: bytes = b"",
    ) -> Any:
        answer = self._forward(method, path, headers or {}, body)
        self._refuse(request, answer)
        return json.loads(answer.body)

    def _refuse(self, request: _Request, answer: _Answer) -> None:
        """Raise for an answer that is an error."""
        if answer.status == 404:
            bucket = self._forward("GET", f"/storage/v1/b/{_quote(request.bucket)}", {}, b"")
            if bucket.status == 404:
                raise _RefusalError(404, "NoSuchBucket", "The specified bucket does not exist.")
            raise _RefusalError(404, "NoSuchKey", "The specified key does not exist.")
        if answer.status == 412:
            raise _RefusalError(412, "PreconditionFailed", "At least one of the pre-conditions did not hold.")
        if answer.status == 416:
            raise _RefusalError(416, "InvalidRange", "The requested range cannot be satisfied.")
        if answer.status >= 400:
            raise _RefusalError(answer.status, "InvalidArgument", escape(answer.body.decode(errors="replace")))

    def _forward(self, method: str, path: str, headers: Mapping[str, str], body: bytes) -> _Answer:
        connection = http.client.HTTPConnection(urlsplit(self.upstream).netloc, timeout=60)
        try:
            connection.request(method, path, body, dict(headers))
            answer = connection.getresponse()
            return _Answer(answer.status, answer.read(), dict(answer.getheaders()))
        finally:
            connection.close()


def _describe_listing(found: Mapping[str, Any]) -> Iterable[str]:
    for entry in found.get("items") or []:
        fields = {
            "Key": entry["name"],
            "Generation": entry["generation"],
            "Size": entry["size"],
            "LastModified": entry["updated"],
            "ETag": f'"{entry["etag"]}"',
        }
        yield f"<Contents>{''.join(_tag(name, value) for name, value in fields.items())}</Contents>"
    for prefix in found.get("prefixes") or []:
        yield f"<CommonPrefixes>{_tag('Prefix', prefix)}</CommonPrefixes>"
    if token := found.get("nextPageToken"):
        yield _tag("NextContinuationToken", token)


def _build_xml(name: str, children: Iterable[str]) -> _Answer:
    text = f"<?xml version='1.0' encoding='UTF-8'?><{name}>{''.join(children)}</{name}>"
    return _Answer(200, text.encode(), {"Content-Type": "application/xml; charset=UTF-8"})


def _tag(name: str, value: str) -> str:
    return f"<{name}>{escape(value)}</{name}>"


def _compute_tag(content: bytes) -> str:
    return f'"{hashlib.md5(content, usedforsecurity=False).hexdigest()}"'


def _quote(name: str) -> str:
    return quote(name, safe="")


def _name_object(bucket: str, key: str) -> str:
    return f"/storage/v1/b/{_quote(bucket)}/o/{_quote(key)}"


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128
    front: GcsFront

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that gives up is no error of the server."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def _handle(self) -> None:
        parts = urlsplit(self.path)
        bucket, key = re.fullmatch("/([^/]*)/?(.*)", parts.path).groups()  # type: ignore[union-attr]
        answer = self.server.front.answer(
            _Request(
                self.command,
                unquote(bucket),
                unquote(key),
                dict(parse_qsl(parts.query, keep_blank_values=True)),
                {name.lower(): value for name, value in self.headers.items()},
                self.rfile.read(int(self.headers.get("Content-Length", 0))),
            )
        )
        headers = {"content-length": str(len(answer.body)), **answer.headers}
        self.send_response(answer.status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(answer.body)

    do_GET = do_PUT = do_POST = do_HEAD = do_DELETE = _handle  # noqa: N815 - names that the base class looks for

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the name in the base class
        pass
