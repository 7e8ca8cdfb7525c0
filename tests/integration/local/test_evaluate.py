"""`deepsynth evaluate` finds what a training run found, and what the model before it reads."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from deepsynth.__main__ import main
from deepsynth_api.exit_codes import ExitCode
from deepsynth_api.workload import HOLDOUT_PERCENT
from support.training.page_dataset import build_documents, draw_noise, write_dataset
from support.training.tiny_training import VIT, Recorder
from support.training.train_workloads import build_train_workload

if TYPE_CHECKING:
    from pathlib import Path

BASE = ["--metrics", "loss", "cer", "--max-new-tokens", "6", "--samples", "2"]


@pytest.fixture(autouse=True)
def _cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DEEPSYNTH_CACHE", str(tmp_path / "cache"))


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    splits = {"train": build_documents(4), "validation": build_documents(2, start=20)}
    return write_dataset(tmp_path_factory.mktemp("pages"), splits)


def evaluate(capsys: pytest.CaptureFixture[str], *arguments: str) -> dict[str, Any]:
    assert main(["evaluate", *arguments, *BASE, "-o", "json"]) == ExitCode.DONE
    document: dict[str, Any] = json.loads(capsys.readouterr().out)
    return document


def test_a_trained_model_reads_as_it_did_in_its_run_and_its_base_does_not(
    pages: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from deepsynth_train.attempt.run import run_attempt
    from deepsynth_train.coordination.world import join_world

    workload = build_train_workload(
        tmp_path,
        model={"uri": VIT},
        task="ocr",
        datasets=[{"name": "d", "uri": f"file://{pages}"}],
        precision="fp32",
        global_batch_size=4,
        max_steps=6,
        optimizer={"learning_rate": "0.01"},
        evaluation={"metrics": ["loss", "cer"], "max_new_tokens": 6, "every_steps": 6},
    )
    recorder = Recorder()
    run_attempt(workload, join_world(), recorder, lambda: False)
    capsys.readouterr()
    found = evaluate(capsys, str(tmp_path / "output"), str(pages))
    assert found["metrics"] == pytest.approx(recorder.evaluations[6], rel=1e-4)
    written = {sample.reference: sample.written for sample in recorder.samples[6]}
    assert len(found["samples"]) == 2
    assert all(written[sample["reference"]] == sample["written"] for sample in found["samples"])
    assert found["samples"][0]["name"] == "row 0"
    base = evaluate(capsys, VIT, str(pages), "--task", "ocr")
    assert base["metrics"]["validation_loss"] > found["metrics"]["validation_loss"]


def test_the_table_shows_values_and_texts_without_what_controls_a_terminal(
    pages: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["evaluate", VIT, str(pages), *BASE, "--task", "ocr", "--split", "train"]) == ExitCode.DONE
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == f"{VIT} on the split train of {pages}"
    assert any(line.split()[0] == "validation_cer" for line in lines)
    (black,) = (line for line in lines if line.split()[0] == "validation_loss_black")
    assert black.endswith("  with black pages: what the model guesses without seeing any")
    assert "    reference page 0 of 0" in lines
    assert all(line.isprintable() for line in lines)


def test_a_split_that_does_not_exist_is_refused_with_those_that_do(
    pages: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code = main(["evaluate", VIT, str(pages), "--task", "ocr", "--split", "test"])
    assert code == ExitCode.BAD_DATA
    error = capsys.readouterr().err
    assert f"--split: file://{pages} has no split 'test'; its splits are train, validation; name one of them" in error


def test_a_folder_of_images_without_splits_is_evaluated_as_a_whole(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "images"
    folder.mkdir()
    for number in range(2):
        (folder / f"{number}.png").write_bytes(draw_noise(number))
    (folder / "metadata.csv").write_text("file_name,text\n0.png,a\n1.png,b\n")
    assert main(["evaluate", VIT, str(folder), "--task", "ocr", "--samples", "2"]) == ExitCode.DONE
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == f"{VIT} on all pages of {folder}"
    assert "  row 1" in lines
    (folder / "train").mkdir()
    for name in ("metadata.csv", "0.png", "1.png"):
        (folder / name).rename(folder / "train" / name)
    assert main(["evaluate", VIT, str(folder), "--task", "ocr"]) == ExitCode.BAD_DATA
    assert "--split: there is no validation split, and too few documents to hold some out; set --split train" in (
        capsys.readouterr().err
    )


def test_without_a_validation_split_it_evaluates_on_the_part_that_a_training_holds_out(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pages = write_dataset(tmp_path / "pages", {"train": build_documents(12)})
    arguments = ["evaluate", VIT, str(pages), "--task", "ocr", *BASE]
    assert main(arguments) == ExitCode.DONE
    held_out = capsys.readouterr()
    assert held_out.out.startswith(f"{VIT} on the held-out {HOLDOUT_PERCENT} % of the split train of {pages}\n")
    assert f"note: {pages} has no validation split; evaluating on the {HOLDOUT_PERCENT} %" in held_out.err
    assert held_out.out.count("    reference ") == 1
    assert main([*arguments, "--split", "train"]) == ExitCode.DONE
    whole = capsys.readouterr()
    assert "note: these may be pages the model was trained on" in whole.err
    assert whole.out.count("    reference ") == 2


def test_a_model_generates_as_many_tokens_as_its_own_settings_say(tmp_path: Path) -> None:
    from deepsynth.command_line.parser import build_parser
    from deepsynth_local.model_evaluation import build_workload

    pages = write_dataset(tmp_path / "pages", {"validation": build_documents(1)})

    def find_limit(*options: str) -> int:
        chosen = build_parser().parse_args(["evaluate", str(tmp_path), str(pages), *options])
        return build_workload(chosen, str(tmp_path / "empty"), is_on_gpu=False).evaluation.max_new_tokens

    assert find_limit() == 256
    (tmp_path / "generation_config.json").write_text('{"max_new_tokens": 24}')
    assert find_limit() == 24
    assert find_limit("--max-new-tokens", "7") == 7


def test_the_percentage_held_out_is_that_of_the_models_training(tmp_path: Path) -> None:
    from deepsynth.command_line.parser import build_parser
    from deepsynth_local.model_evaluation import build_workload

    pages = write_dataset(tmp_path / "pages", {"train": build_documents(1)})
    (tmp_path / "deepsynth.json").write_text(json.dumps({"task": "ocr", "holdoutPercent": 20}))
    chosen = build_parser().parse_args(["evaluate", str(tmp_path), str(pages)])
    workload = build_workload(chosen, str(tmp_path / "empty"), is_on_gpu=False)
    assert workload.evaluation.holdout_percent == 20
    assert workload.datasets[0].validation_split is None


def test_a_folder_of_images_for_another_task_is_refused_with_the_option_to_set(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "metadata.csv").write_text("file_name,text\n0.png,a\n")
    assert main(["evaluate", VIT, str(tmp_path)]) == ExitCode.BAD_DATA
    error = capsys.readouterr().err
    assert "--task summarize needs file_name and summary; set --task ocr to use the column 'text'" in error


def test_model_and_dataset_on_volumes_are_in_the_runs_folder(tmp_path: Path) -> None:
    from deepsynth.command_line.parser import build_parser
    from deepsynth_local.model_evaluation import build_workload

    volumes = tmp_path / "runs/volumes"
    write_dataset(volumes / "demo/pages", {"validation": build_documents(1)})
    (volumes / "demo/model").mkdir()
    (volumes / "demo/model/deepsynth.json").write_text(json.dumps({"task": "ocr"}))
    arguments = ["evaluate", "pvc://demo/model", "pvc://demo/pages", "--runs", str(tmp_path / "runs")]
    workload = build_workload(build_parser().parse_args(arguments), str(tmp_path / "empty"), is_on_gpu=False)
    assert workload.model.uri == f"file://{volumes}/demo/model"
    assert workload.datasets[0].uri == f"file://{volumes}/demo/pages"
    assert workload.task == "ocr", "that of the model"
