"""Where the nodes of an attempt meet: torch's key-value store in the launcher of node 0.

That store lives as long as the launcher, and the launchers agree through it. Workers that are started again get a store
of their own: in the old one they would read addresses of processes that are gone.
"""

import socket
import threading
import time
from collections.abc import Callable
from datetime import timedelta
from typing import TypeVar

from torch.distributed import DistError, PrefixStore, Store, TCPStore  # type: ignore[attr-defined]  # torch forgot __all__
from torch.distributed.elastic.rendezvous.api import RendezvousInfo, RendezvousStoreInfo

from deepsynth_api.errors import PeerLostError
from deepsynth_train.launcher.topology import Topology

RENDEZVOUS_TIMEOUT = 900.0
"""Seconds that a node waits for the others. The controller's startTimeoutSeconds is usually shorter."""
STORE_TIMEOUT = timedelta(minutes=5)
ANSWER_TIMEOUT = 10.0
"""Seconds for node 0 to answer. A machine that is gone does not even close its connections."""

T = TypeVar("T")


class StoreBoard:
    """Implements Board. Each call runs in a thread of its own, because a call to a lost machine may never return."""

    def __init__(self, store: Store, timeout: float = ANSWER_TIMEOUT) -> None:
        self._store = store
        self._timeout = timeout

    def write(self, key: str, text: str) -> None:
        self._call(lambda: self._store.set(key, text))

    def read(self, key: str) -> str | None:
        return self._call(lambda: self._store.get(key).decode() if self._store.check([key]) else None)

    def _call(self, action: Callable[[], T]) -> T:
        results: list[T] = []
        errors: list[DistError] = []

        def run() -> None:
            try:
                results.append(action())
            except DistError as error:
                errors.append(error)

        thread = threading.Thread(target=run, name="store", daemon=True)
        thread.start()
        thread.join(self._timeout)
        if results:
            return results[0]
        raise PeerLostError(f"the store of node 0 does not answer ({errors[0] if errors else 'no answer in time'})")


class Meeting:
    """Node ranks are given, and node 0 runs the store. Waits in Python, so that signal handlers run."""

    def __init__(self, topology: Topology, timeout: float = RENDEZVOUS_TIMEOUT) -> None:
        self._topology = topology
        self._timeout = timeout
        self._deadline = 0.0
        self._server: TCPStore | None = None
        self._workers_store: TCPStore | None = None
        self._board: StoreBoard | None = None

    @property
    def board(self) -> StoreBoard | None:
        """Shared by all launchers; None until the nodes have met."""
        return self._board

    def join(self, restart: int) -> RendezvousInfo:
        """Return when the launchers of all nodes have called this. restart: 0 for the first workers of these pods."""
        topology = self._topology
        self._deadline = time.monotonic() + self._timeout
        if self._server is None:
            self._server = self._connect(topology.master_port)
        board = self._board = self._board or StoreBoard(self._prefix(self._connect_client(self._server.port)))
        if restart and topology.node_rank == 0:
            self._workers_store = TCPStore("localhost", 0, is_master=True, wait_for_workers=False)
            board.write(f"{restart}/port", str(self._workers_store.port))
        board.write(f"{restart}/node/{topology.node_rank}", socket.gethostname())
        self._wait_for_nodes(board, restart)
        store = self._server if not restart else self._find_workers_store(board, restart)
        address = RendezvousStoreInfo(topology.master_host, store.port)
        return RendezvousInfo(self._prefix(store), topology.node_rank, topology.num_nodes, address)

    def _wait_for_nodes(self, board: StoreBoard, restart: int) -> None:
        missing = list(range(self._topology.num_nodes))
        while missing := [rank for rank in missing if board.read(f"{restart}/node/{rank}") is None]:
            self._wait(f"nodes {', '.join(map(str, missing))} did not join")

    def _find_workers_store(self, board: StoreBoard, restart: int) -> TCPStore:
        if self._topology.node_rank:
            self._workers_store = self._connect_client(int(board.read(f"{restart}/port") or 0))
        assert self._workers_store is not None  # noqa: S101 - node 0 has opened it
        return self._workers_store

    def _prefix(self, store: Store) -> PrefixStore:
        return PrefixStore(self._topology.run_id, store)

    def _connect(self, port: int) -> TCPStore:
        """The store of the first workers, which node 0 serves."""
        if self._topology.node_rank:
            return self._connect_client(port)
        return self._retry(
            lambda: TCPStore(
                "localhost",
                port,
                self._topology.num_nodes,
                is_master=True,
                timeout=STORE_TIMEOUT,
                wait_for_workers=False,
                multi_tenant=True,
            )
        )

    def _connect_client(self, port: int) -> TCPStore:
        host = self._topology.master_host if self._topology.node_rank else "localhost"
        limit = timedelta(seconds=5)
        return self._retry(lambda: TCPStore(host, port, is_master=False, timeout=limit, wait_for_workers=False))

    def _retry(self, connect: Callable[[], TCPStore]) -> TCPStore:
        topology = self._topology
        while True:
            try:
                return connect()
            except DistError as error:
                self._wait(f"node 0 does not answer at {topology.master_host}:{topology.master_port} ({error})")

    def _wait(self, problem: str) -> None:
        if time.monotonic() > self._deadline:
            raise PeerLostError(f"rendezvous: {problem}")
        time.sleep(0.1)
