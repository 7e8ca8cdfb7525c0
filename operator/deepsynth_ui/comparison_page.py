"""Runs next to each other: ?run=NAMESPACE/NAME&run=NAMESPACE/NAME."""

from collections.abc import Sequence
from typing import Final

from deepsynth_client.errors import InvalidError
from deepsynth_client.report.comparison import Comparison, build_comparison
from deepsynth_ui.addresses import Key, parse_short
from deepsynth_ui.board import Board
from deepsynth_ui.results import ResultFiles

MAX_RUNS: Final = 12


def parse_runs(names: Sequence[str]) -> list[Key]:
    """Each once. Raises InvalidError."""
    keys = [*dict.fromkeys(parse_short("TrainingRun", name) for name in names)]
    if not 2 <= len(keys) <= MAX_RUNS:
        raise InvalidError(f"choose from 2 to {MAX_RUNS} runs to compare, got {len(keys)}")
    return keys


def compare_runs(board: Board, files: ResultFiles, keys: Sequence[Key]) -> Comparison:
    """Raises NotFoundError."""
    found = [board.find(key) for key in keys]
    return build_comparison(found, [files.read_curves(item) for item in found])
