"""Run one step of a DatasetGeneration: `python -m deepsynth_render plan|render|publish --document FILE`.

The exit code is one of deepsynth_api.exit_codes. A user's error is printed as one line, without a traceback.
"""

import argparse
import gc
import logging
import signal
import sys
from collections.abc import Callable
from importlib.abc import MetaPathFinder
from pathlib import Path
from typing import Any, Final

from deepsynth_api.errors import ConfigurationError, TemporaryError, WorkloadError
from deepsynth_api.exit_codes import ExitCode
from deepsynth_api.reasons import Reason
from deepsynth_api.workload import DOCUMENT_PATH, RenderWorkload
from deepsynth_render.reporting.report import Reporter, StepName
from deepsynth_render.reporting.step_logs import configure_step_logs

_logger = logging.getLogger("deepsynth_render")
RunStep = Callable[[RenderWorkload, Reporter], None]
_STEPS: Final[tuple[StepName, ...]] = ("plan", "render", "publish")
_OBJECTS_PER_COLLECTION: Final = 100_000
"""Cycles of garbage are rare in the steps, and looking for them after 700 new objects takes a tenth of the time."""


def find_step(step: StepName) -> RunStep:
    """Import one step only: a pod starts for each shard, so every import costs once per shard."""
    if step == "plan":
        from deepsynth_render.plan.step import run_plan

        return run_plan
    if step == "render":
        from deepsynth_render.render.step import run_render

        return run_render
    from deepsynth_render.publish.step import run_publish

    return run_publish


def main(arguments: list[str] | None = None, *, find: Callable[[StepName], RunStep] = find_step) -> int:
    """Run one step, which `find` returns by its name, and return its exit code."""
    parser = argparse.ArgumentParser(prog="python -m deepsynth_render", description=__doc__)
    parser.add_argument("step", choices=_STEPS)
    parser.add_argument("--document", type=Path, default=Path(DOCUMENT_PATH), help="the workload document")
    options = parser.parse_args(arguments)
    reporter = Reporter(options.step)
    try:
        code = _run_reported(options.step, options.document, reporter, find)
        reporter.write_termination_message()
    except _Stopped:
        reporter.log("stopped by SIGTERM; staged files are kept")
        reporter.write_termination_message()
        return ExitCode.STOPPED
    return code


class _Stopped(BaseException):
    """SIGTERM was received. Stopping anywhere is safe: every visible file is written whole or not at all."""


def _stop(_number: int, _frame: object) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # a second signal must not interrupt the clean-up
    raise _Stopped


class _WithoutPandas(MetaPathFinder):
    """Hides pandas from pyarrow, which would import it (two seconds per process) only to see that no table is its."""

    def find_spec(self, fullname: str, *_: object) -> None:
        if fullname == "pandas":
            raise ModuleNotFoundError("pandas is not used here")


def _run_reported(step: StepName, document: Path, reporter: Reporter, find: Callable[[StepName], RunStep]) -> ExitCode:
    try:
        configure_step_logs(step)
        with reporter.serve():
            run = find(step)
            gc.freeze()  # what was imported stays, and need not be looked at again and again
            run(_read_document(document), reporter)
    except WorkloadError as error:
        return _fail(reporter, error)
    except OSError as error:
        return _fail(reporter, TemporaryError(f"{error}; if it happens again, check the node and its volumes"))
    except Exception as error:
        message = f"{type(error).__name__}: {error} (a defect; see the traceback in the log)"
        _logger.exception(message)
        reporter.fail(Reason.INTERNAL_ERROR, message, ExitCode.INTERNAL, error)
        return ExitCode.INTERNAL
    return ExitCode.DONE


def _fail(reporter: Reporter, error: WorkloadError) -> ExitCode:
    _logger.error(error.message)
    reporter.fail(error.reason, error.message, error.exit_code, error)
    return error.exit_code


def _read_document(path: Path) -> RenderWorkload:
    try:
        content: Any = path.read_bytes()
    except OSError as error:
        raise ConfigurationError(f"--document: cannot read {path} ({error})") from error
    return RenderWorkload.parse(content)


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, _stop)
    gc.set_threshold(_OBJECTS_PER_COLLECTION)
    sys.meta_path.insert(0, _WithoutPandas())
    sys.exit(main())
