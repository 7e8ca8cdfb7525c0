"""Azurite on loopback: the double of Azure Blob Storage by Microsoft. npm brings it once, into the cache."""

import atexit
import base64
import contextlib
import hashlib
import hmac
import itertools
import shutil
import subprocess
import urllib.request
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Final

import pytest

from deepsynth_host.cache import cache_folder, locked
from support.free_port import find_free_port

ACCOUNT: Final = "devstoreaccount1"
KEY: Final = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
"""Public: each Azurite has this account and this key."""
_VERSION: Final = "3.37.0"
_NUMBERS: Final = itertools.count()


@cache
def start_azurite() -> str:
    """Its address, without the account. One server serves all tests of a process; each makes containers of its own."""
    port = find_free_port()
    command = ["node", str(_install()), "--inMemoryPersistence", "--disableTelemetry", "--skipApiVersionCheck"]
    server = subprocess.Popen(
        [*command, "--blobHost", "127.0.0.1", "--blobPort", str(port)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    atexit.register(server.kill)
    assert server.stdout is not None
    said = [line for line in itertools.islice(server.stdout, 3) if line]  # the third one comes when it listens
    assert "successfully listens" in said[-1], said
    return f"http://127.0.0.1:{port}"


def _install() -> Path:
    """The script of its blob service."""
    npm = shutil.which("npm")
    if npm is None:
        pytest.skip("needs npm")
    folder = cache_folder("azurite", _VERSION)
    script = folder / "node_modules/azurite/dist/src/blob/main.js"
    with locked(folder / "lock"):
        if not (folder / "complete").exists():
            package = [npm, "install", "--no-audit", "--no-fund", "--ignore-scripts", f"azurite@{_VERSION}"]
            subprocess.run(package, cwd=folder, check=True, capture_output=True)
            (folder / "complete").touch()
    return script


@contextlib.contextmanager
def make_container() -> Iterator[str]:
    """The name of a new, empty container."""
    name = f"container-{next(_NUMBERS)}"
    headers = {"x-ms-date": f"{datetime.now(UTC):%a, %d %b %Y %H:%M:%S} GMT", "x-ms-version": "2021-08-06"}
    signed = "".join(f"{header}:{value}\n" for header, value in headers.items())
    text = "PUT" + "\n" * 12 + f"{signed}/{ACCOUNT}/{ACCOUNT}/{name}\nrestype:container"
    signature = base64.b64encode(hmac.digest(base64.b64decode(KEY), text.encode(), hashlib.sha256)).decode()
    request = urllib.request.Request(  # noqa: S310 - http
        f"{start_azurite()}/{ACCOUNT}/{name}?restype=container",
        method="PUT",
        headers={**headers, "Authorization": f"SharedKey {ACCOUNT}:{signature}"},
    )
    urllib.request.urlopen(request, timeout=30).close()  # noqa: S310
    yield name
