"""Launch: the attempts of a run in this pod, from a document to an exit code.

run the workers ──▶ all have ended ──▶ the nodes agree: start them again here?
      ▲                                    │ yes: the next attempt          │ no
      └────────────────────────────────────┘                                └──▶ exit: a new Job, if any
"""

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
from typing import TYPE_CHECKING

from deepsynth_api.errors import ConfigurationError, WorkloadError
from deepsynth_api.exit_codes import ExitCode
from deepsynth_api.report import Failure, Phase
from deepsynth_api.workload import (
    MAX_RESTARTS_VARIABLE,
    NODE_NAME_VARIABLE,
    REPORT_ADDRESS_VARIABLE,
    TrainWorkload,
)
from deepsynth_train.checkpoint.opening import open_files
from deepsynth_train.coordination.run_folder import RunFolder
from deepsynth_train.launcher.agreement import Agreement
from deepsynth_train.launcher.hangs import build_limits
from deepsynth_train.launcher.in_place import Budget, NodeEnd, Verdict, find_obstacle, has_saved, judge
from deepsynth_train.launcher.reports import Reporter, say
from deepsynth_train.launcher.root_cause import (
    STOPPED,
    WorkerEnd,
    compute_exit_code,
    describe_cause,
    find_root_cause,
    is_consequence,
)
from deepsynth_train.launcher.round import Round, RoundEnd, to_wall_clock
from deepsynth_train.launcher.topology import build_topology, set_worker_environment
from deepsynth_train.launcher.watchdog import STACKS_WAIT

if TYPE_CHECKING:
    from deepsynth_train.launcher.meeting import Meeting

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
        self._folder = Path(tempfile.mkdtemp(prefix="deepsynth-train-"))
        atexit.register(shutil.rmtree, self._folder, ignore_errors=True)  # reports are served from it until then
        self._workload = workload
        self._command = command
        self._limits = limits or build_limits(workload.hang_timeout_seconds)
        self._culprit_wait = culprit_wait
        self._stacks_wait = stacks_wait
        self._topology = build_topology(workload)
        self._node = os.environ.get(NODE_NAME_VARIABLE) or socket.gethostname()
        self._budget = Budget(int(os.environ.get(MAX_RESTARTS_VARIABLE) or 0))
        self._is_stopping = False
        self._meeting: Meeting | None = None
        self._round = self._build_round(0)
        files = open_files(workload.checkpoint.uri)
        self._reporter = Reporter(workload, self._round.folder, self._topology.node_rank, files)

    def run(self) -> int:
        """Run the workers until they do not start again here, and report. Returns the exit code.

        Call from the main thread.
        """
        set_worker_environment(self._topology)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._on_signal)
        stacks: Mapping[int, str] = {}
        try:
            self._serve()
            end = self._run_rounds()
            stacks = end.stacks
            exit_code, failure = self._conclude(end)
        except WorkloadError as error:
            exit_code, failure = int(error.exit_code), describe_error(error, self._node)
        except SystemExit:
            if self._reporter.restarts:
                self._reporter.finish(None, {})
            raise
        self._reporter.finish(failure, stacks)
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
        self._is_stopping = True
        if not self._round.workers.have_started:
            say("stopped before the workers have started")
            sys.exit(ExitCode.STOPPED)
        say(f"{signal.Signals(number).name}: asking the workers to save and stop")
        self._round.workers.stop()

    def _build_round(self, restart: int) -> Round:
        folder = RunFolder(self._folder / f"start-{restart}")
        folder.path.mkdir()
        return Round(
            self._topology,
            folder,
            self._limits,
            self._node,
            restart=restart,
            stacks_wait=self._stacks_wait,
            agree=self._build_agreement if self._budget.allowed else None,
        )

    def _run_rounds(self) -> RoundEnd:
        """Run the workers, and start them again as long as the nodes agree to. Returns how the last ones ended."""
        while True:
            end = self._round.run(self._start_workers)
            if not self._budget.allowed:
                return end
            verdict = self._agree(end)
            if verdict.restart is None:
                if any(worker.code for worker in end.ends):
                    say(f"the workers do not start again in this pod: {verdict.refusal}")
                return end
            self._prepare_restart(verdict)
            if self._is_stopping:
                return end

    def _start_workers(self, on_start: Callable[[Mapping[int, int]], None]) -> Mapping[int, int]:
        from deepsynth_train.launcher.agent import run_workers
        from deepsynth_train.launcher.meeting import Meeting

        self._meeting = self._meeting or Meeting(self._topology)
        folder = self._round.folder
        result = run_workers(
            self._topology, self._meeting, self._command(folder), folder.logs, on_start, restart=self._round.restart
        )
        return {failure.local_rank: failure.exitcode for failure in result.failures.values()}

    def _build_agreement(self) -> Agreement:
        assert self._meeting is not None  # noqa: S101 - the workers have started
        assert self._meeting.board is not None  # noqa: S101 - so the nodes have met
        return Agreement(self._meeting.board, self._round.restart, self._topology.num_nodes)

    def _agree(self, end: RoundEnd) -> Verdict:
        train = self._reporter.read_train()
        return self._build_agreement().reach(
            self._describe(end), lambda ends: judge(ends, self._topology.num_nodes, self._budget, train)
        )

    def _describe(self, end: RoundEnd) -> NodeEnd:
        """How this node's workers ended, for the others."""
        cause = find_root_cause(end.ends)
        failure = end.hang or (
            self._describe_failure(cause, 128 - cause.code if cause.code < 0 else cause.code) if cause else None
        )
        obstacle = find_obstacle(failure)
        if self._is_stopping or any(worker.code in (ExitCode.DONE, *STOPPED) for worker in end.ends):
            obstacle = "its workers have finished or were asked to stop"
        return NodeEnd(
            node_rank=self._topology.node_rank,
            failure=failure,
            is_consequence=cause is not None and not end.hang and is_consequence(cause),
            at=to_wall_clock(cause.time) if cause else 0.0,
            obstacle=obstacle or self._round.find_leftovers(),
        )

    def _prepare_restart(self, verdict: Verdict) -> None:
        """Report the attempt that has ended, and wait until the next one may start."""
        assert verdict.restart is not None  # noqa: S101 - see `_run_rounds`
        failure, number = verdict.restart.failure, self._reporter.number
        say(f"attempt {number}: {failure.message} ({failure.reason}, exit code {failure.exit_code})")
        say(f"attempt {number + 1} starts in the same pods in {verdict.delay:.0f} s")
        self._budget = self._budget.spend(saved=has_saved(self._reporter.read_train()))
        self._reporter.finish_attempt(verdict.restart)
        time.sleep(verdict.delay)
        self._round = self._build_round(self._round.restart + 1)
        self._reporter.follow(self._round.folder)

    def _conclude(self, end: RoundEnd) -> tuple[int, Failure | None]:
        if end.hang:
            return int(ExitCode.HUNG), end.hang
        ends = end.ends
        cause = find_root_cause(ends)
        exit_code = compute_exit_code(ends, cause, num_nodes=self._topology.num_nodes, stopping=self._is_stopping)
        if exit_code == ExitCode.PEER_LOST and self._topology.num_nodes > 1:
            time.sleep(self._culprit_wait)
        shown = cause or next((worker for worker in ends if worker.code == ExitCode.STOPPED), None)
        return exit_code, self._describe_failure(shown, exit_code) if shown else None

    def _describe_failure(self, cause: WorkerEnd, exit_code: int) -> Failure:
        beat = self._round.folder.read_beat(cause.local_rank)
        return describe_cause(cause, exit_code, self._node, beat.step if beat else None)


def describe_error(error: WorkloadError, node: str | None = None) -> Failure:
    """A failure of the launcher itself, rather than of a worker."""
    return Failure(reason=error.reason, message=error.message, exit_code=int(error.exit_code), node=node)
