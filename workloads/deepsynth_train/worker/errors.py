"""From the exception that ends a worker process to exit code and reason, and whether another process caused it."""

import errno
import os
import traceback

from deepsynth_api.errors import PeerLostError, WorkloadError
from deepsynth_api.exit_codes import ExitCode
from deepsynth_api.reasons import Reason
from deepsynth_train.coordination.run_folder import ErrorRecord

TRACEBACK_CHARACTERS = 2000

DISTRIBUTED_ERRORS = {"DistError", "RaisedOnPeer"}
"""Classes of torch.distributed and checkpoint.ranks. By name, so that an early failure need not import torch."""

COLLECTIVE_FAILURES = (
    "Connection closed by peer",
    "Connection reset by peer",
    "Broken pipe",
    "Application timeout caused pair closure",
    "gloo",
    "NCCL",
    "Timed out waiting",
    "Socket Timeout",
    "Connection refused",
    "failed to connect",
)
"""Texts in the plain RuntimeErrors of gloo, NCCL and the store when a peer is gone."""


class StopRequested(BaseException):
    """SIGTERM arrived before there was anything to save. A BaseException, so that no `except Exception` catches it."""


def describe_error(error: BaseException, *, rank: int, step: int, at: float, stopping: bool) -> ErrorRecord:
    """at: seconds, monotonic. stopping: SIGTERM ended the start of the attempt, so lost peers are expected."""
    code, reason, message = _classify(error)
    consequence = is_consequence(error)
    if isinstance(error, StopRequested) or (stopping and consequence and not isinstance(error, WorkloadError)):
        return ErrorRecord(rank, int(ExitCode.STOPPED), Reason.STOPPED, "stopped before the first step", at)
    expected = isinstance(error, WorkloadError) or consequence
    return ErrorRecord(
        rank=rank,
        exit_code=int(code),
        reason=reason,
        message=message,
        at=at,
        step=step,
        consequence=consequence,
        exception=None if expected else format_traceback(error)[-TRACEBACK_CHARACTERS:],
    )


def is_consequence(error: BaseException) -> bool:
    """Whether another process failed, and this one only lost its connection to it."""
    if isinstance(error, PeerLostError) or {*_class_names(error), *_class_names(error.__cause__)} & DISTRIBUTED_ERRORS:
        return True
    return type(error) is RuntimeError and any(sign in str(error) for sign in COLLECTIVE_FAILURES)


def format_traceback(error: BaseException) -> str:
    return "".join(traceback.format_exception(error))


def _classify(error: BaseException) -> tuple[ExitCode, str, str]:
    if isinstance(error, WorkloadError):
        return error.exit_code, error.reason, error.message
    if is_consequence(error):
        return ExitCode.TRY_AGAIN, Reason.PEER_LOST, f"lost the other processes: {_first_line(error)}"
    if "OutOfMemoryError" in _class_names(error):
        remedy = "lower spec.microBatchSize, set spec.gradientCheckpointing, or set spec.sharding or spec.model.lora"
        return ExitCode.TRY_AGAIN, Reason.OUT_OF_MEMORY, f"GPU memory is full: {_first_line(error)}; {remedy}"
    if isinstance(error, MemoryError):
        return ExitCode.TRY_AGAIN, Reason.OUT_OF_MEMORY, "memory is full; raise the memory limit of the pods"
    if isinstance(error, OSError) and error.errno == errno.ENOSPC:
        return ExitCode.TRY_AGAIN, Reason.DISK_FULL, f"no space left to write {error.filename}; enlarge the volume"
    if isinstance(error, PermissionError):
        remedy = "change the mode or owner of the volume, or set spec.template.runAsUser"
        what = error.filename or _first_line(error)
        return (
            ExitCode.BAD_CONFIGURATION,
            Reason.NOT_PERMITTED,
            f"user {os.getuid()} has no permission for {what}; {remedy}",
        )
    return ExitCode.TRY_AGAIN, Reason.UNEXPECTED_ERROR, f"{type(error).__name__}: {_first_line(error)}"


def _class_names(error: BaseException | None) -> set[str]:
    return {kind.__name__ for kind in type(error).__mro__}


def _first_line(error: BaseException) -> str:
    return next(iter(str(error).splitlines()), "")[:500]
