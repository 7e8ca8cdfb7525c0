"""`python -m deepsynth_render plan|render|publish --document FILE`: what the containers of a DatasetGeneration run.

Ends with an exit code of deepsynth_api.exit_codes; a user's error is one line, without a traceback.
"""

import argparse
import signal
import sys
import traceback
from collections.abc import Callable
from importlib.abc import MetaPathFinder
from pathlib import Path
from typing import Any, Final

from deepsynth_api.errors import ConfigurationError, TemporaryError, WorkloadError
from deepsynth_api.exit_codes import ExitCode
from deepsynth_api.reasons import Reason
from deepsynth_api.workload import DOCUMENT_PATH, RenderWorkload
from deepsynth_render.report import Reporter, StepName

_STEPS: Final[tuple[StepName, ...]] = ("plan", "render", "publish")


def main(arguments: list[str] | None = None) -> int:
    """Run one step; the exit code."""
    parser = argparse.ArgumentParser(prog="python -m deepsynth_render", description=__doc__)
    parser.add_argument("step", choices=_STEPS)
    parser.add_argument("--document", type=Path, default=Path(DOCUMENT_PATH), help="the workload document")
    options = parser.parse_args(arguments)
    reporter = Reporter(options.step)
    try:
        code = _run_reported(options.step, options.document, reporter)
        reporter.write_termination_message()
    except _Stopped:
        reporter.log("stopped by SIGTERM; what is staged stays")
        reporter.write_termination_message()
        return ExitCode.STOPPED
    return code


class _Stopped(BaseException):
    """SIGTERM came. All that others see is written whole or not at all, so that stopping anywhere is safe."""


def _stop(_number: int, _frame: object) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # once is enough: the clean-up is under way
    raise _Stopped


class _WithoutPandas(MetaPathFinder):
    """pyarrow imports pandas wherever it is installed, to learn that a list is no data frame: two seconds a process."""

    def find_spec(self, fullname: str, *_: object) -> None:
        if fullname == "pandas":
            raise ModuleNotFoundError("pandas is not used here")


def _run_reported(step: StepName, document: Path, reporter: Reporter) -> ExitCode:
    try:
        with reporter.serve():
            _find_step(step)(_read_document(document), reporter)
    except WorkloadError as error:
        return _fail(reporter, error)
    except OSError as error:
        return _fail(reporter, TemporaryError(f"{error}. Try again; if it stays, look at the node and its volumes."))
    except Exception as error:  # noqa: BLE001 - the boundary of the process: a defect is reported, never lost
        traceback.print_exc()
        message = f"{type(error).__name__}: {error} (a defect; the log has the traceback)"
        reporter.fail(Reason.INTERNAL_ERROR, message, ExitCode.INTERNAL, error)
        return ExitCode.INTERNAL
    return ExitCode.DONE


def _fail(reporter: Reporter, error: WorkloadError) -> ExitCode:
    print(f"error: {error.message}", file=sys.stderr, flush=True)
    reporter.fail(error.reason, error.message, error.exit_code, error)
    return error.exit_code


def _find_step(step: StepName) -> Callable[[RenderWorkload, Reporter], None]:
    """Each step imports only what it needs: a pod starts for each shard."""
    if step == "plan":
        from deepsynth_render.plan.step import run_plan as run
    elif step == "render":
        from deepsynth_render.render.step import run_render as run
    else:
        from deepsynth_render.publish.step import run_publish as run
    return run


def _read_document(path: Path) -> RenderWorkload:
    try:
        content: Any = path.read_bytes()
    except OSError as error:
        raise ConfigurationError(f"--document: {path} cannot be read ({error}).") from error
    return RenderWorkload.parse(content)


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, _stop)
    sys.meta_path.insert(0, _WithoutPandas())
    sys.exit(main())
