"""Launch: one attempt on this node, from a document to an exit code."""

import atexit
import os
import shutil
import signal
import socket
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import FrameType

from deepsynth_api.errors import ConfigurationError, WorkloadError
from deepsynth_api.exit_codes import ExitCode
from deepsynth_api.report import Failure, Phase
from deepsynth_api.workload import NODE_NAME_VARIABLE, REPORT_ADDRESS_VARIABLE, TrainWorkload
from deepsynth_train.checkpoint.layout import resolve_folder
from deepsynth_train.coordination.run_folder import RunFolder
from deepsynth_train.launcher.hangs import build_limits
from deepsynth_train.launcher.reports import Reporter, say
from deepsynth_train.launcher.root_cause import WorkerEnd, compute_exit_code, describe_cause, find_root_cause
from deepsynth_train.launcher.topology import build_topology, set_worker_environment
from deepsynth_train.launcher.watchdog import STACKS_WAIT, Watchdog
from deepsynth_train.launcher.workers import Workers

CULPRIT_WAIT = 10.0
"""Seconds that a node which lost its peers waits, so that the node with the root cause exits first."""


def build_worker_command(document: Path, folder: RunFolder) -> list[str]:
    arguments = ["--document", str(document), "--folder", str(folder.path)]
    return [sys.executable, "-m", "deepsynth_train.worker", *arguments]


class Launch:
    """command: builds the command of a worker from the run folder. limits: seconds without a beat, by phase.

    culprit_wait and stacks_wait: see the constants that are their defaults.
    """

    def __init__(
        self,
        workload: TrainWorkload,
        command: Callable[[RunFolder], Sequence[str]],
        limits: Mapping[Phase, float] | None = None,
        *,
        culprit_wait: float = CULPRIT_WAIT,
        stacks_wait: float = STACKS_WAIT,
    ) -> None:
        self._folder = RunFolder(Path(tempfile.mkdtemp(prefix="deepsynth-train-")))
        atexit.register(shutil.rmtree, self._folder.path, ignore_errors=True)  # reports are served from it until then
        self._command = command(self._folder)
        self._limits = limits or build_limits(workload.hang_timeout_seconds)
        self._culprit_wait = culprit_wait
        self._stacks_wait = stacks_wait
        self._topology = build_topology(workload)
        self._node = os.environ.get(NODE_NAME_VARIABLE) or socket.gethostname()
        self._workers = Workers()
        checkpoints = resolve_folder(workload.checkpoint.uri)
        self._reporter = Reporter(workload, self._folder, self._topology.node_rank, checkpoints)

    def run(self) -> int:
        """Run the attempt to its end and report. Returns the exit code. Call from the main thread."""
        set_worker_environment(self._topology)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._on_signal)
        watchdog = Watchdog(
            self._folder,
            self._workers,
            self._limits,
            num_nodes=self._topology.num_nodes,
            stacks_wait=self._stacks_wait,
        )
        try:
            self._serve()
            exit_code, failure = self._run_workers(watchdog)
        except WorkloadError as error:
            exit_code, failure = int(error.exit_code), describe_error(error, self._node)
        self._reporter.finish(failure, watchdog.hang.stacks if watchdog.hang else {})
        if failure:
            say(f"{failure.message} ({failure.reason}, exit code {exit_code})")
        return exit_code

    def _serve(self) -> None:
        address = os.environ.get(REPORT_ADDRESS_VARIABLE)
        if not address:
            return
        from deepsynth_train.launcher.report_server import start_report_server

        try:
            start_report_server(address, self._reporter.build, node_rank=self._topology.node_rank)
        except (OSError, ValueError) as error:
            raise ConfigurationError(f"{REPORT_ADDRESS_VARIABLE}: cannot serve at {address}: {error}") from error

    def _on_signal(self, number: int, _frame: FrameType | None) -> None:
        if not self._workers.have_started:
            say("stopped before the workers have started")
            sys.exit(ExitCode.STOPPED)
        say(f"{signal.Signals(number).name}: asking the workers to save and stop")
        self._workers.stop()

    def _run_workers(self, watchdog: Watchdog) -> tuple[int, Failure | None]:
        from deepsynth_train.launcher.agent import run_workers

        with watchdog:
            result = run_workers(self._topology, self._command, self._folder.logs, self._workers.watch)
        codes = {failure.local_rank: failure.exitcode for failure in result.failures.values()}
        ends = [self._build_end(local_rank, codes) for local_rank in range(self._topology.num_proc_per_node)]
        if watchdog.hang:
            return int(ExitCode.HUNG), watchdog.hang.describe(self._node)
        return self._judge(ends)

    def _build_end(self, local_rank: int, codes: Mapping[int, int]) -> WorkerEnd:
        code, ended = self._workers.get_end(local_rank)
        return WorkerEnd(
            rank=self._topology.node_rank * self._topology.num_proc_per_node + local_rank,
            local_rank=local_rank,
            exit_code=codes.get(local_rank, 0) if code is None else code,
            ended=ended,
            error=self._folder.read_error(local_rank),
            killed=self._workers.was_killed(local_rank),
        )

    def _judge(self, ends: Sequence[WorkerEnd]) -> tuple[int, Failure | None]:
        cause = find_root_cause(ends)
        stopping = self._workers.stopping_since is not None
        exit_code = compute_exit_code(ends, cause, num_nodes=self._topology.num_nodes, stopping=stopping)
        if exit_code == ExitCode.PEER_LOST and self._topology.num_nodes > 1:
            time.sleep(self._culprit_wait)
        shown = cause or next((end for end in ends if end.code == ExitCode.STOPPED), None)
        if shown is None:
            return exit_code, None
        beat = self._folder.read_beat(shown.local_rank)
        return exit_code, describe_cause(shown, exit_code, self._node, beat.step if beat else None)


def describe_error(error: WorkloadError, node: str | None = None) -> Failure:
    """A failure of the launcher itself, rather than of a worker."""
    return Failure(reason=error.reason, message=error.message, exit_code=int(error.exit_code), node=node)
