"""The pages of docs/reference that follow from the code are up to date and complete."""

import re
from importlib import import_module
from pathlib import Path

import pytest

import deepsynth_train
from deepsynth.__main__ import COMMANDS
from deepsynth_api.exit_codes import ExitCode
from deepsynth_api.reasons import Reason
from deepsynth_client.errors import CommandExit
from deepsynth_generators import command_reference, exit_code_reference, python_reference
from support.golden_files import FOLDER

ROOT = Path(__file__).parents[4]
REFERENCE = ROOT / "docs/reference"
PAGES = re.findall(r"\w+_reference", (ROOT / "Makefile").read_text().partition("REFERENCE := ")[2].partition("\n")[0])


@pytest.mark.parametrize("name", PAGES)
def test_a_page_is_up_to_date(name: str) -> None:
    assert import_module(f"deepsynth_generators.{name}").main(["--check"]) == 0, "run `make reference`"


def test_make_runs_every_generator_of_a_page() -> None:
    assert {path.stem for path in ROOT.glob("tools/deepsynth_generators/*_reference.py")} == set(PAGES)


def test_every_reason_has_a_row() -> None:
    assert re.findall(r"^\| `(\w+)` \|", (REFERENCE / "reasons.md").read_text(), re.MULTILINE) == sorted(Reason)


def test_every_frozen_series_has_a_row() -> None:
    names = {
        re.sub(r"_(bucket|count|sum)$", "", line.partition("{")[0])
        for api in ("operator_metrics", "pod_metrics")
        for line in (FOLDER / f"api/{api}.txt").read_text().splitlines()
    }
    assert set(re.findall(r"^\| `(\w+)` \|", (REFERENCE / "metrics.md").read_text(), re.MULTILINE)) == names


@pytest.mark.parametrize("codes", [CommandExit, ExitCode])
def test_every_exit_code_has_a_row_with_its_meaning(codes: type[ExitCode | CommandExit]) -> None:
    rows = [row.split(" | ") for row in exit_code_reference.describe(codes)]
    assert [row[0] for row in rows] == [f"| {code.value}" for code in codes]
    assert all(len(row[1]) > 10 for row in rows)


def test_every_verb_and_every_option_has_a_row() -> None:
    page = (REFERENCE / "cli.md").read_text()
    assert set(re.findall(r"^### deepsynth ([a-z]+)", page, re.MULTILINE)) == set(COMMANDS)
    assert "| `-o, --output table\\|wide\\|yaml\\|json\\|name` | Format (default: table). |" in page
    assert "| `FILE...` | Images, PDF and text files. |" in page


def test_a_page_without_the_marks_is_an_error_that_shows_them() -> None:
    with pytest.raises(ValueError, match="end of options"):
        command_reference.render_page("# The deepsynth command\n")


def test_every_public_name_has_a_section_with_its_arguments() -> None:
    page = (REFERENCE / "python-api.md").read_text()
    assert {*deepsynth_train.__all__, "Client"} == set(re.findall(r"^### (\w+)", page, re.MULTILINE))
    assert "load_model(\n    model: str | Path,\n    *,\n    revision: str | None = None,\n" in page
    assert "#### Trainer.folder\n\n```py\nfolder: Path\n```\n\nWhere checkpoints" in page


def test_a_public_name_without_a_section_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("deepsynth_generators.python_reference.TRAINING", ("Trainer",))
    with pytest.raises(ValueError, match="differ by Callback, "):
        python_reference.render_page()
