"""Entry of a worker process: `python -m deepsynth_train.worker --document FILE --folder FOLDER`."""

import argparse
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from deepsynth_api.exit_codes import ExitCode
from deepsynth_api.workload import TrainWorkload
from deepsynth_train.coordination.run_folder import RunFolder
from deepsynth_train.worker.heartbeat import Heartbeat
from deepsynth_train.worker.process import run_worker

if TYPE_CHECKING:
    from deepsynth_train.attempt.run import TrainResult


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="deepsynth_train.worker")
    parser.add_argument("--document", type=Path, required=True)
    parser.add_argument("--folder", type=Path, required=True)
    options = parser.parse_args(arguments)
    workload = TrainWorkload.parse(options.document.read_bytes())
    return run_worker(RunFolder(options.folder), workload, _train)


def _train(workload: TrainWorkload, heartbeat: Heartbeat, should_stop: Callable[[], bool]) -> "TrainResult":
    import transformers

    from deepsynth_train.attempt.run import run_attempt
    from deepsynth_train.coordination.world import join_world, leave_world

    transformers.utils.logging.disable_progress_bar()  # type: ignore[no-untyped-call]  # untyped
    result = run_attempt(workload, join_world(), heartbeat, should_stop)
    leave_world()
    return result


def _exit(code: int) -> NoReturn:
    """After a failure, skip the interpreter's clean-up: a save in flight or NCCL's threads may crash it."""
    if code in (ExitCode.DONE, ExitCode.STOPPED):
        sys.exit(code)
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


if __name__ == "__main__":
    _exit(main())
