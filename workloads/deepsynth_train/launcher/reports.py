"""The launcher's reports: GET /report while it runs, at the end the termination message and its copy, and log lines."""

import logging
import os
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from pydantic import ValidationError

from deepsynth_api.errors import WorkloadError
from deepsynth_api.reasons import Reason
from deepsynth_api.report import Failure, Report, Restart, TrainReport, parse_report
from deepsynth_api.report_fit import fit_report
from deepsynth_api.workload import TERMINATION_LOG_PATH, TERMINATION_LOG_VARIABLE, TrainWorkload
from deepsynth_train.checkpoint.files import RunFiles
from deepsynth_train.checkpoint.layout import REPORTS
from deepsynth_train.coordination.run_folder import RunFolder
from deepsynth_train.launcher.rank_logs import read_ends

_logger = logging.getLogger("deepsynth_train.launcher")

FILES_SECONDS: Final = 20.0
"""How long a launcher waits for the files next to the checkpoints."""


class Reporter:
    """Combines the workers' report, the failure of this attempt and those of earlier ones.

    restarts: the attempts that have ended in these pods, while the launchers started the workers again.
    """

    def __init__(self, workload: TrainWorkload, folder: RunFolder, node_rank: int, files: RunFiles) -> None:
        self.restarts: list[Restart] = []
        self._attempt = workload.attempt
        self._uid = workload.uid
        self._folder = folder
        self._node_rank = node_rank
        self._first_rank = node_rank * workload.num_proc_per_node
        self._files = files
        self._previous: Failure | None = None
        if self._attempt > 1:
            run_shortly(self._read_previous, "read the previous report")

    @property
    def number(self) -> int:
        """Number of the attempt that runs."""
        return self._attempt + len(self.restarts)

    def build(self, failure: Failure | None = None) -> Report:
        return Report(
            step="train",
            time=datetime.now(UTC),
            train=self.read_train(),
            failure=failure,
            previous=self._previous,
            restarts=list(self.restarts),
        )

    def read_train(self) -> TrainReport:
        """What the node's first worker last reported."""
        with suppress(FileNotFoundError, ValidationError):
            return TrainReport.model_validate_json(self._folder.report.read_text())
        return TrainReport(attempt=self.number)

    def finish_attempt(self, restart: Restart) -> None:
        """The attempt has ended, and the next one starts here. Its report stays next to the checkpoints."""
        self._copy(fit_report(self.build(restart.failure)), {})
        self.restarts.append(restart)

    def follow(self, folder: RunFolder) -> None:
        """Read what the workers report from this folder, which is that of the next attempt."""
        self._folder = folder

    def finish(self, failure: Failure | None, stacks: Mapping[int, str]) -> None:
        """Write the termination message and, next to the checkpoints, its copy, the ends of the logs, and stacks."""
        text = fit_report(self.build(failure))
        write_termination_message(text)
        self._copy(text, stacks)

    def _copy(self, text: str, stacks: Mapping[int, str]) -> None:
        def copy() -> None:
            if self._owns_checkpoints():
                self._write_copies(text, stacks)

        run_shortly(copy, "copy the report next to the checkpoints")

    def _write_copies(self, text: str, stacks: Mapping[int, str]) -> None:
        stem = f"{REPORTS}/attempt-{self.number}-node-{self._node_rank}"
        self._files.write(f"{stem}.json", text.encode())
        for local_rank, stack in stacks.items():
            self._files.write(f"{stem}-local-rank-{local_rank}-stacks.txt", stack.encode())
        for local_rank, end in read_ends(self._folder.logs).items():
            name = f"{REPORTS}/attempt-{self.number}-rank-{self._first_rank + local_rank}.log"
            self._files.write(name, end.encode())

    def _owns_checkpoints(self) -> bool:
        """Whether the checkpoint folder belongs to this run or to none."""
        owner = self._files.read_owner()
        return owner is None or owner.run_uid == self._uid

    def _read_previous(self) -> None:
        """The failure of the previous attempt; of several nodes, the one that did not merely lose its peers."""
        stem = f"{REPORTS}/attempt-{self._attempt - 1}-node-"
        failures = []
        for name in self._files.list_files(REPORTS):
            if name.startswith(stem) and name.endswith(".json"):
                report = parse_report((self._files.read(name) or b"").decode(errors="replace"))
                if report and report.failure:
                    failures.append(report.failure)
        self._previous = min(failures, key=lambda failure: failure.reason == Reason.PEER_LOST, default=None)


def run_shortly(action: Callable[[], None], what: str) -> None:
    """Run what a launcher can do without. It gives up when a volume or a store does not answer in time.

    what: completes "cannot ...".
    """
    problem = f"there was no answer within {FILES_SECONDS:.0f} s"

    def run() -> None:
        nonlocal problem
        try:
            action()
            problem = ""
        except (WorkloadError, OSError) as error:
            problem = str(error)

    thread = threading.Thread(target=run, name=what, daemon=True)
    thread.start()
    thread.join(FILES_SECONDS)
    if problem:
        say(f"cannot {what}: {problem}")


def write_termination_message(text: str) -> None:
    """Write the file that the kubelet reads after the container has ended."""
    path = Path(os.environ.get(TERMINATION_LOG_VARIABLE, TERMINATION_LOG_PATH))
    try:
        path.write_text(text)
    except OSError as error:
        say(f"cannot write the termination message: {error}")


def say(text: str) -> None:
    """Write one line of the launcher to the pod's log."""
    _logger.info(text)
