"""Commands run to their end, with an error that says what they said."""

import shlex
import subprocess
from collections.abc import Mapping, Sequence

from deepsynth_cluster.cache import ClusterError

MOST_SECONDS = 600.0
"""What waits for the cluster has a shorter end of its own; but to delete the pods of a lost node, say, has none."""


def run_command(
    argv: Sequence[str],
    *,
    stdin: str | None = None,
    environment: Mapping[str, str] | None = None,
    inherited: Sequence[int] = (),
    check: bool = True,
) -> subprocess.CompletedProcess[str]:
    """Run a command to its end, at most ten minutes; `inherited` are open files that it shall have too."""
    try:
        done = subprocess.run(
            argv,
            input=stdin,
            env=environment,
            pass_fds=inherited,
            capture_output=True,
            text=True,
            check=False,
            timeout=MOST_SECONDS,
        )
    except subprocess.TimeoutExpired as error:
        raise ClusterError(f"{shlex.join(argv)[:500]}: no end within {MOST_SECONDS:.0f} s") from error
    if check and done.returncode:
        said = (done.stderr.strip() or done.stdout.strip())[-2000:]
        raise ClusterError(f"{shlex.join(argv)[:500]}: exit code {done.returncode}\n{said}")
    return done
