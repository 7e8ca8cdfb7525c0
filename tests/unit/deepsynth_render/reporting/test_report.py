import urllib.error
import urllib.request
from pathlib import Path

import pytest

from deepsynth_api.report import PlanReport, PublishReport, RenderReport, Report
from deepsynth_render.reporting.report import Part, Reporter, StepName, format_metrics
from deepsynth_store import Waiting
from support.free_port import find_free_port


def get(port: int, path: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=60) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()


def test_the_report_is_served_only_while_the_step_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    port = find_free_port()
    monkeypatch.setenv("DEEPSYNTH_REPORT_ADDRESS", f"127.0.0.1:{port}")
    reporter = Reporter("render")
    with reporter.serve():
        reporter.show(RenderReport(shard=3, documents=7, pages=9))
        report = Report.model_validate_json(get(port, "/report")[1])
        assert report.render is not None
        assert (report.step, report.render.shard, report.render.documents) == ("render", 3, 7)
        assert "deepsynth_render_pages 9\n" in get(port, "/metrics")[1]
        assert get(port, "/healthz") == (200, "ok\n")
        assert get(port, "/other")[0] == 404
    with pytest.raises(urllib.error.URLError):
        get(port, "/healthz")


@pytest.mark.parametrize(
    ("step", "part"),
    [("plan", PlanReport()), ("render", RenderReport(shard=1)), ("publish", PublishReport(uri="hf://datasets/a/b"))],
)
def test_a_wait_is_shown_until_it_is_over(step: StepName, part: Part) -> None:
    now = 100.0
    reporter = Reporter(step, clock=lambda: now)
    reporter.show(part)
    reporter.on_wait(Waiting("the Hub's rate limit is reached", 30.0))
    now = 110.0
    waiting = "the Hub's rate limit is reached, for another 20 s"
    assert getattr(reporter.build_report(), step) == part.updated(waiting=waiting)
    now = 131.0
    assert getattr(reporter.build_report(), step) == part


def test_the_termination_message_holds_the_failure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DEEPSYNTH_TERMINATION_LOG", str(tmp_path / "log"))
    monkeypatch.setenv("DEEPSYNTH_NODE_NAME", "node-7")
    reporter = Reporter("plan")
    reporter.fail("BadData", "x" * 10_000, 65, ValueError())
    reporter.write_termination_message()
    content = (tmp_path / "log").read_bytes()
    failure = Report.model_validate_json(content).failure
    assert len(content) <= 3500
    assert failure is not None
    assert (failure.reason, failure.exit_code, failure.node, failure.exception) == (
        "BadData",
        65,
        "node-7",
        "ValueError",
    )


def test_a_step_without_numbers_has_no_metrics() -> None:
    assert format_metrics(Reporter("plan").build_report()) == ""
