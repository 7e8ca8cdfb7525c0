"""Training from Python, as a notebook or a script does it."""

from __future__ import annotations

import gc
import json
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from deepsynth_api.errors import ConfigurationError, DataError
from integration.train_python.own_pages import train_on_rank, write_pages
from support.training.rank_processes import run_ranks
from support.training.tiny_training import VIT

if TYPE_CHECKING:
    from collections.abc import Mapping

    from deepsynth_train import Trainer
    from deepsynth_train.coordination.progress import StartReport, StepReport

ROOT = Path(__file__).parents[3]
README = ROOT / "README.md"
EXAMPLE = ROOT / "examples/lora.yaml"
GUIDE = ROOT / "docs/tasks/python.md"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, with twenty pages in my-pages."""
    monkeypatch.setenv("DEEPSYNTH_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    write_pages(tmp_path / "my-pages")
    return tmp_path


def build(data: Any = "my-pages", **changes: Any) -> Trainer:
    from deepsynth_train import create_trainer

    settings = {"task": "ocr", "max_steps": 3, "precision": "fp32", "progress": "none", **changes}
    return create_trainer(VIT, data, **settings)


def read_sample() -> str:
    """The Python code in README.md."""
    found = re.search(r"```python\n(.*?)```", README.read_text(), re.DOTALL)
    assert found
    return found[1]


def test_the_sample_of_the_readme_runs_as_it_is_and_its_model_opens(folder: Path) -> None:
    from PIL import Image
    from transformers import AutoModelForImageTextToText, AutoProcessor

    done = subprocess.run([sys.executable, "-c", read_sample()], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "kernels-community" not in done.stdout + done.stderr, "a warning of bitsandbytes, which this run never uses"
    lines = done.stdout.splitlines()
    assert lines[0] == "loading PyTorch ..."
    assert lines[1].startswith("using ")
    assert lines[2] == "loading the model and the pages ..."
    assert any(
        re.fullmatch(r"step 20/20 \(epoch [0-9.]+\): loss [0-9.]+, learning rate \S+, \S+ samples/s", line)
        for line in lines
    )
    (model_folder,) = folder.glob("runs/vit-gpt2-tiny-*/model")
    card = (model_folder / "README.md").read_text()
    assert f"\n# {model_folder.parent.name}\n" in card
    assert "| `pages` | `my-pages` |" in card
    assert f"done: the model is in {model_folder}; open it with load_model, or with transformers" in lines
    processors: Any = AutoProcessor
    processor = processors.from_pretrained(model_folder)
    model: Any = AutoModelForImageTextToText.from_pretrained(model_folder)
    inputs = processor(images=Image.open("my-pages/7.png").convert("RGB"), return_tensors="pt")
    written = model.generate(**inputs, max_new_tokens=3)
    assert isinstance(processor.batch_decode(written, skip_special_tokens=True)[0], str)


def test_the_example_with_lora_trains_when_pasted_into_python(folder: Path) -> None:
    """At a small size: another model, on the pages of this folder, with what is on a cluster removed."""
    import yaml

    from deepsynth_train import TrainConfig, Trainer
    from deepsynth_train.models.export import write_model
    from support.training.tiny_training import build_model

    write_model(build_model(VIT), folder / "base")
    spec = yaml.safe_load(EXAMPLE.read_text())["spec"]
    for name in ("cache", "datasets", "resourcesPerNode", "epochs"):
        del spec[name]
    spec["feature_cache"] = "features"
    spec["model"]["uri"] = folder / "base"
    spec["checkpoint"]["uri"], spec["publish"]["uri"] = "run", "published"
    spec["evaluation"] |= {"maxNewTokens": 4, "everySteps": 1, "maxSamples": 2, "metrics": ["loss", "cer"]}
    trainer = Trainer(TrainConfig(**spec, maxSteps=9, precision="fp32"), "my-pages", progress="none")
    result = trainer.train()

    assert 3 < result.step < 9, "early, because three evaluations did not improve the character error rate"
    assert result.output is not None
    assert str(result.output.note).startswith("training stopped early")
    assert {"validation_loss", "validation_cer"} <= set(result.metrics)
    assert (folder / "published/adapter_model.safetensors").exists()
    assert list((folder / "features").rglob("*")) != []


def test_ctrl_c_saves_and_returns_and_the_same_call_continues(folder: Path) -> None:
    code = """
from deepsynth_train import create_trainer
trainer = create_trainer("config://vit-gpt2-tiny", "my-pages", task="ocr", max_steps=100000, checkpoint="runs/long")
result = trainer.train()
print("returned", result.stopped, result.step == result.saved_step, result.model)
"""
    with subprocess.Popen([sys.executable, "-u", "-c", code], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        shown: list[str] = []
        for line in process.stdout:
            shown.append(line.strip())
            if line.startswith("step 1/"):
                process.send_signal(signal.SIGINT)
    assert process.returncode == 0
    assert "stopping after this step, with a checkpoint; press Ctrl-C again to stop at once" in shown
    assert "returned True True None" in shown
    assert any(line.endswith(f"saved in {folder}/runs/long; call train() again to continue") for line in shown)
    steps = [int(path.name.removeprefix("step-")) for path in folder.glob("runs/long/step-*")]
    assert max(steps) < 1000


def test_callbacks_hear_of_everything_and_may_stop_the_training() -> None:
    from deepsynth_train import Callback

    heard: list[tuple[str, Any]] = []

    class Listener(Callback):
        def on_start(self, report: StartReport) -> None:
            heard.append(("start", report.total_steps))

        def on_step(self, report: StepReport) -> None:
            heard.append(("step", report.step))
            if report.step == 2:
                trainer.stop()

        def on_evaluation(self, step: int, metrics: Mapping[str, float]) -> None:
            heard.append(("evaluation", step))
            assert metrics["validation_loss"] > 0

        def on_save(self, step: int, folder: Path) -> None:
            heard.append(("save", step))
            assert folder == trainer.folder / f"step-{step}"
            assert folder.is_dir()

    seen: list[int] = []
    data = {"train": [(f"my-pages/{n}.png", str(n)) for n in range(8)], "validation": [("my-pages/9.png", "9")]}
    trainer = build(data, max_steps=50, callbacks=[Listener(), lambda report: seen.append(report.step)])
    result = trainer.train()
    assert seen == [1, 2, 3], "the stop is agreed on at the next step"
    assert heard[:3] == [("start", 50), ("evaluation", 0), ("step", 1)]
    assert ("save", 3) in heard
    assert (result.step, result.stopped, result.model) == (3, True, None)
    assert [line["step"] for line in result.history if "loss" in line] == [1, 2, 3]
    assert {"loss", "validation_loss"} <= result.metrics.keys()
    assert "history" not in repr(result)


def test_a_second_call_continues_and_returns_the_whole_history() -> None:
    trainer: Trainer
    trainer = build(max_steps=4, callbacks=[lambda report: trainer.stop() if report.step == 1 else None])
    first = trainer.train()
    assert first.stopped
    second = build(max_steps=4).train()
    assert (second.step, second.stopped) == (4, False)
    assert [line["step"] for line in second.history if "loss" in line] == [1, 2, 3, 4]


def test_other_data_or_settings_start_in_another_folder() -> None:
    folders = {
        build().folder,
        build().folder,
        build(optimizer={"learning_rate": 1e-3}).folder,
        build([("my-pages/1.png", "1")]).folder,
    }
    assert len(folders) == 3
    assert all(re.fullmatch("vit-gpt2-tiny-[0-9a-f]{8}", folder.name) for folder in folders)
    assert build(checkpoint="runs/mine").folder == Path("runs/mine").resolve()


def test_defaults_for_a_first_try_give_way_to_settings() -> None:
    config = build(max_steps=None).config
    assert (config.epochs, config.max_steps, config.global_batch_size) == (None, None, 8)
    from deepsynth_train import create_trainer

    assert create_trainer(VIT, "my-pages", task="ocr").config.epochs == 3
    assert create_trainer(VIT, "my-pages", task="ocr", epochs=2, global_batch_size=4).config.global_batch_size == 4
    small = create_trainer(VIT, "my-pages", task="ocr", lora={"rank": 4}).config.model.lora
    assert small
    assert small.rank == 4
    adapted = create_trainer(VIT, "my-pages", task="ocr", lora=True).config.model.lora
    assert adapted
    assert adapted.rank == 16


def test_create_trainer_takes_settings_of_the_model_by_name_or_in_a_dict(folder: Path) -> None:
    from deepsynth_train import create_trainer

    by_name = create_trainer(VIT, "my-pages", task="ocr", lora={"rank": 4}, freeze=["vision"]).config.model
    in_dict = create_trainer(
        {"uri": VIT, "lora": {"rank": 4}, "freeze": ["vision"]}, "my-pages", task="ocr"
    ).config.model
    assert by_name == in_dict
    assert (by_name.freeze, by_name.lora is not None and by_name.lora.rank) == (["vision"], 4)
    with pytest.raises(ConfigurationError, match=r"model\.freeze.*'vision'"):
        create_trainer(VIT, "my-pages", task="ocr", freeze=["eyes"])  # type: ignore[list-item]  # the mistake


def test_splits_may_have_other_names() -> None:
    data = {"mine": [("my-pages/1.png", "1")], "theirs": [("my-pages/2.png", "2")]}
    dataset = build(data, train_split="mine", validation_split="theirs")._source.locate()
    assert (dataset.train_split, dataset.validation_split) == ("mine", "theirs")


def test_mistakes_are_refused_before_anything_is_loaded() -> None:
    from deepsynth_train import Callback, create_trainer

    with pytest.raises(ConfigurationError, match="learning_rate: unknown argument; did you mean optimizer"):
        build(learning_rate=1e-4)
    with pytest.raises(DataError, match="no column 'summary'"):
        build(task="summarize")
    with pytest.raises(ConfigurationError, match=r"callbacks\[1\]: must be a Callback object or a function, got int"):
        build(callbacks=[print, 3])
    with pytest.raises(ConfigurationError, match=r"callbacks: must be a list, got builtin.*; write callbacks=\[...\]"):
        build(callbacks=print)
    with pytest.raises(ConfigurationError, match=r"must be an object, got the class Callback; write Callback\(\)"):
        build(callbacks=[Callback])
    with pytest.raises(ConfigurationError, match=r"model: no folder .*/no/such/model; "):
        create_trainer("no/such/model", "my-pages", task="ocr")
    with pytest.raises(ConfigurationError, match=r'did you mean model.lora.rank\? Write lora=\{"rank": 4\}$'):
        build(lora={"r": 4})
    with pytest.raises(ConfigurationError, match=r'did you mean model.quantize\? Write quantize="nf4"$'):
        build(load_in_4bit=True)
    with pytest.raises(ConfigurationError, match=r"^checkpoint: /proc/x cannot be created \(No such file"):
        build(checkpoint="/proc/x").train()


def test_an_error_of_the_training_names_the_python_argument(folder: Path) -> None:
    with pytest.raises(DataError, match=r"^data \(train split\): .* raise max_label_tokens"):
        build([("my-pages/1.png", "1"), ("my-pages/2.png", "x" * 30)], max_label_tokens=5).train()
    (folder / "runs/mine/step-3").mkdir(parents=True)
    with pytest.raises(ConfigurationError, match=r"^checkpoint: .*runs/mine holds checkpoints but no owner.json"):
        build(checkpoint="runs/mine").train()


def test_evaluate_shows_what_training_changed_and_takes_other_data(capsys: pytest.CaptureFixture[str]) -> None:
    from deepsynth_train import load_model

    data = {
        "train": [(f"my-pages/{n}.png", str(n)) for n in range(8)],
        "validation": [("my-pages/8.png", "8"), ("my-pages/9.png", "9")],
    }
    settings = {"max_steps": 6, "optimizer": {"learning_rate": 0.01}, "evaluation": {"metrics": ["loss", "cer"]}}
    trainer = build(data, progress="lines", **settings)
    before = trainer.evaluate()
    result = trainer.train()
    after = trainer.evaluate()
    assert after["validation_loss"] < before["validation_loss"]
    losses = {"validation_loss", "validation_loss_swapped", "validation_loss_black"}
    assert set(before) == set(after) == {*losses, "validation_cer", "validation_cer_swapped"}
    assert after["validation_loss"] == pytest.approx(result.metrics["validation_loss"], abs=1e-3)
    other = trainer.evaluate([("my-pages/15.png", "15")])
    assert other["validation_loss"] not in {after["validation_loss"], before["validation_loss"]}
    assert trainer.evaluate({"test": data["validation"]}, split="test") == after
    shown = capsys.readouterr().out
    assert "evaluating config://vit-gpt2-tiny\n" in shown
    assert f"evaluating {trainer.folder}/model\n" in shown
    texts = trainer.predict(["my-pages/8.png", Path("my-pages/9.png")])
    assert texts == load_model(result.model or "").read(["my-pages/8.png", "my-pages/9.png"])
    assert trainer.predict("my-pages/8.png") == texts[:1]
    capsys.readouterr()
    assert build(data, **settings).predict("my-pages/8.png") == texts[:1]
    assert capsys.readouterr() == ("", "")  # progress="none": no bars of libraries either
    with pytest.raises(DataError, match="no split 'validation'; its splits are test"):
        trainer.evaluate({"test": data["validation"]})


def test_without_anything_to_evaluate_on_evaluate_says_so() -> None:
    with pytest.raises(DataError, match=r"^data: there is nothing to evaluate on; add a validation split"):
        build([("my-pages/1.png", "1")]).evaluate()


def test_two_processes_train_together_and_only_the_first_shows_anything(folder: Path) -> None:
    assert run_ranks(2, folder, train_on_rank, folder) == [0, 0]
    first, second = (json.loads((folder / f"rank-{rank}.json").read_text()) for rank in (0, 1))
    assert (first["seen"], second["seen"]) == ([1, 2, 3], [])
    assert "step 3/3" in first["shown"]
    assert second["shown"] == ""
    assert second["losses"] == first["losses"]
    assert second["loss"] == first["loss"]
    alone = build(checkpoint="runs/alone")
    losses = [line["loss"] for line in alone.train().history if "loss" in line]
    assert losses == pytest.approx(first["losses"], abs=0.05), "equal but for dropout"
    assert alone.evaluate()["validation_loss"] == pytest.approx(first["loss"], abs=0.05)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # datasets leaves metadata.csv open
def test_the_code_in_the_guide_runs(folder: Path) -> None:
    lines = "".join(f"{number}.png,page {number}\n" for number in range(20))  # numbers would not be read as text
    (folder / "my-pages/metadata.csv").write_text(f"file_name,text\n{lines}")
    blocks = re.findall(r"```python\n(.*?)```", GUIDE.read_text(), re.DOTALL)
    assert len(blocks) > 1
    names: dict[str, Any] = {}
    for block in blocks[1:]:  # the first is the sample of the README
        exec(block, names)  # noqa: S102 - our own text
    assert len(names["losses"]) == 4
    trained = build("my-dataset", max_steps=1).train()
    assert trained.model is not None, "the parquet files that the guide makes hold the images"
    names.clear()
    gc.collect()  # as long as the warning about the open file is ignored


def test_adapters_that_were_published_alone_are_evaluated_on_their_base(folder: Path) -> None:
    from deepsynth_train import create_trainer
    from deepsynth_train.models.export import write_model
    from support.training.tiny_training import build_model

    write_model(build_model(VIT), folder / "base")
    trainer = create_trainer(
        folder / "base",
        "my-pages",
        task="ocr",
        lora={"rank": 2, "alpha": 64},
        max_steps=6,
        precision="fp32",
        optimizer={"learning_rate": 0.02},
        publish={"uri": "published", "format": "adapter"},
        progress="none",
    )
    before = trainer.evaluate()
    result = trainer.train()
    assert (trainer.folder / "model/adapter_config.json").is_file()
    after = trainer.evaluate()
    assert after["validation_loss"] == pytest.approx(result.metrics["validation_loss"], abs=1e-3)
    assert abs(after["validation_loss"] - before["validation_loss"]) > 0.01, "not the base alone"
    assert len(trainer.predict(["my-pages/8.png"])) == 1


def test_what_was_trained_so_far_is_evaluated_and_read_after_a_stop(capsys: pytest.CaptureFixture[str]) -> None:
    def stop(report: StepReport) -> None:
        if report.step == 4:
            trainer.stop()

    trainer = build(max_steps=9, optimizer={"learning_rate": 0.01}, callbacks=[stop], progress="lines")
    before = trainer.evaluate()
    assert trainer.train().stopped
    after = trainer.evaluate()
    assert after["validation_loss"] < before["validation_loss"] - 0.01
    assert len(trainer.predict(["my-pages/8.png"])) == 1
    shown = capsys.readouterr().out
    assert f"evaluating {trainer.folder}/step-" in shown
    assert f"reading with {trainer.folder}/step-" in shown
