import errno

import pytest

from deepsynth_api.errors import ConfigurationError, PeerLostError, TemporaryError
from deepsynth_train.coordination.run_folder import ErrorRecord
from deepsynth_train.worker.errors import StopRequested, describe_error

GLOO = "[/third_party/gloo/gloo/transport/tcp/pair.cc:545] Read error [127.0.0.1]:1738: Connection reset by peer"
NCCL = "NCCL communicator was aborted on rank 1."


DistError = type("DistError", (RuntimeError,), {})
DistNetworkError = type("DistNetworkError", (DistError,), {})
RaisedOnPeer = type("RaisedOnPeer", (Exception,), {})
OutOfMemoryError = type("OutOfMemoryError", (RuntimeError,), {})


def describe(error: BaseException, *, stopping: bool = False) -> ErrorRecord:
    return describe_error(error, rank=2, step=7, at=1.5, stopping=stopping)


def raised_on_peer(error: Exception) -> Exception:
    try:
        raise error from RaisedOnPeer("on rank 0")
    except type(error) as caught:
        return caught


def test_a_workload_error_keeps_its_code_reason_and_message_and_has_no_traceback() -> None:
    record = describe(ConfigurationError("spec.precision: no", reason="BadPrecision"))
    assert record == ErrorRecord(2, 64, "BadPrecision", "spec.precision: no", 1.5, step=7)


@pytest.mark.parametrize(
    "error",
    [
        RuntimeError(GLOO),
        RuntimeError(NCCL),
        DistNetworkError("The client socket has timed out"),
        PeerLostError("attempt 3 owns the folder"),
        raised_on_peer(TemporaryError("the disk is full")),
    ],
)
def test_errors_caused_by_a_peer_are_consequences(error: BaseException) -> None:
    record = describe(error)
    assert record.consequence
    assert record.exception is None


@pytest.mark.parametrize(
    "error",
    [
        ValueError(GLOO),
        ConnectionRefusedError(errno.ECONNREFUSED, "Connection refused"),
        TemporaryError("the Hub: Connection reset by peer"),
        RuntimeError("mat1 and mat2 shapes cannot be multiplied"),
    ],
)
def test_errors_that_only_look_similar_are_causes(error: BaseException) -> None:
    assert not describe(error).consequence


@pytest.mark.parametrize(
    ("error", "reason", "words"),
    [
        (OutOfMemoryError("CUDA out of memory"), "OutOfMemory", "lower spec.microBatchSize"),
        (MemoryError(), "OutOfMemory", "raise the memory limit"),
        (OSError(errno.ENOSPC, "No space left", "/cache/a"), "DiskFull", "no space left to write /cache/a"),
        (KeyError("x"), "UnexpectedError", "KeyError: 'x'"),
    ],
)
def test_other_errors_can_be_retried_and_name_a_remedy(error: Exception, reason: str, words: str) -> None:
    record = describe(error)
    assert (record.exit_code, record.reason) == (75, reason)
    assert words in record.message
    assert type(error).__name__ in (record.exception or "")


def test_stopping_before_the_first_step_is_a_clean_stop() -> None:
    assert describe(StopRequested()).exit_code == 143
    assert describe(RuntimeError(GLOO), stopping=True).exit_code == 143


def test_a_failure_while_stopping_is_still_a_failure() -> None:
    assert describe(TemporaryError("the disk is full"), stopping=True).exit_code == 75
    assert describe(ValueError("a bug"), stopping=True).exit_code == 75


def test_a_folder_without_permission_is_named_with_the_remedy_and_not_retried() -> None:
    record = describe(PermissionError(errno.EACCES, "Permission denied", "/mnt/volumes/a/run"))
    assert (record.exit_code, record.reason) == (64, "NotPermitted")
    assert "has no permission for /mnt/volumes/a/run; change the mode or owner of the volume" in record.message
