import contextlib
import os
from pathlib import Path

import pytest

from deepsynth_client.untrusted_files import open_inside, read_inside
from support.tenants.swapped_files import swap_before_open


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "claim/run/samples").mkdir(parents=True)
    (tmp_path / "claim/run/samples/a.json").write_text("own")
    (tmp_path / "outside/samples").mkdir(parents=True)
    (tmp_path / "outside/samples/a.json").write_text("secret")
    return tmp_path / "claim/run"


def replace_by_link(path: Path, target: Path) -> None:
    path.rename(path.with_name("moved"))
    path.symlink_to(target)


def test_a_file_is_read_by_its_name_in_the_folder(folder: Path) -> None:
    assert read_inside(folder, "samples/a.json", limit=3) == b"own"


def test_a_file_of_more_than_the_limit_is_refused(folder: Path) -> None:
    with pytest.raises(OSError, match="has more than 2 bytes"):
        read_inside(folder, "samples/a.json", limit=2)


@pytest.mark.parametrize("part", ["", "samples", "samples/a.json"])
@pytest.mark.parametrize("number", range(40))
def test_a_link_that_appears_while_a_file_is_opened_is_not_followed(folder: Path, part: str, number: int) -> None:
    """Also in place of the folder itself: in a cluster it is a part of a user's volume."""
    target = folder.parent.parent / "outside" / part
    refused = contextlib.suppress(OSError)
    with refused, swap_before_open(number, lambda: replace_by_link(folder / part, target)):
        assert read_inside(folder, "samples/a.json", limit=100) == b"own"


def test_each_moment_of_an_opening_is_tried(folder: Path) -> None:
    with swap_before_open(40, lambda: None) as swap:
        read_inside(folder, "samples/a.json", limit=100)
    assert not swap.is_done, "the test above tries too few moments"
    assert 40 - swap.wait >= len(folder.parts) + 2, "each part of the path is opened on its own"


@pytest.mark.parametrize("name", ["../run/samples/a.json", "samples/../samples/a.json", "/etc/passwd", "samples/.."])
def test_a_name_that_leads_out_of_the_folder_is_refused(folder: Path, name: str) -> None:
    with pytest.raises(OSError, match="must be a name inside an absolute folder"):
        open_inside(folder, name)


def test_only_regular_files_are_opened_and_none_is_waited_for(folder: Path) -> None:
    os.mkfifo(folder / "pipe")
    for name in ("pipe", "samples", "."):
        with pytest.raises(OSError, match=r"is not a regular file|must be a name"):
            open_inside(folder, name)
