from datetime import UTC, datetime, timedelta

import pytest

from deepsynth_client.report.timeline import Mark, Span, Timeline, build_timeline

START = datetime(2026, 1, 2, 11, 0, tzinfo=UTC)


def at(minutes: float) -> datetime:
    return START + timedelta(minutes=minutes)


def build(*spans: Span, marks: tuple[Mark, ...] = (), until: datetime | None = None) -> Timeline:
    timeline = build_timeline("Attempts", spans, marks, until=until)
    assert timeline is not None
    return timeline


FAILED = Span("1", "Failed", "OutOfMemory: rank 3", at(0), at(2), at(10))
RUNNING = Span("2", "Running", "", at(10), at(11), None)


def test_a_resource_without_attempts_has_no_time_line() -> None:
    assert build_timeline("Attempts", [], until=at(1)) is None


def test_bars_are_as_long_as_what_they_show_and_say_why_it_ended() -> None:
    timeline = build(FAILED, Span("2", "Succeeded", "", at(20), at(20), at(40)))

    first, second = timeline.bars
    assert second.width == pytest.approx(2 * first.width, abs=0.2)
    assert first.waited == pytest.approx(first.width / 5, abs=0.2)
    assert first.title == "1: Failed after 10m (OutOfMemory: rank 3)"
    assert second.left + second.width <= timeline.width


def test_an_attempt_that_runs_reaches_to_the_last_report_and_not_to_the_present() -> None:
    timeline = build(FAILED, RUNNING, until=at(30))

    assert timeline.bars[1].title == "2: Running for 20m"
    assert timeline.bars[1].width == pytest.approx(2 * timeline.bars[0].width, abs=0.2)


def test_a_report_after_the_end_does_not_stretch_the_line() -> None:
    assert build(FAILED, until=at(600)) == build(FAILED)


def test_an_attempt_that_never_ran_only_waited() -> None:
    bar = build(Span("1", "Failed", "ImagePullBackOff", at(0), None, at(5))).bars[0]
    assert bar.waited == bar.width


def test_an_attempt_that_starts_now_is_visible() -> None:
    assert build(Span("1", "Running", "", at(0), None, None)).bars[0].width >= 2


def test_a_short_attempt_in_a_long_run_is_visible_without_a_label() -> None:
    bar = build(Span("1", "Hung", "", at(0), at(0), at(1)), Span("2", "Running", "", at(1), at(1), at(50_000))).bars[0]
    assert (bar.width, bar.label) == (2, "")


def test_checkpoints_of_attempts_that_the_status_forgot_are_not_drawn() -> None:
    """The status keeps the last ten attempts, and the best checkpoint of all."""
    timeline = build(FAILED, marks=(Mark("step 1", at(-500)), Mark("step 9", at(5))))

    assert [mark.label for mark in timeline.marks] == ["step 9"]
    assert timeline.bars[0].left < timeline.marks[0].at < timeline.bars[0].left + timeline.bars[0].width


@pytest.mark.parametrize("minutes", [0, 0.01, 1, 7, 90, 1440, 60 * 24 * 45, 60 * 24 * 3650])
def test_a_life_of_any_length_has_a_few_ticks_inside_the_drawing(minutes: float) -> None:
    timeline = build(Span("1", "Succeeded", "", at(0), at(0), at(minutes)))

    assert 1 <= len(timeline.ticks) <= 7
    assert timeline.ticks[0].label == "0s"
    assert all(tick.at <= timeline.width for tick in timeline.ticks)


def test_clocks_that_disagree_do_not_draw_backwards() -> None:
    bar = build(Span("1", "Failed", "", at(5), at(9), at(3)), Span("2", "Running", "", at(0), at(1), at(20))).bars[0]
    assert bar.width > 0
    assert 0 <= bar.waited <= bar.width
