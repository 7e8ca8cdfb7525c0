"""Errors of a client, and the exit codes of the `deepsynth` command. Messages are one line, with the remedy.

Codes of failed workloads are those of their containers: deepsynth_api.exit_codes.
"""

from enum import IntEnum
from typing import ClassVar


class CommandExit(IntEnum):
    """The values are those of sysexits.h where it has one for the case; 124 is that of `timeout`."""

    DONE = 0
    FAILED = 1
    """A resource failed or was not found."""
    INVALID = 64
    """A file, an argument or a resource is invalid."""
    UNREACHABLE = 69
    """The API server does not answer."""
    FORBIDDEN = 77
    """The user may not do this."""
    NO_CLUSTER = 78
    """No usable kubeconfig or context, or DeepSynth is not installed there."""
    TIMED_OUT = 124
    INTERRUPTED = 130
    """128 + SIGINT, as a shell shows Ctrl-C."""


class ClientError(Exception):
    """Base of the errors that a user sees without a traceback."""

    exit_code: ClassVar[CommandExit] = CommandExit.FAILED

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class NotFoundError(ClientError):
    """No resource, log or file of this name."""


class RefusedError(ClientError):
    """The resource could not be changed: another manager owns a field, or it changed meanwhile."""


class InvalidError(ClientError):
    exit_code = CommandExit.INVALID


class UnreachableError(ClientError):
    exit_code = CommandExit.UNREACHABLE


class ForbiddenError(ClientError):
    exit_code = CommandExit.FORBIDDEN


class NoClusterError(ClientError):
    exit_code = CommandExit.NO_CLUSTER


class TimedOutError(ClientError):
    exit_code = CommandExit.TIMED_OUT
