import os
import subprocess

from deepsynth_local.processes.leftovers import RUNS_MARKER, find_processes


def test_processes_of_a_folder_whose_name_is_not_utf_8_are_found() -> None:
    runs = f"/runs-of-{os.getpid()}".encode() + b"/\xff\xc3\xa9"
    with subprocess.Popen(
        ["sleep", "600"], env={os.fsencode(RUNS_MARKER): runs, b"PATH": os.environb[b"PATH"]}
    ) as process:
        try:
            assert find_processes(RUNS_MARKER, os.fsdecode(runs)) == [process.pid]
        finally:
            process.kill()
