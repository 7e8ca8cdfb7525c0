"""Clients of object stores side by side, start-up and hashing counted: `make benchmark-stores`.

Each client moves the same objects to and from the same server on loopback, in a process of its own: many small ones,
and a few large ones. deepsynth: as workloads do, with ranges, conditions and sha256; the others as their documentation
shows, without any check. s3fs needs another version of botocore than the tests, so it gets a temporary environment.

    python benchmarks/stores.py [SMALL] [LARGE_MEGABYTES]     number of 16 KiB objects (500), size of each of 2 (256)
"""

import hashlib
import os
import re
import resource
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

SMALL_BYTES = 16 * 2**10
MB = 2**20
WORKERS = 16
BUCKET = "bench"


class S3Handler(BaseHTTPRequestHandler):
    """As little of S3 as the clients need, from memory. No check: neither signatures nor conditions."""

    protocol_version = "HTTP/1.1"
    objects: dict[str, bytes] = {}  # noqa: RUF012 - shared on purpose
    parts: dict[str, dict[int, bytes]] = {}  # noqa: RUF012

    def do_GET(self) -> None:
        path, _, query = self.path.partition("?")
        if "list-type" in query or path.strip("/") == BUCKET:
            self._list(query)
            return
        content = self.objects.get(path)
        if content is None:
            self._answer(404, b"<Error><Code>NoSuchKey</Code></Error>")
            return
        span = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
        if span is None:
            self._answer(200, content, self._describe(content))
            return
        start, end = int(span[1]), min(int(span[2] or len(content)), len(content) - 1)
        headers = {**self._describe(content), "Content-Range": f"bytes {start}-{end}/{len(content)}"}
        self._answer(206, memoryview(content)[start : end + 1], headers)

    do_HEAD = do_GET  # noqa: N815 - a name that the base class looks for

    def do_PUT(self) -> None:
        path, _, query = self.path.partition("?")
        content = self._read_body()
        if match := re.search(r"partNumber=(\d+)", query):
            self.parts.setdefault(path, {})[int(match[1])] = content
        else:
            self.objects[path] = content
        self._answer(200, b"", {"ETag": '"part"'})

    def do_POST(self) -> None:
        path, _, query = self.path.partition("?")
        self._read_body()
        if "uploads" in query:
            self._answer(200, b"<InitiateMultipartUploadResult><UploadId>1</UploadId></InitiateMultipartUploadResult>")
        else:
            parts = self.parts.pop(path)
            self.objects[path] = b"".join(parts[number] for number in sorted(parts))
            self._answer(200, b'<CompleteMultipartUploadResult><ETag>"whole"</ETag></CompleteMultipartUploadResult>')

    def _read_body(self) -> bytes:
        """Newer clients send a body in chunks that each carry a signature or a checksum."""
        if "aws-chunked" not in self.headers.get("Content-Encoding", ""):
            return self.rfile.read(int(self.headers.get("Content-Length", 0)))
        content = bytearray()
        while size := int(self.rfile.readline().split(b";")[0], 16):
            content += self.rfile.read(size)
            self.rfile.readline()
        while self.rfile.readline().strip():
            pass
        return bytes(content)

    def _list(self, query: str) -> None:
        prefix = re.search(r"prefix=([^&]*)", query)
        start = f"/{BUCKET}/" + (prefix[1].replace("%2F", "/") if prefix else "")
        after = re.search(r"start-after=([^&]*)", query)
        first = f"/{BUCKET}/" + (after[1].replace("%2F", "/") if after else "")
        entries = "".join(
            f"<Contents><Key>{path.removeprefix(f'/{BUCKET}/')}</Key><LastModified>2026-01-01T00:00:00.000Z"
            f'</LastModified><ETag>"{len(content)}"</ETag><Size>{len(content)}</Size></Contents>'
            for path, content in sorted(self.objects.items())
            if path.startswith(start) and (after is None or path > first)
        )
        page = f"<ListBucketResult><IsTruncated>false</IsTruncated>{entries}</ListBucketResult>"
        self._answer(200, page.encode(), {"Content-Type": "application/xml"})

    def _describe(self, content: bytes) -> dict[str, str]:
        return {"ETag": f'"{len(content)}"', "Last-Modified": "Thu, 01 Jan 2026 00:00:00 GMT", "Accept-Ranges": "bytes"}

    def _answer(self, status: int, content: bytes | memoryview, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the name in the base class
        pass


def move_with_deepsynth(names: Sequence[str], folder: Path, direction: str) -> None:
    sys.path[:0] = ["operator", "workloads"]
    from deepsynth_store.core.uri import ObjectLocation
    from deepsynth_store.objects.reading import ObjectDataset
    from deepsynth_store.objects.requests import ObjectCalls

    prefix = names[0].split("/")[0]
    location = ObjectLocation(f"s3://{BUCKET}/{prefix}", "s3", BUCKET, prefix)
    if direction == "up":
        calls = ObjectCalls(location, field="uri", on_wait=None)
        move: Callable[[str], object] = lambda name: calls.write(name.split("/")[1], folder / name)  # noqa: E731
    else:
        dataset = ObjectDataset(location, None, field="uri")
        move = lambda name: dataset.download(name.split("/")[1], folder / "down" / name)  # noqa: E731
    with ThreadPoolExecutor(WORKERS) as pool:
        list(pool.map(move, names))


def move_with_boto3(names: Sequence[str], folder: Path, direction: str) -> None:
    import boto3

    client = boto3.client("s3", region_name="us-east-1")

    def move(name: str) -> None:
        if direction == "up":
            client.upload_file(str(folder / name), BUCKET, name)
        else:
            client.download_file(BUCKET, name, str(folder / "down" / name))

    with ThreadPoolExecutor(WORKERS) as pool:
        list(pool.map(move, names))


def move_with_s3fs(names: Sequence[str], folder: Path, direction: str) -> None:
    import s3fs

    files = s3fs.S3FileSystem()
    remote, local = [f"{BUCKET}/{name}" for name in names], [str(folder / name) for name in names]
    if direction == "up":
        files.put(local, remote, batch_size=WORKERS)
    else:
        files.get(remote, [str(folder / "down" / name) for name in names], batch_size=WORKERS)


def move_with_obstore(names: Sequence[str], folder: Path, direction: str) -> None:
    import obstore
    from obstore.store import S3Store

    store = S3Store(BUCKET, client_options={"allow_http": True})

    def move(name: str) -> None:
        if direction == "up":
            obstore.put(store, name, folder / name)
            return
        with (folder / "down" / name).open("wb") as file:
            for chunk in obstore.get(store, name).stream():
                file.write(chunk)

    with ThreadPoolExecutor(WORKERS) as pool:
        list(pool.map(move, names))


CLIENTS = {
    "deepsynth": move_with_deepsynth,
    "obstore": move_with_obstore,
    "boto3": move_with_boto3,
    "s3fs": move_with_s3fs,
}


def run_client(client: str, folder: Path, kind: str, direction: str) -> None:
    """In a process of its own."""
    names = sorted(path.relative_to(folder).as_posix() for path in (folder / kind).iterdir())
    (folder / "down" / kind).mkdir(parents=True, exist_ok=True)
    CLIENTS[client](names, folder, direction)


def measure(arguments: Sequence[str], endpoint: str) -> tuple[float, float]:
    """Wall and CPU seconds of the process."""
    environment = {
        **os.environ,
        "AWS_ACCESS_KEY_ID": "a",
        "AWS_SECRET_ACCESS_KEY": "b",
        "AWS_ENDPOINT_URL": endpoint,
        "AWS_REGION": "us-east-1",
    }
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    subprocess.run(arguments, env=environment, check=True)
    after, wall = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic() - began
    return wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def check(folder: Path, kind: str) -> None:
    for path in (folder / kind).iterdir():
        found = (folder / "down" / kind / path.name).read_bytes()
        if hashlib.sha256(found).digest() != hashlib.sha256(path.read_bytes()).digest():
            raise SystemExit(f"{path.name} arrived damaged")


def install_s3fs(folder: Path) -> str:
    uv = str(Path(sys.executable).with_name("uv"))
    subprocess.run([uv, "venv", "--quiet", "--python", sys.executable, str(folder)], check=True)
    python = str(folder / "bin" / "python")
    subprocess.run([uv, "pip", "install", "--quiet", "--python", python, "s3fs"], check=True)
    return python


def main(small: int = 500, megabytes: int = 256) -> None:
    server = ThreadingHTTPServer(("127.0.0.1", 0), S3Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    endpoint = f"http://127.0.0.1:{server.server_address[1]}"
    with tempfile.TemporaryDirectory() as temporary:
        folder, pythons = Path(temporary) / "files", dict.fromkeys(CLIENTS, sys.executable)
        pythons["s3fs"] = install_s3fs(Path(temporary) / "s3fs")
        for kind, count, size in (("small", small, SMALL_BYTES), ("large", 2, megabytes * MB)):
            (folder / kind).mkdir(parents=True)
            for number in range(count):
                (folder / kind / f"{number:05}").write_bytes(os.urandom(size))
            print(f"{kind}: {count} objects of {size:,} bytes")
            for direction in ("up", "down"):
                first: tuple[float, float] | None = None
                for client, python in pythons.items():
                    command = [python, __file__, "client", client, str(folder), kind, direction]
                    wall, cpu = measure(command, endpoint)
                    if direction == "down":
                        check(folder, kind)
                    first = first or (wall, cpu)
                    print(
                        f"  {direction:4} {client:9} {wall:6.2f} s {count * size / wall / MB:7.1f} MiB/s "
                        f"CPU {cpu:5.2f} s; time {wall / first[0]:5.2f}, CPU {cpu / first[1]:5.2f} of deepsynth's"
                    )


if __name__ == "__main__":
    if sys.argv[1:2] == ["client"]:
        run_client(sys.argv[2], Path(sys.argv[3]), *sys.argv[4:])
    else:
        main(*map(int, sys.argv[1:]))
