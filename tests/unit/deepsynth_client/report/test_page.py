import json
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from deepsynth_api.errors import TemporaryError
from deepsynth_api.v1alpha1 import DatasetGeneration, Resource, TrainingRun
from deepsynth_client.report.page import build_report, write_report
from deepsynth_local.runs.runs_folder import RunsFolder
from support.html_page import HOSTILE, Collector

NOW = datetime(2026, 1, 2, 12, 0, tzinfo=UTC)
TIME = "2026-01-02T11:00:00Z"


@pytest.fixture
def runs(tmp_path: Path) -> RunsFolder:
    return RunsFolder.open(tmp_path)


def write_pages(folder: Path, count: int, *, text: str = "text", summary: str = "sum <b>mary</b> ") -> None:
    (folder / "data").mkdir(parents=True)
    rows = [
        {
            "image": {"bytes": b"\x89PNG" + bytes([index]), "path": None},
            "text": f"{text} {index}",
            "summary": summary + "long " * 60,
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


def test_the_report_of_a_dataset_shows_its_pages_inside_the_file(runs: RunsFolder) -> None:
    write_pages(runs.volumes / "demo/pages", 20)
    output = {"uri": "pvc://demo/pages", "revision": "a" * 40, "rows": 20, "pages": 21, "bytes": 4_200_000}
    dropped = {"dropped": [{"reason": "Duplicate", "rows": 3}]}
    plan = {
        "revision": "r",
        "digest": "d",
        "splits": [],
        "shards": 1,
        "columns": [{"text": "article", "summary": "highlights", "rows": 23}],
        "skippedFiles": [{"reason": "OtherFormat", "files": 1, "examples": ["train.csv"]}],
        "undrawable": {"documents": 2, "characters": [{"character": "U+E000 (no name)", "documents": 2}]},
    }
    status = {**COMPLETE, "output": {**output, "manifestSha256": "x"}, "progress": dropped, "plan": plan}

    page = Collector(build_report([build_generation(**status)], runs.find_folder, str(runs.path), NOW))

    images = [address for address in page.addresses if address.startswith("data:image/png;base64,")]
    assert len(images) == 8
    assert [address for address in page.addresses if address not in images] == ["#datasetgeneration-docstrings"]
    assert "sum <b>mary</b>" in page.text
    for expected in ("all done", "4.2 MB", "Duplicate", "40s", "highlights", "train.csv", "U+E000 (no name)"):
        assert expected in page.text


def test_the_report_of_a_run_shows_curves_attempts_and_checkpoints(runs: RunsFolder) -> None:
    folder = runs.volumes / "demo/checkpoints/step-10"
    folder.mkdir(parents=True)
    records = [{"step": step, "loss": 9.0 - step / 10, "samples_per_second": 7.5} for step in range(1, 11)]
    evaluation = {"step": 5, "validation_loss": 3.25, "validation_loss_swapped": 4.5}
    (folder / "metrics.jsonl").write_text("\n".join(map(json.dumps, [*records, evaluation])))
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

    text = build_report([build_run(**status)], runs.find_folder, str(runs.path), NOW)
    page = Collector(text)

    assert "training from 8.9 to" in text
    for expected in ("10 (best)", "killed <9>", "0 to 7", "Validation loss", "step-8 was damaged", "4.5", "read-<i>"):
        assert expected in page.text
    assert "Throughput: samples/s from 7.5 to 7.5" in text
    assert "LabelTooLong" in page.text
    assert "1,234" in page.text


def test_the_report_of_a_run_shows_the_metric_that_decides_and_the_published_samples(runs: RunsFolder) -> None:
    folder = runs.volumes / "demo/checkpoints"
    (folder / "step-20").mkdir(parents=True)
    curve = [
        {"step": 10, "validation_loss": 3.0, "validation_cer": 0.25},
        {"step": 20, "validation_loss": 2.0, "validation_cer": 0.375, "validation_loss_black": 7.25},
    ]
    (folder / "step-20/metrics.jsonl").write_text("\n".join(map(json.dumps, curve)))
    (folder / "samples").mkdir()
    for step in (10, 20):
        entry = {"name": "row 1", "pages": [], "reference": "a", "written": f"text of step {step}", "cer": 1}
        (folder / f"samples/step-{step}.json").write_text(json.dumps({"step": step, "samples": [entry]}))
    checkpoints = [
        {"step": step, "uri": f"pvc://demo/checkpoints/step-{step}", "time": TIME, "metric": "cer", "value": value}
        for step, value in ((20, "0.375"), (10, "0.25"))
    ]
    status = {
        **COMPLETE,
        "checkpoints": checkpoints,
        "bestCheckpoint": checkpoints[1],
        "output": {"uri": "pvc://demo/model", "step": 10},
        "metrics": [{"name": "validation_cer", "value": "0.25", "step": 10}],
    }

    text = build_report([build_run(**status)], runs.find_folder, str(runs.path), NOW)
    page = Collector(text)

    for expected in ("Best checkpoint (CER 25.0%)", "CER 37.5%", "10 (best)", "text of step 10", "Validation CER"):
        assert expected in page.text, expected
    assert "text of step 20" not in page.text
    assert "Error rates: CER from 0.25 to 0.375" in text
    assert "loss with black pages" in page.text
    assert "7.250" in page.text


def test_a_resource_that_has_done_nothing_yet_has_a_section_too(runs: RunsFolder) -> None:
    path = write_report(
        build_report([build_generation(), build_run()], runs.find_folder, str(runs.path), NOW), runs.report
    )

    text = path.read_text()
    Collector(text)
    assert text.count(">Pending<") == 4
    assert path == runs.path / "report.html"


def spoil(resource: DatasetGeneration | TrainingRun) -> dict[str, Any]:
    """The resource with a hostile name and a hostile value in its spec."""
    written = resource.model_dump(mode="json", by_alias=True)
    written["metadata"]["name"] = HOSTILE
    written["spec"]["template"] = {"env": [{"name": "A", "value": HOSTILE}]}
    return written


def test_a_report_that_cannot_be_written_is_named(runs: RunsFolder) -> None:
    runs.report.mkdir()

    with pytest.raises(TemporaryError, match=r"report\.html: cannot be written: Is a directory"):
        write_report("", runs.report)


def test_the_report_says_that_the_folder_of_a_dataset_has_another_publication(runs: RunsFolder) -> None:
    folder = runs.path / "volumes/demo/pages"
    write_pages(folder, 1)
    (folder / "deepsynth").mkdir()
    (folder / "deepsynth/manifest.json").write_text("{}")
    output = {"uri": "pvc://demo/pages", "revision": "1", "rows": 1, "pages": 1, "bytes": 1, "manifestSha256": "0" * 64}
    page = build_report([build_generation(**COMPLETE, output=output)], runs.find_real_folder, "here", NOW)
    assert "the dataset there is of another publication by now" in page


def test_untrusted_text_stays_text_everywhere_on_the_page(runs: RunsFolder) -> None:
    """Names, messages, URIs, pages and notes are untrusted: none of them makes a tag, an attribute or a link."""
    write_pages(runs.volumes / "demo/pages", 1, text=HOSTILE, summary=HOSTILE)
    condition = {"type": "Failed", "status": "True", "reason": HOSTILE, "message": HOSTILE, "lastTransitionTime": TIME}
    dropped = [{"reason": HOSTILE, "rows": 1}]
    output = {
        "uri": "javascript:alert(4)",
        "revision": HOSTILE,
        "rows": 1,
        "pages": 1,
        "bytes": 1,
        "manifestSha256": HOSTILE,
    }
    generation = build_generation(
        state="Failed", conditions=[condition], output=output, progress={"dropped": dropped, "pagesPerSecond": HOSTILE}
    )
    samples = runs.volumes / "demo/checkpoints/samples"
    (samples / "pages").mkdir(parents=True)
    (samples / "pages/0-0.png").write_bytes(b"PNG")
    entry = {"name": HOSTILE, "pages": ["../pages/0-0.png"], "reference": HOSTILE, "written": HOSTILE, "cer": 1}
    (samples / "step-3.json").write_text(json.dumps({"step": 3, "samples": [entry]}))
    checkpoint = {"step": 1, "uri": "javascript:alert(5)", "time": TIME, "loss": HOSTILE, "sha256": HOSTILE}
    run = build_run(
        state="Failed",
        conditions=[condition],
        notes=[HOSTILE],
        checkpoints=[checkpoint],
        bestCheckpoint=checkpoint,
        metrics=[{"name": HOSTILE, "value": HOSTILE}],
        attempts=[{"number": 1, "startTime": TIME, "job": "j", "reason": HOSTILE, "message": HOSTILE}],
    )
    resources: list[Resource] = [
        DatasetGeneration.model_validate(spoil(generation)),
        TrainingRun.model_validate(spoil(run)),
    ]

    page = Collector(build_report(resources, runs.find_folder, str(runs.path), NOW))

    assert page.tags.isdisjoint({"script", "iframe", "object", "form"})
    assert not [name for name in page.attributes if name.startswith("on")]
    assert all(address.startswith(("#", "data:image/png;base64,")) for address in page.addresses)
    assert len([address for address in page.addresses if not address.startswith("#")]) == 2, "only pictures of pages"
    assert page.text.count(HOSTILE) >= 15


def test_the_page_loads_nothing_from_elsewhere(runs: RunsFolder) -> None:
    text = build_report([build_generation(), build_run()], runs.find_folder, str(runs.path), NOW)

    assert "http:" not in text
    assert "https:" not in text
    assert "url(" not in text
    assert "@import" not in text


def test_a_path_that_is_not_utf_8_is_shown_with_a_question_mark(tmp_path: Path) -> None:
    place = os.fsdecode(b"/runs/\xff")
    assert "/runs/?" in write_report(build_report([], lambda _: None, place, NOW), tmp_path / "page.html").read_text()
