"""The stand-in work: what is left of it after a kill, and that weights show a step that was lost or doubled."""

from deepsynth_api.exit_codes import ExitCode
from deepsynth_chaos.invariants import check_lives, check_rows
from deepsynth_chaos.work import INTERVAL, ROWS, SHARDS, STEPS, Process, Work, train_step, train_undisturbed


def build_ranks(attempt: int) -> list[Process]:
    return [Process(f"{attempt}-{rank}", "p", "owner", f"run-train-{attempt}", "train", rank) for rank in (0, 1)]


def advance(work: Work, processes: list[Process], ticks: int) -> None:
    for _ in range(ticks):
        work.advance(processes)


def test_an_undisturbed_run_ends_with_the_undisturbed_weights() -> None:
    work, ranks = Work(), build_ranks(1)
    advance(work, ranks, STEPS)
    assert [rank.exit_code for rank in ranks] == [0, 0]
    assert work.get_volume("owner").model == train_undisturbed()


def test_a_killed_rank_takes_the_others_with_it_and_the_next_attempt_continues_from_the_checkpoint() -> None:
    work, ranks = Work(), build_ranks(1)
    advance(work, ranks, 2 * INTERVAL + 2)
    work.kill(ranks[1])
    advance(work, ranks, 1)
    assert [rank.exit_code for rank in ranks] == [ExitCode.PEER_LOST, ExitCode.OUT_OF_MEMORY]
    advance(work, build_ranks(2), STEPS)
    volume = work.get_volume("owner")
    assert volume.model == train_undisturbed()
    assert [(life.first_step, life.failed) for life in volume.lives] == [(0, True), (2 * INTERVAL, False)]
    assert list(check_lives(volume.lives, INTERVAL)) == []


def test_two_attempts_at_once_are_found() -> None:
    work, first, second = Work(), build_ranks(1), build_ranks(2)
    advance(work, first, INTERVAL + 1)
    assert work.get_volume("owner").late == set()
    advance(work, [*second, *first], 2)
    assert work.get_volume("owner").late == {1}


def test_a_stopped_rank_saves_first() -> None:
    work, ranks = Work(), build_ranks(1)
    advance(work, ranks, INTERVAL + 2)
    work.stop(ranks[0])
    assert work.get_volume("owner").saved_step == INTERVAL + 2


def test_a_full_disk_ends_an_attempt_and_keeps_the_checkpoint_before() -> None:
    work, ranks = Work(), build_ranks(1)
    advance(work, ranks, INTERVAL)
    work.conditions.disk_is_full = True
    advance(work, ranks, INTERVAL + 1)
    assert [rank.exit_code for rank in ranks] == [ExitCode.TRY_AGAIN, ExitCode.PEER_LOST]
    assert work.get_volume("owner").saved_step == INTERVAL


def test_the_weights_depend_on_every_step_and_its_order() -> None:
    once = train_step(train_step("", 1), 2)
    assert once not in {train_step("", 2), train_step(train_step("", 2), 1), train_step(once, 2)}


def test_a_generation_publishes_every_row_once() -> None:
    work = Work()
    for processes in (
        [Process("p", "p", "owner", "g-plan-1", "plan", 0)],
        [Process(f"r-{index}", "p", "owner", "g-render-1", "render", index) for index in range(SHARDS)],
        [Process("b", "p", "owner", "g-publish-1", "publish", 0)],
    ):
        advance(work, processes, 40)
        assert {process.exit_code for process in processes} == {0}
    volume = work.get_volume("owner")
    assert list(check_rows(volume.shards, volume.published, ROWS)) == []


def test_a_plan_stages_all_shards_one_by_one_before_it_is_done() -> None:
    work, process, staged = Work(), Process("u", "p", "owner", "g-plan-1", "plan", 0), []
    while process.exit_code is None:
        advance(work, [process], 1)
        assert process.report is not None
        assert process.report.plan is not None
        staged.append(process.report.plan.staged_shards)
    assert sorted({*staged[:-1]}) == list(range(SHARDS + 1))
    assert process.report is not None
    assert process.report.plan is not None
    assert (process.report.plan.digest, process.report.plan.shards) == ("d", SHARDS)


def test_without_the_hub_a_plan_asks_to_be_tried_again() -> None:
    work = Work()
    work.conditions.hub_is_down = True
    process = Process("u", "p", "owner", "g-plan-1", "plan", 0)
    advance(work, [process], 1)
    assert process.exit_code == ExitCode.TRY_AGAIN
