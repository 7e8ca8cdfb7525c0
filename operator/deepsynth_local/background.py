"""The process that runs the resources of a folder in the background: what the operator is in a cluster.

    deepsynth apply --local     writes a request, starts this process if none runs, and waits until the request is taken
    python -m deepsynth_local.background FOLDER

It ends when all resources are at rest. SIGTERM suspends them, so that pods save.
"""

import contextlib
import subprocess
import sys
import time
from pathlib import Path
from typing import Final

from deepsynth_client.errors import ClientError, TimedOutError
from deepsynth_local.runs.requests import Request, write_request
from deepsynth_local.runs.runs_folder import LockedError, RunsFolder

_POLL_SECONDS: Final = 0.05
_PROBE_SECONDS: Final = 0.5
_PATIENCE_SECONDS: Final = 120.0
_TAIL_LINES: Final = 5


def ask(runs: RunsFolder, request: Request) -> None:
    """Have the process of this folder carry out the request; start the process if there is none.

    Raises ClientError when the process fails, or does not take the request in time.
    """
    file = write_request(runs, request)
    deadline = time.monotonic() + _PATIENCE_SECONDS
    process: subprocess.Popen[bytes] | None = None
    probed = 0.0
    while file.exists():
        if process is not None and process.poll():
            file.unlink(missing_ok=True)
            raise ClientError(f"the process that runs {runs.path} failed: {_read_end(runs.controller_log)}")
        if time.monotonic() > deadline:
            file.unlink(missing_ok=True)
            raise TimedOutError(f"the process that runs {runs.path} does not answer; see {runs.controller_log}")
        if time.monotonic() - probed > _PROBE_SECONDS and (process is None or process.poll() is not None):
            probed = time.monotonic()
            process = None if runs.is_locked else start(runs)
        time.sleep(_POLL_SECONDS)


_started: Final[list["subprocess.Popen[bytes]"]] = []
"""Kept until they have ended: Python warns about a child that is forgotten."""


def start(runs: RunsFolder) -> "subprocess.Popen[bytes]":
    """Start the process. It outlives this one, as the operator of a cluster outlives kubectl."""
    _started[:] = [process for process in _started if process.poll() is None]
    command = [sys.executable, "-m", "deepsynth_local.background", str(runs.path)]
    with runs.controller_log.open("ab") as log:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=runs.path, start_new_session=True
        )
    _started.append(process)
    return process


def _read_end(log: Path) -> str:
    return " ".join(log.read_text(encoding="utf-8", errors="replace").splitlines()[-_TAIL_LINES:])


def main() -> int:
    from deepsynth_local.local_run import run_stored  # slow to import

    with contextlib.suppress(LockedError):  # another process runs the folder, and takes the request
        run_stored(RunsFolder.open(Path(sys.argv[1])))
    return 0


if __name__ == "__main__":
    sys.exit(main())
