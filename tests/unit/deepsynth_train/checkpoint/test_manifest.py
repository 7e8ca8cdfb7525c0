import json
from pathlib import Path
from typing import Any

import pytest

from deepsynth_train.checkpoint.manifest import (
    CheckpointManifest,
    Evaluation,
    FileDigest,
    build_record,
    read_evaluation,
    write_evaluation,
    write_manifest,
)

MANIFEST = CheckpointManifest(
    step=3,
    time="2026-01-01T00:00:00+00:00",
    attempt=1,
    world_size=2,
    fingerprint="f",
    loss=None,
    files=(FileDigest("state.json", 5, "a" * 64),),
)


@pytest.mark.parametrize("text", ["", "[]", "{}", json.dumps({"format": 1}), json.dumps({"format": 2})])
def test_json_that_is_not_a_manifest_is_a_value_error(text: str) -> None:
    with pytest.raises(ValueError, match=r".*"):
        CheckpointManifest.from_json(text)


def test_a_manifest_is_read_as_it_was_written() -> None:
    assert CheckpointManifest.from_json(MANIFEST.to_json()) == MANIFEST


@pytest.mark.parametrize(
    "change",
    [{"step": 4}, {"loss": 0.1}, {"time": "2026-01-02T00:00:00+00:00"}, {"fingerprint": "g"}, {"files": []}],
)
def test_a_manifest_whose_own_fields_were_changed_is_refused(change: dict[str, Any]) -> None:
    changed = json.dumps({**json.loads(MANIFEST.to_json()), **change})
    with pytest.raises(ValueError, match="do not match its own sha256"):
        CheckpointManifest.from_json(changed)


def test_an_evaluation_gives_its_loss_to_a_checkpoint_that_was_saved_before_it(tmp_path: Path) -> None:
    write_manifest(tmp_path, MANIFEST)
    assert build_record(tmp_path, "u").loss is None
    evaluation = Evaluation(2.5, {"step": 3, "validation_loss": 2.5})
    write_evaluation(tmp_path, evaluation)
    assert read_evaluation(tmp_path) == evaluation
    assert build_record(tmp_path, "u").loss == 2.5


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"loss": 1.0, "line": {}}'])
def test_an_evaluation_that_cannot_be_trusted_does_not_count(tmp_path: Path, text: str) -> None:
    write_manifest(tmp_path, MANIFEST)
    (tmp_path / "evaluation.json").write_text(text)
    assert read_evaluation(tmp_path) is None
    assert build_record(tmp_path, "u").loss is None
