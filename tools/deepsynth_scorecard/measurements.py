"""What is measured, in order: a program each, and how its figure is found in what it prints."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

_TEST_OPTIONS: Final = ("-n", "2", "--dist", "worksteal", "--timeout", "900", "-m", "not slow", "-q")


@dataclass(frozen=True)
class Measurement:
    """command: the name of a program in .venv/bin, or of one on the PATH, and its arguments.

    figure: its first group is shown, from the last place that matches. default: where nothing matches.
    """

    name: str
    command: Sequence[str]
    figure: str
    default: str = ""

    def find_figure(self, output: str) -> str:
        found = re.findall(self.figure, output, re.MULTILINE)
        return found[-1] if found else self.default


def list_measurements(tests: Sequence[str]) -> list[Measurement]:
    """tests: paths, to run only these; by default all tests run, with coverage."""
    chosen = Measurement("tests", ["pytest", *_TEST_OPTIONS, *tests], _RESULTS)
    return [*_CHECKS, *([chosen] if tests else _ALL_TESTS)]


_RESULTS: Final = r"^((?:\d+ \w+, )*\d+ \w+) in [\d.]+s"
"""The last line of pytest: 1 failed, 24 passed in 3.21s (0:00:03)"""
_TOTAL: Final = r"^(\d+)$"

_CHECKS: Final = (
    Measurement("format", ["ruff", "format", "--check", "."], r"^(\d+ files? .*)$"),
    Measurement("lint", ["ruff", "check", "--output-format", "concise", "."], r"^Found (.*)\.$", "no findings"),
    Measurement("types", ["mypy"], r"^(?:Success: |Found )(.*source files?\)?)$"),
    Measurement("contracts", ["lint-imports"], r"^Contracts: (.*)\.$"),
    Measurement("spelling", ["codespell"], r"^(.+: .+==>.+)$", "no findings"),
    Measurement("generated files", ["make", "--no-print-directory", "check-generated"], r"^(.*)$", "up to date"),
    Measurement("docs", ["pytest", "-q", "tests/unit/project"], _RESULTS),
)
_ALL_TESTS: Final = (
    Measurement("tests", ["pytest", *_TEST_OPTIONS, "--cov", "--cov-report="], _RESULTS),
    *(
        Measurement(
            f"coverage of {folder}/",
            ["coverage", "report", "--format=total", f"--include={folder}/*", f"--fail-under={percent}"],
            _TOTAL,
        )
        for folder, percent in (("operator", 90), ("workloads", 85))
    ),
)
