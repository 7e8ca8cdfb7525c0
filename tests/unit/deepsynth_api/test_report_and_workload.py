"""Reports fit the kubelet's limit, documents are refused with the field's name."""

from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deepsynth_api.errors import ConfigurationError
from deepsynth_api.report import Failure, Report, TrainReport, fit_report, parse_report
from deepsynth_api.v1alpha1 import CheckpointStatus, Source, TrainingSettings
from deepsynth_api.workload import (
    RenderWorkload,
    WorkloadDataset,
    compute_fingerprint,
    is_reserved_variable,
)

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def build_settings(**update: object) -> TrainingSettings:
    return TrainingSettings.model_validate(
        {"model": {"uri": "config://deepseek-ocr2-tiny"}, "checkpoint": {"uri": "file:///ckpt"}, **update}
    )


def build_full_report(checkpoints: int, text: str) -> Report:
    entries = [
        CheckpointStatus(step=step, uri=f"file:///checkpoints/step-{step}", time=NOW, sha256="0" * 64)
        for step in range(checkpoints)
    ]
    failure = Failure(reason="Crashed", message=text, exit_code=1, rank=3, exception=text)
    train = TrainReport(attempt=2, step=7, checkpoints=entries, notes=[text] * 5)
    return Report(step="train", time=NOW, train=train, failure=failure, previous=failure)


@settings(max_examples=50)
@given(st.integers(0, 60), st.text(max_size=6000))
def test_a_report_of_any_size_fits_the_termination_message(checkpoints: int, text: str) -> None:
    message = fit_report(build_full_report(checkpoints, text))
    assert len(message.encode()) <= 3500
    parsed = parse_report(message)
    assert parsed is not None
    assert parsed.failure is not None
    assert (parsed.failure.reason, parsed.failure.rank, parsed.failure.exit_code) == ("Crashed", 3, 1)


def test_a_report_that_fits_is_left_whole() -> None:
    report = build_full_report(2, "short")
    assert parse_report(fit_report(report)) == report


@pytest.mark.parametrize("text", ["", "Traceback (most recent call last)", '{"step": "other"}', "[]", "x" * 70_000])
def test_text_that_is_no_report_is_not_taken_for_one(text: str) -> None:
    assert parse_report(text) is None


@pytest.mark.parametrize(
    "part",
    [
        '"train": {"attempt": 1, "remainingSeconds": NaN}',
        '"train": {"attempt": 1, "remainingSeconds": 1e999}',
        '"train": {"attempt": 1, "step": 1000000000000000000000000000000}',
        '"render": {"shard": 0, "pagesPerSecond": -Infinity}',
        '"train": {"attempt": 1, "checkpoints": [{"step": 1, "uri": "u", "time": "9999-12-31T23:59:59-12:00"}]}',
        '"train": {"attempt": 1, "checkpoints": [{"step": 1, "uri": "u", "time": "0001-01-01T00:00:00Z"}]}',
        '"train": {"attempt": 1, "checkpoints": [{"step": 1, "uri": "u", "time": "2026-01-02T03:04:05"}]}',
    ],
)
def test_a_report_with_a_number_or_a_time_that_nothing_can_hold_is_none(part: str) -> None:
    assert parse_report(f'{{"step": "train", "time": "2026-01-02T03:04:05Z", {part}}}') is None


def build_render_workload() -> RenderWorkload:
    return RenderWorkload.model_validate(
        {
            "name": "a",
            "namespace": "b",
            "uid": "c",
            "source": Source(uri="docstrings://"),
            "sourceName": "docstrings",
            "output": {"uri": "file:///data"},
        }
    )


def test_documents_come_back_as_they_were_written() -> None:
    workload = build_render_workload()
    assert RenderWorkload.parse(workload.to_json()) == workload


@pytest.mark.parametrize(("place", "field"), [("{", "newField"), ('"output": {', "output.newField")])
def test_a_document_of_another_version_is_refused_with_the_fields_name(place: str, field: str) -> None:
    document = build_render_workload().to_json().replace(place, f'{place}"newField": 1,', 1)
    with pytest.raises(ConfigurationError, match=f"^{field}: unknown field; .*image of the operator's own version"):
        RenderWorkload.parse(document)


def test_a_document_without_a_needed_field_is_refused_with_its_name() -> None:
    document = build_render_workload().to_json().replace('"uri"', '"url"')
    with pytest.raises(ConfigurationError, match=r"uri: Field required"):
        RenderWorkload.parse(document)


def test_equal_training_has_an_equal_fingerprint_wherever_it_is_saved() -> None:
    data = [WorkloadDataset(name="a", uri="file:///a", revision="r1")]
    renamed_secret = {"uri": "config://deepseek-ocr2-tiny", "secretRef": {"name": "other"}}
    here = build_settings()
    there = build_settings(model=renamed_secret, checkpoint={"uri": "file:///other", "everySteps": 5})
    assert compute_fingerprint(here, data) == compute_fingerprint(there, data)


@pytest.mark.parametrize("update", [{"seed": 1}, {"globalBatchSize": 64}, {"optimizer": {"learningRate": "0.1"}}])
def test_other_training_has_another_fingerprint(update: dict[str, object]) -> None:
    data = [WorkloadDataset(name="a", uri="file:///a", revision="r1")]
    assert compute_fingerprint(build_settings(), data) != compute_fingerprint(build_settings(**update), data)


def test_another_dataset_revision_has_another_fingerprint() -> None:
    fingerprints = {
        compute_fingerprint(build_settings(), [WorkloadDataset(name="a", uri="file:///a", revision=revision)])
        for revision in ("r1", "r2")
    }
    assert len(fingerprints) == 2


@pytest.mark.parametrize(("name", "reserved"), [("RANK", True), ("DEEPSYNTH_X", True), ("HF_TOKEN", False)])
def test_variables_of_the_launcher_are_reserved(name: str, reserved: bool) -> None:
    assert is_reserved_variable(name) is reserved
