"""A checkpoint folder that an older version wrote is verified, loaded and continued by the present code."""

import json
import math
import shutil
from pathlib import Path

import pytest

from deepsynth_train.checkpoint.manifest import find_damage, read_manifest
from support.training.tiny_training import Recorder, read_weights
from support.training.train_workloads import build_train_workload

OLDER = Path(__file__).parents[2] / "fixtures/older_checkpoint"


def test_an_older_manifest_still_covers_its_files() -> None:
    step = OLDER / "checkpoints/step-2"
    manifest = read_manifest(step)
    assert (manifest.step, manifest.attempt, manifest.world_size) == (2, 1, 1)
    assert find_damage(step, manifest.files) is None


def test_an_older_checkpoint_folder_is_resumed_on_the_pinned_revision(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from deepsynth_train.attempt.run import run_attempt
    from deepsynth_train.coordination.world import join_world

    monkeypatch.setenv("DEEPSYNTH_CACHE", str(tmp_path / "cache"))
    shutil.copytree(OLDER / "checkpoints", tmp_path / "checkpoints")
    workload = build_train_workload(
        tmp_path,
        attempt=2,
        task="ocr",
        model={"uri": f"file://{OLDER}/checkpoints/step-2/model", "freeze": ["vision"]},
        datasets=[{"name": "d", "uri": f"file://{OLDER}/pages"}],
        precision="fp32",
        num_proc_per_node=1,
        global_batch_size=2,
        micro_batch_size=2,
        max_steps=4,
        checkpoint={"uri": f"file://{tmp_path}/checkpoints", "every_steps": 2},
        evaluation={"every_steps": 2, "samples": 0},
    )
    recorder = Recorder()
    result = run_attempt(workload, join_world(), recorder, lambda: False)
    assert recorder.started.resumed_from_step == 2
    assert recorder.notes == []
    assert [pin.revision for pin in recorder.pinned] == list(
        json.loads((OLDER / "checkpoints/datasets.json").read_text())["revisions"].values()
    )
    assert [record.step for record in recorder.records] == [4, 2]
    assert (result.step, result.saved_step) == (4, 4)
    curve = [json.loads(line) for line in (tmp_path / "checkpoints/step-4/metrics.jsonl").read_text().splitlines()]
    assert [line["step"] for line in curve if "loss" in line] == [1, 2, 3, 4]
    assert all(math.isfinite(line["loss"]) for line in curve if "loss" in line)
    before, after = (read_weights(path / "step-2/model") for path in (OLDER / "checkpoints", tmp_path / "checkpoints"))
    assert all(weight.equal(after[name]) for name, weight in before.items())
    final = read_weights(tmp_path / "output")
    assert [name for name, weight in final.items() if not weight.equal(before[name])]
