"""A published folder writes what the trainer's evaluation wrote, also for users who do not have this project."""

from __future__ import annotations

import json
import subprocess
import sys
import sysconfig
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from support.training.page_dataset import build_document, draw_noise, draw_page, write_dataset
from support.training.tiny_training import OCR2, VIT, build_model

if TYPE_CHECKING:
    import torch

SIZES = [(64, 64), (1240, 1754), (512, 512), (1024, 1024), (1200, 90)]
"""Small, A4 at 150 dpi, squares, and a wide strip."""
LORA = {"rank": 4, "alpha": 8}


@dataclass(frozen=True)
class Run:
    """folder: the published model. base: the model that adapters need. written: token ids of each validation page."""

    folder: Path
    base: Path | None
    written: list[list[int]]


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("pages")
    paths = [folder / f"{number}.png" for number in range(len(SIZES))]
    for number, (path, size) in enumerate(zip(paths, SIZES, strict=True)):
        path.write_bytes(draw_noise(number, size) if number % 2 else draw_page(f"No {number}", size))
    return paths


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory, pages: list[Path]) -> Path:
    """Validation labels of one length, so that the evaluation reads the pages in their order."""
    train = [row for number in range(8) for row in build_document(number, text=f"text {number}")]
    validation = [
        build_document(number, text=f"text {number}", image={"bytes": path.read_bytes(), "path": None})[0]
        for number, path in enumerate(pages)
    ]
    return write_dataset(tmp_path_factory.mktemp("data"), {"train": train, "validation": validation})


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from deepsynth_train.models.export import write_model

    folder = tmp_path_factory.mktemp("base")
    write_model(build_model(OCR2), folder)
    return folder


def train(folder: Path, dataset: Path, model: dict[str, Any], **changes: Any) -> Run:
    """Two steps, then what the last evaluation wrote. After more steps it writes the same for every page."""
    from deepsynth_train import TrainConfig, Trainer
    from deepsynth_train.evaluation import generation

    config = TrainConfig.model_validate(
        {
            "model": model,
            "task": "ocr",
            "precision": "fp32",
            "checkpoint": {"uri": f"file://{folder}/checkpoints"},
            "optimizer": {"learning_rate": "0.003" if "lora" in model else "0.0001"},
            "global_batch_size": 4,
            "max_steps": 2,
            "evaluation": {"metrics": ["loss", "rouge"], "max_new_tokens": 12, "generation_batch_size": 1},
            **changes,
        }
    )
    written: list[list[int]] = []
    decode = generation.decode_texts

    def record(model: Any, ids: torch.Tensor) -> list[str]:
        written.extend(ids.tolist())
        return decode(model, ids)

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DEEPSYNTH_CACHE", str(folder / "cache"))
        patch.setattr(generation, "decode_texts", record)
        result = Trainer(config, dataset, progress="none").train()
    assert result.output is not None
    published = Path(result.output.uri.removeprefix("file://"))
    adapters = (published / "adapter_config.json").exists()
    return Run(published, Path(model["uri"].removeprefix("file://")) if adapters else None, written[-len(SIZES) :])


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory, dataset: Path, base: Path) -> dict[str, Run]:
    def folder(name: str) -> Path:
        return tmp_path_factory.mktemp(name)

    adapted = {"uri": f"file://{base}", "lora": LORA}
    target = folder("published")
    return {
        "ocr2": train(folder("ocr2"), dataset, {"uri": OCR2}, image_processor={"size": 512}),
        "vit": train(folder("vit"), dataset, {"uri": VIT}),
        "merged": train(folder("merged"), dataset, adapted),
        "adapter": train(
            folder("adapter"), dataset, adapted, publish={"uri": f"file://{target}/reader", "format": "adapter"}
        ),
    }


@pytest.fixture(scope="module")
def read(runs: dict[str, Run], pages: list[Path], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What a process without this project writes for the same pages, for each run."""
    jobs = tmp_path_factory.mktemp("stranger") / "jobs.json"
    jobs.write_text(
        json.dumps(
            [
                {"folder": str(run.folder), "base": run.base and str(run.base), "pages": list(map(str, pages))}
                for run in runs.values()
            ]
        )
    )
    site_packages = {sysconfig.get_path("purelib"), sysconfig.get_path("platlib")}
    script = Path(__file__).with_name("stranger.py")
    command = [sys.executable, "-I", "-S", str(script), str(jobs), *site_packages]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    return dict(zip(runs, json.loads(done.stdout.splitlines()[-1]), strict=True))


@pytest.mark.parametrize("name", ["ocr2", "vit", "merged", "adapter"])
def test_a_stranger_reads_token_for_token_what_the_evaluation_wrote(
    name: str, runs: dict[str, Run], read: dict[str, Any]
) -> None:
    written = runs[name].written
    assert read[name] == written
    assert len({tuple(ids) for ids in written}) > 1, "the pages make no difference, so the test would show nothing"
    assert max(len(ids) for ids in written) >= 12


@pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing`:FutureWarning")  # peft uses its old name
@pytest.mark.parametrize("name", ["ocr2", "vit", "merged", "adapter"])
def test_the_code_on_the_card_runs_as_it_stands_there(
    name: str,
    runs: dict[str, Run],
    pages: list[Path],
    *,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    run = runs[name]
    code = (run.folder / "README.md").read_text().split("```python\n")[1].split("\n```")[0]
    (tmp_path / "page.png").write_bytes(pages[0].read_bytes())
    monkeypatch.chdir(tmp_path)
    code = code.replace('"path/to/the/base/model"', repr(str(run.base)))
    exec(compile(code, "README.md", "exec"), {})  # noqa: S102 - what is tested
    skip = name == "vit"  # a decoder's ids begin with its start token
    expected = build_model(VIT if skip else OCR2).tokenizer.decode(run.written[0], skip_special_tokens=True)
    assert capsys.readouterr().out == f"{expected}\n"


def test_the_card_shows_metrics_and_samples_and_programs_can_read_what_was_asked(runs: dict[str, Run]) -> None:
    card = (runs["ocr2"].folder / "README.md").read_text()
    assert card.count("\n### ") == 4
    assert "validation_loss" in card
    facts = json.loads((runs["ocr2"].folder / "deepsynth.json").read_text())
    assert facts["prompt"] == "Free OCR."
    assert facts["metrics"]["validation_loss"] > 0
    assert len(facts["datasets"][0]["revision"]) == 64
    assert json.loads((runs["vit"].folder / "deepsynth.json").read_text())["prompt"] is None
