"""The pages of a place, asked for without a network."""

import socket
import threading
import time
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from typing import Final

import uvicorn
from starlette.testclient import TestClient

from deepsynth_client.interface import Resources, Selection
from deepsynth_ui.app import build_app
from deepsynth_ui.board import Board
from deepsynth_ui.guard import LOOPBACK

ADDRESS: Final = "http://127.0.0.1:8475"


@contextmanager
def run_board(
    resources: Resources, selection: Selection | None = None, *, others: Sequence[Resources] = ()
) -> Iterator[Board]:
    """A board that has listed everything, and lists again all the time."""
    board = Board(resources, selection, others=others, round_seconds=0.2, retry_seconds=0.05)
    board.start()
    try:
        wait_until_listed(board)
        yield board
    finally:
        board.stop()


def wait_until_listed(board: Board) -> None:
    while not board.is_listed and not board.list_problems():
        time.sleep(0.01)


@contextmanager
def serve_pages(
    resources: Resources,
    selection: Selection | None = None,
    *,
    hosts: Collection[str] = LOOPBACK,
    may_fetch: bool = True,
) -> Iterator[TestClient]:
    with run_board(resources, selection) as board:
        app = build_app(board, hosts=hosts, may_fetch=may_fetch)
        with TestClient(app, base_url=ADDRESS, raise_server_exceptions=False) as client:
            yield client


@contextmanager
def serve_on_a_port(resources: Resources, selection: Selection | None = None) -> Iterator[str]:
    """The address of a server in a thread, with a slash at its end."""
    with run_board(resources, selection) as board, socket.create_server(("127.0.0.1", 0)) as listener:
        app = build_app(board, hosts=LOOPBACK, may_fetch=True, is_ending=lambda: server.should_exit)
        server = uvicorn.Server(uvicorn.Config(app, log_level="warning", timeout_graceful_shutdown=60))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}/"
        finally:
            server.should_exit = True
            thread.join()
