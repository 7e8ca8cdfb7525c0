from hypothesis import given
from hypothesis import strategies as st

from deepsynth_store.core.backoff import Fault, compute_pause

FAULTS = st.sampled_from(list(Fault))
JITTER = st.floats(0, 1, exclude_max=True)


@given(FAULTS, JITTER)
def test_every_kind_of_fault_is_given_up_after_a_bounded_time(fault: Fault, jitter: float) -> None:
    pauses = [compute_pause(fault, tries, None, jitter) for tries in range(1, 100)]
    assert None in pauses
    assert sum(pause for pause in pauses if pause is not None) < 3 * 3600


@given(FAULTS, st.integers(1, 100), st.none() | st.floats(0, 10_000), JITTER)
def test_a_pause_is_never_shorter_than_asked(fault: Fault, tries: int, asked: float | None, jitter: float) -> None:
    pause = compute_pause(fault, tries, asked, jitter)
    assert pause is None or pause > (asked or 0)


def test_pauses_grow_up_to_a_limit() -> None:
    pauses = [compute_pause(Fault.CONFLICT, tries, None, 0.5) for tries in range(1, 10)]
    assert pauses == [0.75, 1.5, 3.0, 6.0, 12.0, 22.5, 22.5, 22.5, 22.5]


def test_a_connection_that_is_slow_to_fail_is_not_tried_again() -> None:
    assert compute_pause(Fault.UNREACHABLE, 1, None, 0.5, spent_seconds=0.1) is not None
    assert compute_pause(Fault.UNREACHABLE, 1, None, 0.5, spent_seconds=6.0) is None
    assert compute_pause(Fault.UNAVAILABLE, 1, None, 0.5, spent_seconds=6.0) is not None


def test_a_server_that_asks_for_a_pause_of_more_than_an_hour_is_given_up() -> None:
    assert compute_pause(Fault.THROTTLED, 1, 3601, 0.5) is None
