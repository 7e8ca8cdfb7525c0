"""RunFolder: the temporary folder through which the workers of a node report to their launcher.

    beat-0.json     last sign of life of local rank 0           written by the worker
    error-0.json    why local rank 0 ended                      written by the worker
    stacks-0.txt    its stacks, after SIGUSR1                   written by faulthandler
    elastic/        what they print                             written by torch's agent
    report.json     TrainReport of the node's first worker      written by local rank 0

Files, because they outlive the worker that wrote them. Times are CLOCK_MONOTONIC, which all processes of a node share.
"""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TypeVar

from deepsynth_api.report import Phase

T = TypeVar("T")

RESTART_VARIABLE = "DEEPSYNTH_RESTART"
"""Of a worker: how often the workers of its pod were started before."""


@dataclass(frozen=True)
class Beat:
    """The last heartbeat of one worker. step: steps done. at: seconds, monotonic."""

    rank: int
    phase: Phase
    step: int
    at: float


@dataclass(frozen=True)
class ErrorRecord:
    """Why a worker ends. exit_code: what it exits with. at: seconds, monotonic.

    consequence: another process failed first, as far as this worker knows.
    exception: the end of the traceback, for unexpected errors.
    """

    rank: int
    exit_code: int
    reason: str
    message: str
    at: float
    step: int | None = None
    consequence: bool = False
    exception: str | None = None


@dataclass(frozen=True)
class RunFolder:
    path: Path

    def stacks(self, local_rank: int) -> Path:
        """Where faulthandler writes the stacks of a worker."""
        return self.path / f"stacks-{local_rank}.txt"

    @property
    def report(self) -> Path:
        """TrainReport of the node's first worker."""
        return self.path / "report.json"

    @property
    def logs(self) -> Path:
        """Where torch's agent writes what the workers print."""
        return self.path / "elastic"

    def write_beat(self, local_rank: int, beat: Beat) -> None:
        replace_text(self.path / f"beat-{local_rank}.json", json.dumps(asdict(beat)))

    def read_beat(self, local_rank: int) -> Beat | None:
        return _read(self.path / f"beat-{local_rank}.json", Beat)

    def write_error(self, local_rank: int, error: ErrorRecord) -> None:
        replace_text(self.path / f"error-{local_rank}.json", json.dumps(asdict(error)))

    def read_error(self, local_rank: int) -> ErrorRecord | None:
        return _read(self.path / f"error-{local_rank}.json", ErrorRecord)


def replace_text(path: Path, text: str) -> None:
    """Readers see the old text or the new one. Not fsynced: the folder does not outlive the pod."""
    temporary = path.with_suffix(".tmp")
    temporary.write_text(text)
    temporary.replace(path)


def _read(path: Path, kind: type[T]) -> T | None:
    try:
        return kind(**json.loads(path.read_text()))
    except FileNotFoundError:
        return None
