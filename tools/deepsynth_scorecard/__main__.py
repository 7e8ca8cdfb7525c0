"""`python -m deepsynth_scorecard [TESTS...]`, from the project's folder."""

import os
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from deepsynth_scorecard.measurements import Measurement, list_measurements

_BIN: Final = Path(sys.executable).parent
_MAX_SHOWN_LINES: Final = 40


def main(tests: Sequence[str] | None = None) -> int:
    """Returns 1 if a program failed."""
    measurements = list_measurements(sys.argv[1:] if tests is None else tests)
    width = max(len(measurement.name) for measurement in measurements)
    failed = [measurement.name for measurement in measurements if not _measure(measurement, width)]
    print(f"failed: {', '.join(failed)}" if failed else f"all {len(measurements)} are well")
    return 1 if failed else 0


def _measure(measurement: Measurement, width: int) -> bool:
    started = time.monotonic()
    done = subprocess.run(
        measurement.command,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        env=_environment(),
    )
    seconds = time.monotonic() - started
    is_ok = done.returncode == 0
    figure = measurement.find_figure(done.stdout)
    print(f"{measurement.name:{width}}  {'ok' if is_ok else 'FAILED':6}  {figure:50}  {seconds:5.0f} s", flush=True)
    if not is_ok:
        print("\n".join(f"  | {line}" for line in done.stdout.splitlines()[-_MAX_SHOWN_LINES:]), flush=True)
    return is_ok


def _environment() -> dict[str, str]:
    """The programs of this environment first, as in the Makefile."""
    return {**os.environ, "PATH": f"{_BIN}{os.pathsep}{os.environ.get('PATH', '')}", "OMP_NUM_THREADS": "1"}


if __name__ == "__main__":
    sys.exit(main())
