"""A generation whose shards are rendered while the plan step reads: by the real steps, in the order of a cluster."""

from collections.abc import Callable, Generator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from deepsynth_api.report import PlanReport, Report
from deepsynth_api.workload import RENDER_AHEAD_VARIABLE
from deepsynth_render.__main__ import find_step
from deepsynth_render.plan import select_rows
from deepsynth_render.plan.step import run_plan
from deepsynth_render.reporting.report import Reporter
from deepsynth_render.sources import RowGroup, TextSource, open_source
from integration.render_pipeline.render_steps import Steps


class Ticking:
    """A clock that moves each time it is read."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._now = 0.0

    def __call__(self) -> float:
        self._now += self._seconds
        return self._now


class Watched:
    """A source that calls `look` before each of its row groups. revision: instead of its own."""

    def __init__(self, source: TextSource, look: Callable[[], None], revision: str | None) -> None:
        self._source = source
        self._look = look
        self.revision = revision or source.revision

    def __getattr__(self, name: str) -> Any:
        return getattr(self._source, name)

    def read(self, split: str, config: str | None = None) -> Generator[RowGroup, None, None]:
        for group in self._source.read(split, config):
            self._look()
            yield group


class AheadSteps:
    """Plans with `steps`, and renders what is staged meanwhile.

    seconds: how much time passes each time that the plan step looks at its clock: with 11, shards are staged soon.
    reports: those with a number of staged shards, in order. rendered: the number of shards that were rendered ahead.
    """

    def __init__(
        self, steps: Steps, monkeypatch: pytest.MonkeyPatch, seconds: float = 11, revision: str | None = None
    ) -> None:
        self.steps = steps
        self.reports: list[PlanReport] = []
        self.rendered = 0
        self.look: Callable[[], None] = self.render_staged
        monkeypatch.setenv(RENDER_AHEAD_VARIABLE, "1")
        monkeypatch.setattr(select_rows, "_BATCH_ROWS", 5)  # what is read ahead of what is planned
        show = Reporter.show

        def listen(reporter: Reporter, part: Any) -> None:
            if isinstance(part, PlanReport) and part.staged_shards:
                self.reports.append(part)
            show(reporter, part)

        monkeypatch.setattr(Reporter, "show", listen)

        def open_watched(*arguments: Any, **options: Any) -> Watched:
            return Watched(open_source(*arguments, **options), self.look, revision)

        def find(step: Any) -> Any:
            return (
                partial(run_plan, open_texts=open_watched, clock=Ticking(seconds))
                if step == "plan"
                else find_step(step)
            )

        steps.find = find

    def plan(self) -> Report:
        """The report of the plan step; what is rendered afterwards is what is left of its shards."""
        report = self.steps.plan()
        assert report.plan is not None
        self.steps.settings["plan"]["firstShard"] = self.rendered
        return report

    def render_staged(self) -> None:
        """Render the shards that the newest report adds, without a plan."""
        if not self.reports:
            return
        newest = self.reports[-1]
        self.steps.settings["plan"] = self.refer(newest, self.rendered)
        for index in range(newest.staged_shards - self.rendered):
            self.steps.succeed("render", index)
        self.rendered = newest.staged_shards

    def refer(self, report: PlanReport, first: int = 0) -> dict[str, Any]:
        """What a Job that renders ahead has in its document."""
        return {
            "digest": "",
            "revision": report.revision,
            "shards": report.staged_shards,
            "staging": report.staging,
            "firstShard": first,
        }

    def render_rest(self) -> list[Report]:
        plan = self.steps.settings["plan"]
        return [self.steps.succeed("render", index) for index in range(plan["shards"] - plan["firstShard"])]

    def run_all(self) -> Report:
        self.plan()
        self.render_rest()
        return self.steps.succeed("publish")


def read_tree(folder: Path) -> dict[str, bytes]:
    """All files, those in staging included."""
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*.*") if path.is_file()}
