"""Listens for the page of a place, and prints its address."""

import contextlib
import socket
from collections.abc import Callable, Collection, Sequence
from typing import Final

import uvicorn

from deepsynth_client.errors import InvalidError
from deepsynth_client.interface import Resources, Selection
from deepsynth_ui.app import build_app
from deepsynth_ui.board import Board
from deepsynth_ui.guard import LOOPBACK, is_loopback

_SHUTDOWN_SECONDS: Final = 5
"""At most: open pages notice the end within a second."""


def serve(
    resources: Resources,
    selection: Selection,
    host: str,
    port: int,
    say: Callable[[str], None],
    *,
    hosts: Collection[str] = (),
    others: Sequence[Resources] = (),
) -> None:
    """Until Ctrl-C or SIGTERM. host: empty for all addresses. port 0: any that is free. others: see Board.
    hosts: names under which it answers; by default those of loopback if it listens there, else all.

    Raises InvalidError where it cannot listen. Beyond loopback the page has no login, so there it starts no pods; see
    docs/tasks/ui.md.
    """
    is_private = is_loopback(host)
    with _listen(host, port) as listener:
        board = Board(resources, selection, others=others)
        board.start()
        app = build_app(
            board,
            hosts=hosts or ({*LOOPBACK, host} if is_private else ()),
            may_fetch=is_private,
            is_ending=lambda: server.should_exit,
        )
        server = uvicorn.Server(
            uvicorn.Config(app, log_level="warning", server_header=False, timeout_graceful_shutdown=_SHUTDOWN_SECONDS)
        )
        shown = f"[{host}]" if ":" in host else host
        say(f"http://{shown}:{listener.getsockname()[1]}/  (Ctrl-C ends it)")
        with contextlib.suppress(KeyboardInterrupt):
            server.run(sockets=[listener])
        board.stop()


def _listen(host: str, port: int) -> socket.socket:
    is_dual = not host and socket.has_dualstack_ipv6()
    family = socket.AF_INET6 if is_dual or ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, dualstack_ipv6=is_dual)
    except OSError as error:
        raise InvalidError(
            f"--host {host} --port {port}: cannot listen there: {error.strerror}; choose another port, or 0 for any"
        ) from error
