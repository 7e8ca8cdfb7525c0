"""Shared by the tests of the rendering steps: workload documents, running a step, reading the published dataset."""

import json
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from deepsynth_api.report import Report
from deepsynth_render.__main__ import RunStep, find_step, main
from deepsynth_render.reporting.report import StepName

LONG = "The quick brown fox jumps over the lazy dog and runs on, number "


def build_rows(count: int, first: int = 0) -> list[dict[str, str]]:
    """Rows with distinct texts that pass the default filters."""
    return [
        {"text": f"{LONG}{number}.\n\nIt is followed by paragraph {number}.", "summary": f"A fox, number {number}."}
        for number in range(first, first + count)
    ]


def write_parquet(path: Path, rows: Sequence[Mapping[str, Any]], group_rows: int = 1000) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.Table.from_pylist([dict(row) for row in rows]), path, row_group_size=group_rows)


def write_jsonl(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


@dataclass
class Steps:
    """One generation: its document, and its steps run in this process as the container would run them.

    find: where `run` finds a step; replace it to run a step with a part of it replaced.
    """

    folder: Path
    monkeypatch: pytest.MonkeyPatch
    source: dict[str, Any]
    output: str
    settings: dict[str, Any] = field(default_factory=dict)
    report: Report | None = None
    find: Callable[[StepName], RunStep] = find_step

    def build_document(self) -> dict[str, Any]:
        page = {"size": "160x120", "fontSizesPx": [8], "marginPx": 8}
        base = {"name": "pages", "namespace": "default", "uid": "1", "sourceName": "foxes", "page": page}
        output = {"uri": self.output, **self.settings.get("output", {})}
        return {**base, **self.settings, "source": self.source, "output": output}

    def run(self, step: str, index: int | None = None) -> int:
        """The step's exit code; `report` is then the content of its termination message."""
        log = self.prepare(step, index)
        code = main([step, "--document", str(self.document_path)], find=self.find)
        self.report = Report.model_validate_json(log.read_bytes())
        return code

    def run_process(self, step: str, index: int | None = None) -> subprocess.CompletedProcess[str]:
        """The same in a separate process."""
        self.prepare(step, index)
        return subprocess.run(self.build_command(step), capture_output=True, text=True, check=False)

    def build_command(self, step: str) -> list[str]:
        return [sys.executable, "-m", "deepsynth_render", step, "--document", str(self.document_path)]

    @property
    def document_path(self) -> Path:
        return self.folder / "workload.json"

    def prepare(self, step: str, index: int | None) -> Path:
        """Write the document, set the environment, and return the path of the termination message."""
        log = self.folder / "termination-log"
        self.monkeypatch.setenv("DEEPSYNTH_TERMINATION_LOG", str(log))
        self.monkeypatch.setenv("TMPDIR", str(self.folder))
        self.monkeypatch.setattr(tempfile, "tempdir", str(self.folder))
        if index is not None:
            self.monkeypatch.setenv("JOB_COMPLETION_INDEX", str(index))
        document = self.build_document()
        if step == "plan":
            document.pop("plan", None)
        self.document_path.write_text(json.dumps(document), encoding="utf-8")
        return log

    def plan(self) -> Report:
        """Plan, and add the plan to the document."""
        report = self.succeed("plan")
        assert report.plan is not None
        self.settings["plan"] = {
            "digest": report.plan.digest,
            "revision": report.plan.revision,
            "shards": report.plan.shards,
            "staging": report.plan.staging or None,
        }
        return report

    def succeed(self, step: str, index: int | None = None) -> Report:
        assert self.run(step, index) == 0, self.report
        assert self.report is not None
        return self.report

    def fail(self, step: str, code: int, index: int | None = None) -> str:
        """The message of a step that must end with `code`."""
        assert self.run(step, index) == code, self.report
        assert self.report is not None
        assert self.report.failure is not None
        assert self.report.failure.exit_code == code
        return self.report.failure.message

    def render_all(self) -> list[Report]:
        return [self.succeed("render", index) for index in range(self.settings["plan"]["shards"])]

    def run_all(self) -> Report:
        """Plan, render and publish; the report of publish."""
        self.plan()
        self.render_all()
        return self.succeed("publish")


def read_pages(folder: Path, split: str = "*") -> list[dict[str, Any]]:
    """All published rows in the order of their files."""
    files = sorted((folder / "data").glob(f"{split}-*.parquet"))
    return [row for file in files for row in pq.read_table(file).to_pylist()]


def read_documents(folder: Path, split: str = "*") -> dict[str, str]:
    """document_id -> its pages' texts joined."""
    documents: dict[str, str] = {}
    for row in read_pages(folder, split):
        documents[row["document_id"]] = documents.get(row["document_id"], "") + row["text"]
    return documents


def dropped(report: Report) -> dict[str, int]:
    """Reason -> rows, from the report of any step."""
    part = report.plan or report.render or report.publish
    assert part is not None
    return {entry.reason: entry.rows for entry in part.dropped}
