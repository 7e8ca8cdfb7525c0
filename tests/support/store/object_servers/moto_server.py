"""The S3 of moto on loopback: a reimplementation in Python, fast to start."""

import contextlib
import itertools
import logging
import urllib.request
from collections.abc import Iterator
from functools import cache

from moto.server import ThreadedMotoServer

_NUMBERS = itertools.count()


@cache
def start_moto() -> str:
    """Its address. One server serves all tests of a process; each makes buckets of its own."""
    logging.getLogger("werkzeug").setLevel(logging.ERROR)  # it logs each request
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    return f"http://{host}:{port}"


@contextlib.contextmanager
def make_bucket() -> Iterator[str]:
    """The name of a new, empty bucket in `start_moto`."""
    name = f"bucket-{next(_NUMBERS)}"
    request = urllib.request.Request(f"{start_moto()}/{name}", method="PUT")  # noqa: S310 - http
    urllib.request.urlopen(request, timeout=30).close()  # noqa: S310
    yield name
