"""examples/cost: the replaced system's table comes out to the cent, and the README has the figures of the script."""

import re
from decimal import Decimal
from pathlib import Path
from runpy import run_path
from typing import Any

import pytest

FOLDER = Path(__file__).parents[3] / "examples" / "cost"


@pytest.fixture(scope="module")
def script() -> dict[str, Any]:
    return run_path(str(FOLDER / "compare.py"))


def test_the_replaced_system_s_table_comes_out_to_the_cent(script: dict[str, Any]) -> None:
    table = script["compute_replaced"]()
    assert [round(amount, 2) for name, amount in table.items() if not name.startswith("hours")] == [
        Decimal(amount) for amount in ("12.58", "20.40", "12.58", "1.53", "146.88", "167.28", "373.32")
    ]
    assert [hours for name, hours in table.items() if name.startswith("hours")] == [68, 122]


def test_the_readme_has_the_figures_of_the_script(script: dict[str, Any]) -> None:
    rows = re.findall(r"\| (\w+) \| ([\d,]+) \| ([\d.]+) \| \$([\d.]+) \|", (FOLDER / "README.md").read_text())
    expected = [
        (name, f"{documents:,}", f"{hours:.2f}", f"{cost:.4f}")
        for name, documents, hours, cost in script["compute_here"]()
    ]
    assert rows == expected


def test_the_readme_has_the_rate_that_was_measured(script: dict[str, Any]) -> None:
    rate = f"{script['read']('here.yaml')['renderer']['wordsPerSecond']:,}"
    assert rate in (FOLDER / "README.md").read_text()
    assert f"DeepSynth small                  302       {rate}" in (FOLDER.parents[1] / "README.md").read_text()
