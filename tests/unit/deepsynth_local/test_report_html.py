import json
from datetime import UTC, datetime
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from deepsynth_api.v1alpha1 import DatasetGeneration, TrainingRun
from deepsynth_local.report.data import find_folder, read_curves, read_sample_pages
from deepsynth_local.report.html_fragments import format_bytes
from deepsynth_local.report.page import build_report, write_report
from deepsynth_local.runs.runs_folder import RunsFolder

NOW = datetime(2026, 1, 2, 12, 0, tzinfo=UTC)
TIME = "2026-01-02T11:00:00Z"


@pytest.fixture
def runs(tmp_path: Path) -> RunsFolder:
    return RunsFolder.open(tmp_path)


def write_pages(folder: Path, count: int) -> None:
    (folder / "data").mkdir(parents=True)
    rows = [
        {
            "image": {"bytes": b"\x89PNG" + bytes([index]), "path": None},
            "text": f"text {index}",
            "summary": "sum <b>mary</b> " + "long " * 60,
            "page": 0,
            "num_pages": 1,
            "source_dataset": "docstrings",
        }
        for index in range(count)
    ]
    pq.write_table(pa.Table.from_pylist(rows), folder / "data/train-00000.parquet")


def build_generation(**status: Any) -> DatasetGeneration:
    spec = {"source": {"uri": "docstrings://"}, "output": {"uri": "pvc://demo/pages"}}
    return DatasetGeneration.model_validate({"metadata": {"name": "docstrings"}, "spec": spec, "status": status})


def build_run(**status: Any) -> TrainingRun:
    spec = {
        "model": {"uri": "config://deepseek-ocr2-tiny"},
        "datasets": [{"name": "d", "datasetGenerationRef": {"name": "docstrings"}}],
        "checkpoint": {"uri": "pvc://demo/checkpoints"},
    }
    return TrainingRun.model_validate({"metadata": {"name": "read-<i>"}, "spec": spec, "status": status})


COMPLETE: dict[str, Any] = {
    "state": "Complete",
    "startTime": TIME,
    "completionTime": "2026-01-02T11:00:40Z",
    "conditions": [
        {"type": "Complete", "status": "True", "reason": "Done", "message": "all done", "lastTransitionTime": TIME}
    ],
}


class Collector(HTMLParser):
    """Tags that are open, the addresses a browser would ask for, and the text."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.addresses: list[str] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in {"meta", "img", "line", "circle", "polyline"}:
            self.open.append(tag)
        self.addresses += [value or "" for name, value in attrs if name in {"src", "href"}]

    def handle_endtag(self, tag: str) -> None:
        if tag in self.open:
            assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def collect(page: str) -> Collector:
    collector = Collector()
    collector.feed(page)
    assert collector.open == []
    return collector


def test_the_report_of_a_dataset_shows_its_pages_inside_the_file(runs: RunsFolder) -> None:
    write_pages(runs.volumes / "demo/pages", 20)
    output = {"uri": "pvc://demo/pages", "revision": "a" * 40, "rows": 20, "pages": 21, "bytes": 4_200_000}
    dropped = {"dropped": [{"reason": "Duplicate", "rows": 3}]}
    status = {**COMPLETE, "output": {**output, "manifestSha256": "x"}, "progress": dropped}

    page = collect(build_report([build_generation(**status)], runs, NOW))

    images = [address for address in page.addresses if address.startswith("data:image/png;base64,")]
    assert len(images) == 8
    assert [address for address in page.addresses if address not in images] == ["#datasetgeneration-docstrings"]
    assert "sum <b>mary</b>" in page.text
    for expected in ("all done", "4.2 MB", "Duplicate", "40s"):
        assert expected in page.text


def test_the_report_of_a_run_shows_curves_attempts_and_checkpoints(runs: RunsFolder) -> None:
    for step, name in ((9, "step-9"), (10, "step-10"), (11, "step-11.tmp-attempt-1")):
        folder = runs.volumes / "demo/checkpoints" / name
        folder.mkdir(parents=True)
        lines = [
            json.dumps({"step": index, "loss": 9.0 - index / 10, "samples_per_second": 7.5})
            for index in range(1, step + 1)
        ]
        lines += ["not json", "[1]", json.dumps({"step": 1, "loss": float("nan")})]
        lines += [json.dumps({"step": 5, "validation_loss": 3.25, "validation_loss_swapped": 4.5})]
        (folder / "metrics.jsonl").write_text("\n".join(lines))
    checkpoint = {"step": 10, "uri": "pvc://demo/checkpoints/step-10", "time": TIME, "bytes": 1, "loss": "3.25"}
    attempt = {"number": 1, "startTime": TIME, "job": "j", "outcome": "Failed", "rank": 1, "message": "killed <9>"}
    status = {
        **COMPLETE,
        "checkpoints": [checkpoint],
        "bestCheckpoint": checkpoint,
        "attempts": [{**attempt, "lastStep": 7}, {"number": 2, "startTime": TIME, "job": "k"}],
        "metrics": [{"name": "validation_loss", "value": "3.25"}],
        "notes": ["step-8 was damaged"],
        "progress": {"step": 10, "totalSteps": 10, "dropped": [{"reason": "LabelTooLong", "rows": 1234}]},
    }

    text = build_report([build_run(**status)], runs, NOW)
    page = collect(text)

    assert "training from 8.9 to" in text
    for expected in ("10 (best)", "killed <9>", "0 to 7", "Validation loss", "step-8 was damaged", "4.5", "read-<i>"):
        assert expected in page.text
    assert "Throughput: samples/s from 7.5 to 7.5" in text
    assert "LabelTooLong" in page.text
    assert "1,234" in page.text
    assert len(read_curves(runs.volumes / "demo/checkpoints").loss) == 10


def test_a_resource_that_has_done_nothing_yet_has_a_section_too(runs: RunsFolder) -> None:
    path = write_report([build_generation(), build_run()], runs, NOW)

    text = path.read_text()
    collect(text)
    assert text.count(">Pending<") == 4
    assert path == runs.path / "report.html"


def test_places_on_this_machine_are_found_and_the_hub_is_not(runs: RunsFolder) -> None:
    assert find_folder("pvc://claim/a/b", runs) == runs.volumes / "claim/a/b"
    assert find_folder("file:///data/a%20b", runs) == Path("/data/a b")
    assert find_folder("hf://datasets/a/b", runs) is None
    assert read_sample_pages(runs.path / "nothing") == []


@pytest.mark.parametrize(("count", "text"), [(0, "0 B"), (999, "999 B"), (12_300_000, "12.3 MB"), (5e15, "5e+03 TB")])
def test_bytes_are_shown_in_decimal_units(count: int, text: str) -> None:
    assert format_bytes(count) == text
