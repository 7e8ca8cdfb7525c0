"""The folder through which the workers of one node speak to their launcher: a beat, an error and stacks per worker.

Files, because they outlive the worker that wrote them. Times are CLOCK_MONOTONIC, which all processes of a node share.
"""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TypeVar

from deepsynth_api.report import Phase

T = TypeVar("T")


@dataclass(frozen=True)
class Beat:
    """Last sign of life of one worker. step: steps done. at: seconds, monotonic."""

    rank: int
    phase: Phase
    step: int
    at: float


@dataclass(frozen=True)
class ErrorRecord:
    """Why a worker ends. exit_code: what it exits with. at: seconds, monotonic.

    consequence: another process failed first, as far as this worker can tell.
    exception: the traceback's end, for errors that are not meant for users.
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

    def write_beat(self, local_rank: int, beat: Beat) -> None:
        replace_text(self.path / f"beat-{local_rank}.json", json.dumps(asdict(beat)))

    def read_beat(self, local_rank: int) -> Beat | None:
        return _read(self.path / f"beat-{local_rank}.json", Beat)

    def write_error(self, local_rank: int, error: ErrorRecord) -> None:
        replace_text(self.path / f"error-{local_rank}.json", json.dumps(asdict(error)))

    def read_error(self, local_rank: int) -> ErrorRecord | None:
        return _read(self.path / f"error-{local_rank}.json", ErrorRecord)


def replace_text(path: Path, text: str) -> None:
    """Readers see the old text or the new one. Not durable: the folder dies with the pod."""
    temporary = path.with_suffix(".tmp")
    temporary.write_text(text)
    temporary.replace(path)


def _read(path: Path, kind: type[T]) -> T | None:
    try:
        return kind(**json.loads(path.read_text()))
    except FileNotFoundError:
        return None


def say(text: str) -> None:
    """One line of the launcher in the pod's log."""
    print(f"launcher: {text}", flush=True)
