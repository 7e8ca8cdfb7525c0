"""Loopback ports for servers that other processes start, or that must stay closed after the server has ended."""

import itertools
import os
import socket
from typing import Final

_PER_WORKER: Final = 1000
_FIRST: Final = 20_000
"""Below the range from which Linux takes ports for outgoing connections, so that no process gets one by chance."""

_worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")) % 12
# Two runs on one machine start at different ports.
_ports = (
    _FIRST + _worker * _PER_WORKER + number % _PER_WORKER for number in itertools.count(os.getpid() * 37 % _PER_WORKER)
)


def find_free_port() -> int:
    """A port without a listener, which this process will not get again soon."""
    while True:
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as servers do: TIME_WAIT does not count
            try:
                probe.bind(("127.0.0.1", port := next(_ports)))
            except OSError:
                continue
            return port
