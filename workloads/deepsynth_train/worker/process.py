"""A worker process around the training: signals, heartbeat, log, and how it ends."""

import ctypes
import faulthandler
import logging
import os
import signal
import sys
import time
from collections.abc import Callable
from types import FrameType
from typing import TYPE_CHECKING

from deepsynth_api.exit_codes import ExitCode
from deepsynth_api.logs import configure_logs
from deepsynth_api.reasons import Reason
from deepsynth_api.workload import TrainWorkload
from deepsynth_train.coordination.run_folder import RESTART_VARIABLE, ErrorRecord, RunFolder
from deepsynth_train.worker.heartbeat import Heartbeat

if TYPE_CHECKING:
    from deepsynth_train.attempt.run import TrainResult

logger = logging.getLogger("deepsynth_train")

PR_SET_PDEATHSIG = 1


class StopFlag:
    """Remembers SIGTERM for the loop to poll. Before the first poll there is nothing to save: SIGTERM raises then."""

    def __init__(self) -> None:
        self._raised = False
        self._polled = False
        signal.signal(signal.SIGTERM, self._on_signal)
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # the launcher gets Ctrl-C too and sends SIGTERM

    def __call__(self) -> bool:
        self._polled = True
        return self._raised

    @property
    def ended_the_start(self) -> bool:
        """Whether the signal came while there was nothing to save."""
        return self._raised and not self._polled

    def _on_signal(self, _number: int, _frame: FrameType | None) -> None:
        self._raised = True
        if not self._polled:
            from deepsynth_train.worker.errors import StopRequested

            raise StopRequested


def run_worker(
    folder: RunFolder,
    workload: TrainWorkload,
    train: Callable[[TrainWorkload, Heartbeat, Callable[[], bool]], "TrainResult"],
) -> int:
    """Run `train`. Returns the exit code; on a failure, writes an error file for the launcher."""
    rank, local_rank = int(os.environ["RANK"]), int(os.environ["LOCAL_RANK"])
    workload = workload.updated(restart=int(os.environ.get(RESTART_VARIABLE, "0")) or None)
    _die_with_launcher()
    _set_up_log(rank)
    with folder.stacks(local_rank).open("w") as stacks:
        faulthandler.register(signal.SIGUSR1, file=stacks, all_threads=True)
        heartbeat = Heartbeat(folder, workload.number, rank, local_rank)
        should_stop = StopFlag()
        try:
            result = train(workload, heartbeat, should_stop)
        except BaseException as error:  # noqa: BLE001 - the launcher needs every error
            return _fail(folder, local_rank, heartbeat, error, rank=rank, stopping=should_stop.ended_the_start)
        return _finish(folder, local_rank, heartbeat, result, rank=rank)


def _finish(folder: RunFolder, local_rank: int, heartbeat: Heartbeat, result: "TrainResult", *, rank: int) -> int:
    heartbeat.finish(result.output)
    if not result.stopped:
        return int(ExitCode.DONE)
    message = f"saved step {result.saved_step}"
    record = ErrorRecord(rank, int(ExitCode.STOPPED), Reason.STOPPED, message, time.monotonic(), step=result.saved_step)
    folder.write_error(local_rank, record)
    logger.info(message)
    return record.exit_code


def _fail(
    folder: RunFolder, local_rank: int, heartbeat: Heartbeat, error: BaseException, *, rank: int, stopping: bool
) -> int:
    from deepsynth_train.worker.errors import describe_error

    at = time.monotonic()
    record = describe_error(error, rank=rank, step=heartbeat.step_done, at=at, stopping=stopping)
    folder.write_error(local_rank, record)
    logger.error(record.exception or record.message)
    return record.exit_code


def _set_up_log(rank: int) -> None:
    """Plain lines, which the launcher prints with `rank N: ` before each, or JSON with the rank."""
    configure_logs(logging.Formatter("%(message)s"), fields=lambda: {"rank": rank})
    # torch logs every step of a checkpoint, as JSON, to this logger.
    logging.getLogger("c10d-NullHandler-dcp_logger").propagate = False


def _die_with_launcher() -> None:
    """Die when the launcher is killed, so that no process keeps a GPU. In a pod, the end of PID 1 has this effect."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
