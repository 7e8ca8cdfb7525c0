"""The examples of hypothesis are the same in each run, so that a test does not depend on the tests next to it."""

import importlib.util
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

MAX = 2**40


def draw_examples() -> list[tuple[int, str]]:
    drawn = []

    @given(number=st.integers(0, MAX), text=st.text(max_size=20))
    @settings(max_examples=200, database=None)
    def note(number: int, text: str) -> None:
        drawn.append((number, text))

    note()
    return drawn


def test_examples_do_not_depend_on_the_modules_that_other_tests_have_loaded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    if request.config.getoption("--hypothesis-profile"):
        pytest.skip("another profile looks for new examples")
    before = draw_examples()
    path = tmp_path / "with_many_constants.py"
    path.write_text(f"VALUES = {[MAX - 7 * number for number in range(500)]}, {[chr(97 + n) * 9 for n in range(26)]}")
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.setitem(sys.modules, path.stem, module)
    assert draw_examples() == before
