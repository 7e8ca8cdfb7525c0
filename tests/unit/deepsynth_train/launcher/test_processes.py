"""No process of earlier workers lives on when the next ones start."""

import os
import subprocess
import sys
import time
from pathlib import Path

from deepsynth_train.launcher.processes import ROUND_VARIABLE, end_leftovers

SLEEP = "import time; time.sleep(600)"


def start(code: str, marker: str) -> "subprocess.Popen[str]":
    environment = {**os.environ, ROUND_VARIABLE: marker}
    return subprocess.Popen(
        [sys.executable, "-c", code], env=environment, start_new_session=True, stdout=subprocess.PIPE, text=True
    )


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except FileNotFoundError:
        return False


def test_children_end_that_share_the_group_or_have_left_it(tmp_path: Path) -> None:
    """The worker is dead already: only what it has left behind shows that it was there."""
    child = f"subprocess.Popen([sys.executable, '-c', {SLEEP!r}], start_new_session=SESSION).pid"
    body = f"import subprocess, sys; print({child.replace('SESSION', 'True')}, {child.replace('SESSION', 'False')})"
    with start(body, str(tmp_path)) as worker:
        assert worker.stdout is not None
        children = [int(pid) for pid in worker.stdout.readline().split()]
    assert all(map(is_alive, children))
    assert end_leftovers([worker.pid], str(tmp_path)) == []
    assert not any(map(is_alive, children))


def test_processes_of_others_live_on(tmp_path: Path) -> None:
    with start(SLEEP, str(tmp_path / "another")) as other:
        assert end_leftovers([], str(tmp_path)) == []
        time.sleep(0.05)
        assert is_alive(other.pid)
        other.kill()
