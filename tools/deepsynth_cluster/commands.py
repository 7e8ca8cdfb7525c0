"""Running commands and waiting for conditions, both with a time limit."""

import shlex
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence

from deepsynth_cluster.errors import ClusterError

MAX_SECONDS = 600.0
"""Commands that wait for the cluster have shorter limits; deleting the pods of a lost node, for one, has none."""


def run_command(
    argv: Sequence[str],
    *,
    stdin: str | None = None,
    environment: Mapping[str, str] | None = None,
    inherited: Sequence[int] = (),
    check: bool = True,
) -> subprocess.CompletedProcess[str]:
    """Run a command for at most ten minutes. inherited: open file descriptors that it gets too.

    Raises ClusterError with the end of its output when it fails, unless `check` is off.
    """
    try:
        done = subprocess.run(
            argv,
            input=stdin,
            env=environment,
            pass_fds=inherited,
            capture_output=True,
            text=True,
            check=False,
            timeout=MAX_SECONDS,
        )
    except subprocess.TimeoutExpired as error:
        raise ClusterError(f"{shlex.join(argv)[:500]}: still running after {MAX_SECONDS:.0f} s") from error
    if check and done.returncode:
        output = (done.stderr.strip() or done.stdout.strip())[-2000:]
        raise ClusterError(f"{shlex.join(argv)[:500]}: exit code {done.returncode}\n{output}")
    return done


def wait_until(holds: Callable[[], bool], what: str, seconds: float = 120.0, every: float = 0.2) -> None:
    """Poll until `holds` returns true. Raises ClusterError naming `what` after `seconds`."""
    deadline = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > deadline:
            raise ClusterError(f"waited {seconds:.0f} s in vain until {what}")
        time.sleep(every)
