"""What the command prints at its end."""

from pathlib import Path
from typing import Any

import pytest

from deepsynth_local.runs.runs_folder import RunsFolder
from deepsynth_local.summary import describe_result, find_log


def describe(tmp_path: Path, kind: str, **status: Any) -> list[str]:
    resource = {"kind": kind, "metadata": {"name": "x"}, "status": {"state": "Complete", **status}}
    return describe_result(resource, RunsFolder(tmp_path)).splitlines()


def test_dropped_rows_are_listed_by_reason(tmp_path: Path) -> None:
    dropped = [{"reason": "Duplicate", "rows": 1044}, {"reason": "TextTooShort", "rows": 2}]
    output = {"rows": 10, "pages": 12, "uri": "hf://datasets/me/pages"}
    assert describe(tmp_path, "DatasetGeneration", output=output, progress={"dropped": dropped}) == [
        "datasetgeneration/x is Complete",
        "  dataset of 10 documents on 12 pages: hf://datasets/me/pages",
        "  dropped: 1,044 Duplicate, 2 TextTooShort",
    ]


def test_another_publication_in_the_folder_of_the_dataset_is_named(tmp_path: Path) -> None:
    manifest = tmp_path / "pages/deepsynth/manifest.json"
    manifest.parent.mkdir(parents=True)
    manifest.write_text("{}")
    output = {"rows": 10, "pages": 12, "uri": f"file://{tmp_path}/pages", "manifestSha256": "0" * 64}
    (*_, line) = describe(tmp_path, "DatasetGeneration", output=output)
    assert line.startswith("  note: the dataset there is of another publication by now")


def test_the_newest_checkpoint_is_printed_next_to_a_better_older_one(tmp_path: Path) -> None:
    newest, best = {"step": 58, "uri": "pvc://c/step-58"}, {"step": 30, "uri": "pvc://c/step-30", "loss": "2.5"}
    lines = describe(tmp_path, "TrainingRun", checkpoints=[newest, best], bestCheckpoint=best)
    assert lines[1].startswith("  best checkpoint (step 30, validation loss 2.500): ")
    assert lines[2].startswith("  newest checkpoint (step 58): ")


def test_the_best_checkpoint_is_printed_with_the_metric_that_chose_it(tmp_path: Path) -> None:
    best = {"step": 30, "uri": "pvc://c/step-30", "loss": "2.5", "metric": "cer", "value": "0.0342"}
    output = {"uri": "pvc://c/model", "step": 30}
    lines = describe(tmp_path, "TrainingRun", checkpoints=[best], bestCheckpoint=best, output=output)
    assert [line.split(":")[0] for line in lines[1:]] == [
        "  best checkpoint (step 30, validation CER 3.4%)",
        "  model (step 30)",
        "  to use the model",
    ]


def test_a_newest_checkpoint_that_is_also_the_best_is_printed_once(tmp_path: Path) -> None:
    best = {"step": 30, "uri": "pvc://c/step-30", "loss": "2.5"}
    model = {"uri": "pvc://c/model"}
    lines = describe(tmp_path, "TrainingRun", checkpoints=[best], bestCheckpoint=best, output=model)
    names = [line.split(":")[0] for line in lines[1:]]
    assert names == ["  best checkpoint (step 30, validation loss 2.500)", "  model", "  to use the model"]


def test_metrics_and_texts_of_the_last_evaluation_are_printed(tmp_path: Path) -> None:
    metrics = [
        {"name": "validation_loss", "value": "0.21234", "step": 9},
        {"name": "validation_loss_swapped", "value": "5.5", "step": 9},
        {"name": "validation_cer", "value": "0.0456", "step": 9},
        {"name": "validation_rougeL", "value": "0.5", "step": 9},
    ]
    reference = "A cat sat on a mat, and then\n\n  it left."
    sample = {"name": "row 3", "step": 9, "reference": reference, "written": "A cat sat on a hat."}
    assert describe(tmp_path, "TrainingRun", metrics=metrics, samples=[sample])[1:] == [
        "  validation: CER 4.6%, ROUGE-L 50.0%, loss 0.212, loss with the pages of other documents 5.500",
        "  row 3",
        "    expected                               | the model wrote",
        "    A cat sat on a mat, and then           | A cat sat on a hat.",
        "                                           |",
        "      it left.                             |",
    ]


def test_control_characters_that_a_model_writes_do_not_reach_the_terminal(tmp_path: Path) -> None:
    sample = {"name": "row 3", "step": 9, "reference": "a", "written": "\x1b[2Jb\rc"}
    line = describe(tmp_path, "TrainingRun", samples=[sample])[-1]
    assert line.endswith("| \ufffd[2Jb\ufffdc")


def test_long_texts_are_cut(tmp_path: Path) -> None:
    sample = {"name": "row 3", "step": 9, "reference": "word " * 200, "written": ""}
    lines = describe(tmp_path, "TrainingRun", samples=[sample])
    assert len(lines) == 3 + 8
    assert lines[-1].startswith("    ...")


def test_a_run_ends_with_its_notes_and_the_command_that_uses_the_model(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    runs = RunsFolder(tmp_path / "deepsynth-runs")
    sample = {"name": "spec.datasets[xsum]: row 3 of the train split", "step": 1, "reference": "a", "written": "b"}
    status = {"state": "Complete", "output": {"uri": "pvc://c/model"}, "notes": ["2 % held out"], "samples": [sample]}
    metadata = {"name": "x"}
    for task, option in (("ocr", ""), ("summarize", " --document")):
        run = {"kind": "TrainingRun", "metadata": metadata, "spec": {"task": task}, "status": status}
        lines = describe_result(run, runs).splitlines()
        assert lines[1:4] == [
            "  model: deepsynth-runs/volumes/c/model",
            "  note: 2 % held out",
            "  xsum, row 3 of the train split",
        ]
        assert lines[-1] == f"  to use the model: deepsynth predict{option} deepsynth-runs/volumes/c/model FILE..."
    generation = {
        "kind": "DatasetGeneration",
        "metadata": metadata,
        "spec": {},
        "status": {"output": {"rows": 1, "pages": 1, "uri": "pvc://c"}},
    }
    assert "to use" not in describe_result(generation, runs)


def test_the_log_of_a_failed_shard_is_that_of_its_pod(tmp_path: Path) -> None:
    """A render Job may begin with a later shard."""
    logs = tmp_path / "logs"
    logs.mkdir()
    for index in range(2):
        (logs / f"x-render-2-{index}-abcde.log").write_text(f"pod {index}")
    jobs = [{"name": "x-plan-1"}, {"name": "x-render-2", "firstShard": 4}]
    assert (
        find_log({"jobs": jobs, "lastFailure": {"index": 5}}, RunsFolder(tmp_path)) == logs / "x-render-2-1-abcde.log"
    )
