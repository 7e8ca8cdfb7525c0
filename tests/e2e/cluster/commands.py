"""Commands run to their end, with an error that says what they said."""

import shlex
import subprocess
from collections.abc import Mapping, Sequence

from e2e.cluster.cache import ClusterError


def run_command(
    argv: Sequence[str],
    *,
    stdin: str | None = None,
    environment: Mapping[str, str] | None = None,
    inherited: Sequence[int] = (),
    check: bool = True,
) -> subprocess.CompletedProcess[str]:
    """Run a command to its end; `inherited` are open files that it shall have too."""
    done = subprocess.run(
        argv, input=stdin, env=environment, pass_fds=inherited, capture_output=True, text=True, check=False
    )
    if check and done.returncode:
        said = (done.stderr.strip() or done.stdout.strip())[-2000:]
        raise ClusterError(f"{shlex.join(argv)[:500]}: exit code {done.returncode}\n{said}")
    return done
