"""Plans: the same seed gives the same faults, all faults occur, and durations exceed and undercut a takeover."""

from typing import get_args

from deepsynth_chaos.faults import _FAULTS, choose
from deepsynth_chaos.plan import MAX_SECONDS, MIN_SECONDS, WEIGHTS, FaultName, draw_plan
from deepsynth_operator.kubernetes.leadership.election import DEFAULT_TIMING


def test_a_seed_gives_the_same_plan_each_time_and_another_seed_another() -> None:
    assert draw_plan(4, 50) == draw_plan(4, 50)
    assert draw_plan(4, 50) != draw_plan(5, 50)


def test_a_longer_plan_begins_like_a_shorter_one() -> None:
    assert draw_plan(4, 200)[:50] == draw_plan(4, 50)


def test_a_long_plan_has_every_fault_and_the_rare_ones_are_rare() -> None:
    faults = [planned.fault for planned in draw_plan(1, 2000)]
    assert set(faults) == set(get_args(FaultName))
    assert faults.count("node-lost") < faults.count("container-killed")


def test_a_plan_can_be_limited_to_some_faults() -> None:
    assert {planned.fault for planned in draw_plan(1, 20, only=("leader-killed",))} == {"leader-killed"}


def test_every_fault_has_a_weight_and_an_executor() -> None:
    assert set(WEIGHTS) == set(_FAULTS) == set(get_args(FaultName))


def test_faults_last_shorter_and_longer_than_a_leader_may_be_away() -> None:
    assert MIN_SECONDS < DEFAULT_TIMING.deadline < DEFAULT_TIMING.duration + DEFAULT_TIMING.look < MAX_SECONDS
    assert all(MIN_SECONDS <= planned.seconds <= MAX_SECONDS for planned in draw_plan(1, 200))


def test_a_draw_chooses_any_of_the_victims_and_none_where_there_is_none() -> None:
    assert choose([], 0.5) is None
    assert [choose("abc", draw) for draw in (0.0, 0.4, 0.9999)] == ["a", "b", "c"]
