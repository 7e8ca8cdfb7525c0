"""The end of a local log, as `deepsynth logs --tail` and the page read it."""

from pathlib import Path

import pytest

from deepsynth_client.interface import PodLog
from deepsynth_local import local_resources
from deepsynth_local.local_resources import LocalResources
from deepsynth_local.runs.runs_folder import RunsFolder

LOG = PodLog("run-0-abc", "run", 0, is_over=True)


def read_tail(folder: Path, content: bytes, tail: int) -> list[str]:
    runs = RunsFolder.open(folder)
    file = runs.log_file(LOG.pod)
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(content)
    return list(LocalResources(runs).read_log({}, LOG, tail=tail))


@pytest.mark.parametrize("end", ["\n", ""])
@pytest.mark.parametrize("block", [1, 3, 7, 1000])
def test_the_last_lines_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, block: int, end: str) -> None:
    monkeypatch.setattr(local_resources, "_BLOCK", block)
    content = f"first\n\nthird\nlast{end}".encode()
    assert read_tail(tmp_path, content, 1) == ["last"]
    assert read_tail(tmp_path, content, 3) == ["", "third", "last"]
    assert read_tail(tmp_path, content, 9) == ["first", "", "third", "last"]


def test_a_log_without_line_ends_is_read_up_to_a_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local_resources, "_BLOCK", 10)
    monkeypatch.setattr(local_resources, "_MAX_TAIL_BYTES", 50)
    assert read_tail(tmp_path, b"x" * 1000, 5) == ["x" * 50]
