"""`deepsynth compare`: what differs between runs: their settings, and what came out. The curves go into one chart."""

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from deepsynth.verbs.names import find_all
from deepsynth.verbs.reporting import Say, fetch_folders
from deepsynth_client.errors import InvalidError
from deepsynth_client.interface import Manifest, Resources
from deepsynth_client.report.comparison import Comparison, build_comparison, build_comparison_page
from deepsynth_client.report.page import write_report
from deepsynth_client.report.results import Curves, read_curves
from deepsynth_client.tables import format_table


def compare(resources: Resources, words: Sequence[str], say: Say) -> Comparison:
    """say: see fetch_folders. Raises InvalidError unless at least two TrainingRuns are named."""
    found = find_all(resources, words)
    if len(found) < 2 or any(item["kind"] != "TrainingRun" for item in found):
        raise InvalidError("must name at least two TrainingRuns: `deepsynth compare trun first second`")
    return build_comparison(found, [_read_curves(resources, item, say) for item in found])


def format_comparison(comparison: Comparison) -> str:
    """Settings that differ, then results, a column for each run."""
    header = ["", *comparison.names]
    settings = format_table([["SETTING", *comparison.names], *comparison.settings]) if comparison.settings else ""
    results = format_table([["RESULT", *header[1:]], *comparison.results])
    return "\n\n".join(filter(None, [settings or "the settings are equal", results]))


def write_comparison(comparison: Comparison, place: str, file: Path) -> Path:
    return write_report(build_comparison_page(comparison, place, datetime.now(UTC)), file)


def _read_curves(resources: Resources, resource: Manifest, say: Say) -> Curves:
    folder = next(iter(fetch_folders(resources, resource, say).values()), None)
    return read_curves(folder) if folder else Curves()
