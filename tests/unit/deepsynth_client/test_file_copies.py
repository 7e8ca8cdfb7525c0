import errno
import logging
from pathlib import Path

import pytest

from deepsynth_client.file_copies import copy_files


def list_files(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


@pytest.mark.parametrize(
    "names",
    [["x" * 300], ["a", "a/b"], ["a/b", "a"], ["../a"], ["/a"], ["a\0b"], ["step-" + "9" * 300 + "/metrics.jsonl"]],
)
def test_names_that_no_file_can_have_are_skipped_and_counted(
    names: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        folder = copy_files("s3://runs/a", [(name, b"x") for name in [*names, "reports/one.json"]])

    assert list_files(folder) == sorted([*names[:-1], "reports/one.json"])
    assert "s3://runs/a: 1 files are not shown" in caplog.text
    assert len(caplog.messages[0]) < 250


def test_usual_names_are_not_mentioned(caplog: pytest.LogCaptureFixture) -> None:
    copy_files("s3://runs/a", [("reports/one.json", b"x")])
    assert caplog.text == ""


def test_a_full_disk_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", fail)
    with pytest.raises(OSError, match="No space left"):
        copy_files("s3://runs/a", [("a", b"x")])
