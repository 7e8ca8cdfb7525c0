"""torch's elastic agent with fixed ranks: one rendezvous, one start, no restarts in place.

The controller restarts attempts. Workers that were restarted in place would read stale addresses from the old store.
"""

import logging
import os
import socket
import time
from collections.abc import Callable, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

from torch.distributed import DistError, PrefixStore, Store, TCPStore  # type: ignore[attr-defined]  # torch forgot __all__
from torch.distributed.elastic.agent.server.api import RunResult, WorkerGroup, WorkerSpec
from torch.distributed.elastic.agent.server.local_elastic_agent import LocalElasticAgent
from torch.distributed.elastic.multiprocessing import DefaultLogsSpecs, Std, SubprocessContext
from torch.distributed.elastic.rendezvous.api import RendezvousHandler, RendezvousInfo, RendezvousStoreInfo

from deepsynth_api.errors import PeerLostError
from deepsynth_train.launcher.rank_logs import LINE_PREFIX
from deepsynth_train.launcher.topology import Topology

RENDEZVOUS_TIMEOUT = 900.0
"""Seconds that a node waits for the others. The controller's startTimeoutSeconds is usually shorter."""
STORE_TIMEOUT = timedelta(minutes=5)


class FixedRendezvous(RendezvousHandler):
    """Node ranks are given, and node 0 runs the store. Waits in Python, so that signal handlers run."""

    def __init__(self, topology: Topology, timeout: float = RENDEZVOUS_TIMEOUT) -> None:
        self._topology = topology
        self._deadline = time.monotonic() + timeout
        self._store: Store | None = None

    def next_rendezvous(self) -> RendezvousInfo:
        topology = self._topology
        tcp = self._connect()
        self._store = store = PrefixStore(topology.run_id, tcp)
        store.set(f"node/{topology.node_rank}", socket.gethostname())
        missing = [f"node/{rank}" for rank in range(topology.num_nodes)]
        while missing := [key for key in missing if not store.check([key])]:
            self._wait(f"nodes {', '.join(key.removeprefix('node/') for key in missing)} did not join")
        address = RendezvousStoreInfo(topology.master_host, tcp.port)
        return RendezvousInfo(store, topology.node_rank, topology.num_nodes, address)

    def _connect(self) -> TCPStore:
        topology = self._topology
        while True:
            try:
                return TCPStore(
                    "localhost" if topology.node_rank == 0 else topology.master_host,
                    topology.master_port,
                    topology.num_nodes,
                    is_master=topology.node_rank == 0,
                    timeout=STORE_TIMEOUT if topology.node_rank == 0 else timedelta(seconds=5),
                    wait_for_workers=False,
                    multi_tenant=True,
                )
            except DistError as error:
                self._wait(f"node 0 does not answer at {topology.master_host}:{topology.master_port} ({error})")

    def _wait(self, problem: str) -> None:
        if time.monotonic() > self._deadline:
            raise PeerLostError(f"rendezvous: {problem}")
        time.sleep(0.2)

    def get_backend(self) -> str:
        return "fixed"

    @property
    def use_agent_store(self) -> bool:
        return True

    def is_closed(self) -> bool:
        return False

    def set_closed(self) -> None: ...

    def num_nodes_waiting(self) -> int:
        return 0

    def get_run_id(self) -> str:
        return self._topology.run_id

    def shutdown(self) -> bool:
        return True


class _Agent(LocalElasticAgent):
    """Passes on the process ids, which torch's agent does not publish."""

    on_start: Callable[[dict[int, int]], None]

    def _start_workers(self, worker_group: WorkerGroup) -> dict[int, Any]:
        pids: dict[int, Any] = super()._start_workers(worker_group)
        self.on_start(pids)
        return pids

    def close_logs(self) -> None:
        """Torch closes those of workers that it had to stop only."""
        handlers = self._pcontext.subprocess_handlers.values() if isinstance(self._pcontext, SubprocessContext) else ()
        for stream in (stream for handler in handlers for stream in (handler._stdout, handler._stderr)):  # noqa: SLF001
            if stream is not None:
                stream.close()


def run_workers(
    topology: Topology, command: Sequence[str], log_folder: Path, on_start: Callable[[dict[int, int]], None]
) -> RunResult:
    """Start `command` once per process, and return when all have ended. Call from the main thread.

    on_start: called with {local rank: process id}. Raises PeerLostError when the nodes do not find each other.
    """
    _silence_elastic()
    # The launcher handles SIGTERM. The agent's own handler would kill workers that are saving and lose exit codes.
    os.environ["TORCHELASTIC_SIGNALS_TO_HANDLE"] = "SIGUSR2"
    spec = WorkerSpec(
        role="train",
        local_world_size=topology.num_proc_per_node,
        rdzv_handler=FixedRendezvous(topology),
        entrypoint=command[0],
        args=tuple(command[1:]),
        max_restarts=0,
        master_addr=topology.master_host,
    )
    logs = DefaultLogsSpecs(log_dir=str(log_folder), tee=Std.ALL)
    agent = _Agent(spec, logs, log_line_prefix_template=LINE_PREFIX)
    agent.on_start = on_start
    try:
        result: RunResult = agent.run()
    finally:
        agent.close_logs()
    return result


def _silence_elastic() -> None:
    """The agent logs at length what the launcher logs in one line."""
    logger = logging.getLogger("torch.distributed.elastic")
    logger.addHandler(logging.NullHandler())
    logger.propagate = False
