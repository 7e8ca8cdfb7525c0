"""torch's elastic agent with fixed ranks, for one start of the workers. It restarts nothing itself.

`launch.py` may start the workers again, with another agent: torch's own restarts give the new workers the old store.
"""

import logging
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from torch.distributed.elastic.agent.server.api import RunResult, WorkerGroup, WorkerSpec
from torch.distributed.elastic.agent.server.local_elastic_agent import LocalElasticAgent
from torch.distributed.elastic.multiprocessing import DefaultLogsSpecs, Std, SubprocessContext
from torch.distributed.elastic.rendezvous.api import RendezvousHandler, RendezvousInfo

from deepsynth_train.launcher.meeting import Meeting
from deepsynth_train.launcher.rank_logs import LINE_PREFIX, logged_ranks
from deepsynth_train.launcher.topology import Topology


class FixedRendezvous(RendezvousHandler):
    """What the agent asks: the nodes meet once, and none joins or leaves later."""

    def __init__(self, topology: Topology, meeting: Meeting, restart: int) -> None:
        self._topology = topology
        self._meeting = meeting
        self._restart = restart

    def next_rendezvous(self) -> RendezvousInfo:
        return self._meeting.join(self._restart)

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
    topology: Topology,
    meeting: Meeting,
    command: Sequence[str],
    log_folder: Path,
    on_start: Callable[[dict[int, int]], None],
    *,
    restart: int = 0,
) -> RunResult:
    """Start `command` once per process, and return when all have ended. Call from the main thread.

    restart: how often the workers were started before. on_start: called with {local rank: process id}. Raises
    PeerLostError when the nodes do not find each other.
    """
    _silence_elastic()
    # The launcher handles SIGTERM. The agent's own handler would kill workers that are saving and lose exit codes.
    os.environ["TORCHELASTIC_SIGNALS_TO_HANDLE"] = "SIGUSR2"
    spec = WorkerSpec(
        role="train",
        local_world_size=topology.num_proc_per_node,
        rdzv_handler=FixedRendezvous(topology, meeting, restart),
        entrypoint=command[0],
        args=tuple(command[1:]),
        max_restarts=0,
        master_addr=topology.master_host,
    )
    logs = DefaultLogsSpecs(log_dir=str(log_folder), tee=Std.ALL)
    agent = _Agent(spec, logs, log_line_prefix_template=LINE_PREFIX)
    agent.on_start = on_start
    with logged_ranks():
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
