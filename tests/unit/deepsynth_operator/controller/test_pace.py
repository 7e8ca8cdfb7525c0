"""Progress is written less often when very many resources are at work, fairly between namespaces."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deepsynth_operator.controller.pace import MAX_WRITES, Pace, share
from deepsynth_operator.core.resource_key import ResourceKey
from deepsynth_operator.core.settings import Settings

POLL_SECONDS = 15


def start(pace: Pace, namespace: str, runs: int, pods: int = 1) -> None:
    for number in range(runs):
        pace.note(ResourceKey("TrainingRun", namespace, f"r{number}"), pods)


def test_a_lone_run_sees_no_difference() -> None:
    pace = Pace(POLL_SECONDS)
    start(pace, "a", 1)
    assert (pace.get_poll_seconds("a"), pace.get_progress_seconds("a"), pace.get_stretch("a")) == (15, 30, 1)
    assert pace.get_progress_seconds("b") == Settings().progress_seconds == 30


def test_five_thousand_runs_are_written_fifty_times_a_second() -> None:
    pace = Pace(POLL_SECONDS)
    start(pace, "a", 5000)
    assert 5000 / pace.get_progress_seconds("a") == MAX_WRITES
    assert (pace.get_poll_seconds("a"), pace.get_longest()) == (25, 100)
    assert Settings(progress_stretch=pace.get_stretch("a")).progress_seconds == pytest.approx(100)


def test_a_user_with_thousands_of_runs_does_not_slow_down_another() -> None:
    pace = Pace(POLL_SECONDS)
    start(pace, "a", 5000)
    start(pace, "b", 20)
    assert pace.get_progress_seconds("b") == 30
    assert pace.get_progress_seconds("a") > 100
    assert pace.get_poll_seconds("b") == POLL_SECONDS


def test_many_pods_of_one_run_are_many_polls_and_one_write() -> None:
    pace = Pace(POLL_SECONDS)
    start(pace, "a", 1, pods=6000)
    assert (pace.get_poll_seconds("a"), pace.get_progress_seconds("a")) == (30, 30)


def test_runs_that_end_give_back_their_part() -> None:
    now = 0.0
    pace = Pace(POLL_SECONDS, lambda: now)
    start(pace, "a", 3000)
    assert pace.get_progress_seconds("a") == 60
    start(pace, "a", 3000, pods=0)
    now = 5.0
    assert (pace.get_progress_seconds("a"), pace.get_longest()) == (30, 30)


@given(st.dictionaries(st.text("abc", min_size=1), st.integers(1, 9000)), st.floats(1, 600), st.floats(1, 500))
def test_all_that_there_is_is_shared_and_no_group_gets_less_than_its_part(
    counts: dict[str, int], usual: float, per_second: float
) -> None:
    seconds = share(counts, usual, per_second)
    rates = {name: count / seconds[name] for name, count in counts.items()}
    assert sum(rates.values()) == pytest.approx(min(per_second, sum(counts.values()) / usual))
    for name, count in counts.items():
        assert rates[name] <= count / usual * 1.000001, "not more often than usual"
        assert rates[name] >= min(count / usual, per_second / len(counts)) * 0.999999
