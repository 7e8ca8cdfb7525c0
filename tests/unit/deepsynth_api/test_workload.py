import pytest

from deepsynth_api.errors import ConfigurationError
from deepsynth_api.v1alpha1 import Source, TrainingSettings
from deepsynth_api.workload import RenderWorkload, WorkloadDataset, compute_fingerprint, is_reserved_variable


def build_settings(**update: object) -> TrainingSettings:
    return TrainingSettings.model_validate(
        {"model": {"uri": "config://deepseek-ocr2-tiny"}, "checkpoint": {"uri": "file:///ckpt"}, **update}
    )


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


def test_a_document_is_parsed_to_what_was_written() -> None:
    workload = build_render_workload()
    assert RenderWorkload.parse(workload.to_json()) == workload


@pytest.mark.parametrize(("place", "field"), [("{", "newField"), ('"output": {', "output.newField")])
def test_a_document_of_another_version_is_rejected_with_the_name_of_the_field(place: str, field: str) -> None:
    document = build_render_workload().to_json().replace(place, f'{place}"newField": 1,', 1)
    with pytest.raises(ConfigurationError, match=f"^{field}: unknown field; .*image of the operator's own version"):
        RenderWorkload.parse(document)


def test_a_document_without_a_required_field_is_rejected_with_its_name() -> None:
    document = build_render_workload().to_json().replace('"uri"', '"url"')
    with pytest.raises(ConfigurationError, match=r"uri: Field required"):
        RenderWorkload.parse(document)


def test_the_fingerprint_does_not_depend_on_where_a_run_saves() -> None:
    data = [WorkloadDataset(name="a", uri="file:///a", revision="r1")]
    renamed_secret = {"uri": "config://deepseek-ocr2-tiny", "secretRef": {"name": "other"}}
    here = build_settings()
    there = build_settings(model=renamed_secret, checkpoint={"uri": "file:///other", "everySteps": 5})
    assert compute_fingerprint(here, data) == compute_fingerprint(there, data)


def test_only_a_holdout_that_was_chosen_is_part_of_the_fingerprint() -> None:
    """Runs of before there was one keep theirs; so do all settings that change no weight."""
    data = [WorkloadDataset(name="a", uri="file:///a", revision="r1")]
    assert compute_fingerprint(build_settings(evaluation={"holdoutPercent": 2}), data) == compute_fingerprint(
        build_settings(), data
    )
    assert compute_fingerprint(build_settings(evaluation={"holdoutPercent": 3}), data) != compute_fingerprint(
        build_settings(), data
    )


def test_the_optimizer_of_earlier_runs_is_not_part_of_the_fingerprint() -> None:
    """They resume with a version that knows more than one."""
    data = [WorkloadDataset(name="a", uri="file:///a", revision="r1")]
    before = compute_fingerprint(build_settings(), data)
    assert before == "d45c669a53f45768e59390f8253aa89047fc3b8d44811946064cd612ec3f3f69"
    assert compute_fingerprint(build_settings(optimizer={"type": "adamw"}), data) == before
    assert compute_fingerprint(build_settings(optimizer={"type": "adamw8bit"}), data) != before


def test_the_fingerprint_does_not_depend_on_how_text_is_generated() -> None:
    data = [WorkloadDataset(name="a", uri="file:///a", revision="r1")]
    changed = build_settings(evaluation={"generationBatchSize": 1, "samples": 3})
    assert compute_fingerprint(build_settings(), data) == compute_fingerprint(changed, data)


@pytest.mark.parametrize("update", [{"seed": 1}, {"globalBatchSize": 64}, {"optimizer": {"learningRate": "0.1"}}])
def test_the_fingerprint_changes_with_the_training_settings(update: dict[str, object]) -> None:
    data = [WorkloadDataset(name="a", uri="file:///a", revision="r1")]
    assert compute_fingerprint(build_settings(), data) != compute_fingerprint(build_settings(**update), data)


def test_the_fingerprint_changes_with_the_revision_of_a_dataset() -> None:
    fingerprints = {
        compute_fingerprint(build_settings(), [WorkloadDataset(name="a", uri="file:///a", revision=revision)])
        for revision in ("r1", "r2")
    }
    assert len(fingerprints) == 2


@pytest.mark.parametrize(("name", "reserved"), [("RANK", True), ("DEEPSYNTH_X", True), ("HF_TOKEN", False)])
def test_variables_of_the_launcher_are_reserved(name: str, reserved: bool) -> None:
    assert is_reserved_variable(name) is reserved
