"""Errors of a client, and the exit codes of the `deepsynth` command. Messages are one line, with the remedy.

Codes of failed workloads are those of their containers: deepsynth_api.exit_codes.
"""

from enum import IntEnum
from typing import ClassVar


class CommandExit(IntEnum):
    """The values are those of sysexits.h where it has one for the case; 124 is that of `timeout`."""

    DONE = 0
    """Done; with `wait` and `local`: all resources are complete."""
    FAILED = 1
    """A resource failed or was not found, or another manager owns a field."""
    INVALID = 64
    """A file, an argument or a resource is invalid."""
    UNREACHABLE = 69
    """The API server does not answer."""
    DEFECT = 70
    """A bug in DeepSynth; the message says how to see the traceback."""
    TEMPORARY = 75
    """The disk is full, or the Hub, a store or the network did not answer; the same command may succeed later."""
    FORBIDDEN = 77
    """You are not logged in, or may not do this; the message names the verb, the resource and the role to ask for."""
    NO_CLUSTER = 78
    """No usable kubeconfig or context, or DeepSynth's CRDs are not installed in the cluster."""
    TIMED_OUT = 124
    """`wait` timed out."""
    INTERRUPTED = 130
    """Stopped by Ctrl-C: 128 + SIGINT."""


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
    """A file, an argument or a resource is invalid."""

    exit_code = CommandExit.INVALID


class UnreachableError(ClientError):
    """The API server does not answer."""

    exit_code = CommandExit.UNREACHABLE


class ForbiddenError(ClientError):
    """You are not logged in, or may not do this."""

    exit_code = CommandExit.FORBIDDEN


class NoClusterError(ClientError):
    """No usable kubeconfig or context, or DeepSynth is not installed in the cluster."""

    exit_code = CommandExit.NO_CLUSTER


class TimedOutError(ClientError):
    """The time that was given is over."""

    exit_code = CommandExit.TIMED_OUT
