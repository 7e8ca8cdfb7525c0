"""Errors that end a workload. Each class has an exit code and a default reason, which the resource shows.

WorkloadError
  ConfigurationError   64  the document or the environment is wrong
  DataError            65  the dataset cannot be used
  PeerLostError        69  another node or another attempt is the cause
  InternalError        70  a defect: an internal check failed
  TemporaryError       75  another attempt may succeed
"""

from typing import ClassVar

from deepsynth_api.exit_codes import ExitCode
from deepsynth_api.reasons import Reason


class WorkloadError(Exception):
    """Base of the errors that a user sees without a traceback.

    message: one sentence that names the field, file or host, and the remedy.
    reason: a member of `Reason`, such as Reason.MISSING_COLUMN; default: that of the class.
    """

    exit_code: ClassVar[ExitCode] = ExitCode.INTERNAL
    default_reason: ClassVar[str] = Reason.WORKLOAD_FAILED

    def __init__(self, message: str, *, reason: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.reason = reason or self.default_reason

    def __reduce__(self) -> tuple[object, ...]:
        """Keep the reason when the error is pickled, to cross a process boundary."""
        return _rebuild, (type(self), self.message, self.reason)


def _rebuild(kind: type[WorkloadError], message: str, reason: str) -> WorkloadError:
    return kind(message, reason=reason)


class ConfigurationError(WorkloadError):
    """A wrong argument, field or setting."""

    exit_code = ExitCode.BAD_CONFIGURATION
    default_reason = Reason.BAD_CONFIGURATION


class DataError(WorkloadError):
    """The dataset cannot be used."""

    exit_code = ExitCode.BAD_DATA
    default_reason = Reason.BAD_DATA


class PeerLostError(WorkloadError):
    """Another node or another attempt is the cause."""

    exit_code = ExitCode.PEER_LOST
    default_reason = Reason.PEER_LOST


class InternalError(WorkloadError):
    """An internal check failed: a defect."""

    exit_code = ExitCode.INTERNAL
    default_reason = Reason.INTERNAL_ERROR


class TemporaryError(WorkloadError):
    """The Hub, the network or a disk did not answer: another try may succeed."""

    exit_code = ExitCode.TRY_AGAIN
    default_reason = Reason.TEMPORARY_FAILURE
