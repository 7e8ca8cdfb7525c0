import signal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deepsynth_api.exit_codes import ExitCode
from deepsynth_train.coordination.run_folder import ErrorRecord
from deepsynth_train.launcher.root_cause import (
    WorkerEnd,
    compute_exit_code,
    describe_cause,
    find_root_cause,
    is_consequence,
)


def end(rank: int, exit_code: int, ended: float, **changes: Any) -> WorkerEnd:
    return WorkerEnd(rank, rank, exit_code, ended, **changes)


def lost(rank: int, ended: float) -> WorkerEnd:
    """A worker whose collective failed."""
    error = ErrorRecord(rank, 75, "PeerLost", "Connection closed by peer", ended - 0.5, consequence=True)
    return end(rank, 75, ended, error=error)


def failed(rank: int, ended: float, code: int = 75, at: float | None = None) -> WorkerEnd:
    return end(rank, code, ended, error=ErrorRecord(rank, code, "Bad", "it went wrong", ended if at is None else at))


def find_code(*ends: WorkerEnd, num_nodes: int = 1, stopping: bool = False) -> int:
    return compute_exit_code(ends, find_root_cause(ends), num_nodes=num_nodes, stopping=stopping)


def test_a_rank_killed_by_a_signal_comes_before_the_peers_that_lost_it() -> None:
    ends = [lost(0, 1.0), end(1, -9, 1.01), lost(2, 1.02)]
    cause = find_root_cause(ends)
    assert cause is not None
    assert cause.rank == 1
    assert find_code(*ends) == 137


def test_of_two_errors_the_earlier_one_is_the_cause_not_the_process_that_ended_first() -> None:
    cause = find_root_cause([failed(0, ended=2.0, at=1.9), failed(1, ended=3.0, at=1.0)])
    assert cause is not None
    assert cause.rank == 1


def test_a_rank_that_the_launcher_killed_is_not_the_cause_if_there_is_another() -> None:
    cause = find_root_cause([end(0, -9, 0.5, killed=True), lost(1, 2.0)])
    assert cause is not None
    assert cause.rank == 1


def test_an_abort_without_an_error_record_is_a_consequence_next_to_a_real_failure() -> None:
    cause = find_root_cause([end(0, -signal.SIGABRT, 1.0), failed(1, 2.0, code=65)])
    assert cause is not None
    assert cause.rank == 1


def test_an_abort_without_an_error_record_is_the_cause_next_to_ranks_that_lost_a_peer() -> None:
    cause = find_root_cause([lost(0, 1.0), end(1, -signal.SIGABRT, 1.5), lost(2, 1.1)])
    assert cause is not None
    assert cause.rank == 1


def test_only_lost_peers_exit_69_with_several_nodes_and_75_on_one() -> None:
    assert find_code(lost(0, 1.0), lost(1, 1.1), num_nodes=2) == ExitCode.PEER_LOST
    assert find_code(lost(0, 1.0), lost(1, 1.1)) == ExitCode.TRY_AGAIN


@pytest.mark.parametrize("code", [1, 64, 65, 69, 70, 75])
def test_the_launcher_exits_with_the_code_of_the_cause(code: int) -> None:
    assert find_code(lost(0, 1.0), failed(1, 1.0, code=code)) == code


def test_a_stop_exits_143_if_all_ranks_saved_and_75_if_one_did_not() -> None:
    assert find_code(end(0, 143, 1.0), end(1, 143, 1.0), stopping=True) == ExitCode.STOPPED
    assert find_code(end(0, 143, 1.0), end(1, 143, 1.0)) == ExitCode.STOPPED
    assert find_code(end(0, 143, 1.0), end(1, -15, 1.0), stopping=True) == ExitCode.STOPPED
    assert find_code(end(0, 143, 1.0), failed(1, 1.0, code=65), stopping=True) == ExitCode.TRY_AGAIN
    assert find_code(end(0, 143, 1.0), end(1, -9, 9.0, killed=True), stopping=True) == ExitCode.TRY_AGAIN


def test_a_rank_that_crashes_while_exiting_keeps_its_intended_code() -> None:
    error = ErrorRecord(1, 65, "BadData", "empty", 1.0)
    assert find_code(lost(0, 2.0), end(1, -6, 3.0, error=error)) == 65
    assert find_code(lost(0, 2.0), end(1, -9, 13.0, error=error, killed=True)) == 65


def test_the_launcher_exits_0_when_all_ranks_are_done() -> None:
    assert find_code(end(0, 0, 1.0), end(1, 0, 1.0)) == ExitCode.DONE
    assert find_root_cause([end(0, 0, 1.0)]) is None


@pytest.mark.parametrize(
    ("cause", "reason", "words"),
    [
        (end(1, -9, 1.0), "WorkerKilled", "rank 1 was killed by SIGKILL; if memory ran out"),
        (end(1, -11, 1.0), "WorkerCrashed", "ended by SIGSEGV"),
        (end(1, -90, 1.0), "WorkerCrashed", "ended by signal 90"),
        (end(1, 3, 1.0), "WorkerFailed", "exited with code 3"),
        (end(1, -9, 1.0, killed=True), "WorkerNotStopped", "did not stop in time"),
        (failed(1, 1.0), "Bad", "it went wrong"),
    ],
)
def test_the_cause_is_described_with_reason_rank_and_node(cause: WorkerEnd, reason: str, words: str) -> None:
    failure = describe_cause(cause, 137, "node-a", last_step=12)
    assert (failure.reason, failure.rank, failure.node) == (reason, 1, "node-a")
    assert words in failure.message
    assert failure.step == (None if cause.error else 12)


ENDS = st.lists(
    st.one_of(
        st.builds(lost, st.integers(0, 7), st.floats(1, 9)),
        st.builds(failed, st.integers(0, 7), st.floats(1, 9)),
        st.builds(end, st.integers(0, 7), st.sampled_from([0, 143, -9, -6, 65]), st.floats(1, 9), killed=st.booleans()),
    ),
    max_size=8,
)


@given(ENDS)
def test_a_consequence_is_the_cause_only_if_there_is_no_other_failure(ends: list[WorkerEnd]) -> None:
    cause = find_root_cause(ends)
    failures = [entry for entry in ends if entry.exit_code not in (0, 143, -15)]
    real = [entry for entry in failures if not is_consequence(entry)]
    assert (cause is None) == (not failures)
    if cause and real:
        assert cause.time == min(entry.time for entry in real)
