"""`make validate`: each figure is found in what the programs really print, and a failure fails the command."""

import sys

import pytest

from deepsynth_scorecard import __main__ as scorecard
from deepsynth_scorecard.measurements import Measurement, list_measurements

PRINTED = {
    "format": ("1153 files already formatted\n", "1153 files already formatted"),
    "lint": ("a.py:1:1: F401 unused\nFound 3 errors.\n", "3 errors"),
    "types": ("Success: no issues found in 1153 source files\n", "no issues found in 1153 source files"),
    "contracts": ("Renderer KEPT\n\nContracts: 41 kept, 0 broken.\n", "41 kept, 0 broken"),
    "spelling": ("", "no findings"),
    "docs": ("....\n1 failed, 24 passed, 1 skipped in 3.21s (0:00:03)\n", "1 failed, 24 passed, 1 skipped"),
    "tests": ("24 passed in 3.21s\n", "24 passed"),
    "coverage of operator/": ("93\n", "93"),
}


@pytest.mark.parametrize("name", PRINTED)
def test_the_figure_is_found_in_what_the_program_prints(name: str) -> None:
    output, figure = PRINTED[name]
    (measurement,) = (item for item in list_measurements([]) if item.name == name)
    assert measurement.find_figure(output) == figure


def test_errors_of_types_are_counted() -> None:
    (types,) = (item for item in list_measurements([]) if item.name == "types")
    assert types.find_figure("a.py:1: error: x\nFound 2 errors in 1 file (checked 9 source files)\n") == (
        "2 errors in 1 file (checked 9 source files)"
    )


def test_chosen_tests_run_without_coverage() -> None:
    assert [item.name for item in list_measurements(["tests/unit/project"])][-2:] == ["docs", "tests"]


def test_a_failure_is_shown_with_its_output_and_fails_the_command(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def choose(_tests: object) -> list[Measurement]:
        good = Measurement("good", [sys.executable, "-c", "print('4 found')"], r"^(\d+ found)$")
        bad = Measurement("bad", [sys.executable, "-c", "print('the cause'); raise SystemExit(2)"], r"^(\d+)$", "?")
        return [good, bad]

    monkeypatch.setattr(scorecard, "list_measurements", choose)
    assert scorecard.main([]) == 1
    shown = capsys.readouterr().out
    assert shown.startswith("good  ok      4 found")
    assert "bad   FAILED  ?" in shown
    assert "  | the cause\n" in shown
    assert shown.endswith("failed: bad\n")
