"""versitygw on loopback: an S3 that keeps objects as files and checks signatures. Go builds it once, into the cache."""

import atexit
import contextlib
import itertools
import os
import shutil
import subprocess
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Final

import pytest

from deepsynth_cluster.programs.build import program
from support.free_port import find_free_port

ACCESS_KEY: Final = "AKIAEXAMPLE"
SECRET_KEY: Final = "correct-horse"
_NUMBERS: Final = itertools.count()


@cache
def start_versity() -> str:
    """Its address. One server serves all tests of a process; each makes buckets of its own."""
    if shutil.which("go") is None:
        pytest.skip("needs Go")
    address = f"127.0.0.1:{find_free_port()}"
    keys = {"ROOT_ACCESS_KEY": ACCESS_KEY, "ROOT_SECRET_KEY": SECRET_KEY}
    options = [
        "--port",
        address,
        "--health",
        "/health",
        "--quiet",
        "posix",
        "--sidecar",
        str(_make_folder("attributes")),
    ]
    server = subprocess.Popen([program("versitygw"), *options, str(_make_folder("buckets"))], env=os.environ | keys)
    atexit.register(server.kill)
    for _ in range(2400):
        with contextlib.suppress(OSError):
            urllib.request.urlopen(f"http://{address}/health", timeout=5).close()
            return f"http://{address}"
        time.sleep(0.05)
    raise AssertionError("versitygw does not answer")


@contextlib.contextmanager
def make_versity_bucket() -> Iterator[str]:
    """The name of a new, empty bucket: a folder."""
    name = f"bucket-{next(_NUMBERS)}"
    (_make_folder("buckets") / name).mkdir()
    yield name


@cache
def _make_folder(name: str) -> Path:
    folder = tempfile.mkdtemp(prefix=f"versitygw-{name}-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return Path(folder)
