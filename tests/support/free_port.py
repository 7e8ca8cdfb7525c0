"""Ports of loopback for servers that other processes start, or that must stay closed after they ended."""

import itertools
import os
import socket
from typing import Final

_PER_WORKER: Final = 1000
_FIRST: Final = 20_000
"""Below the range that Linux takes the ports of outgoing connections from: nobody gets one of these by chance."""

_worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")) % 12
# Two runs on one machine begin at different places.
_ports = (
    _FIRST + _worker * _PER_WORKER + number % _PER_WORKER for number in itertools.count(os.getpid() * 37 % _PER_WORKER)
)


def find_free_port() -> int:
    """A port that nobody listens on, and that this process is not given again soon."""
    while True:
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # servers do so too: TIME_WAIT is no listener
            try:
                probe.bind(("127.0.0.1", port := next(_ports)))
            except OSError:
                continue
            return port
