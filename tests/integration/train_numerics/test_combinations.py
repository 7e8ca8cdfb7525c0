"""Each pair of a run's settings works together: on two ranks, a run computes what one process computes."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from integration.train_numerics import rank_training
from integration.train_numerics.combinations import LEARNING_RATE, STEPS, cover_pairs
from support.training.page_dataset import build_documents, write_dataset
from support.training.rank_processes import CONTEXT, run_ranks
from support.training.tiny_training import MODULES, OCR2, VIT, build_model

if TYPE_CHECKING:
    from pathlib import Path

    from integration.train_numerics.combinations import Combination

CONTEXT.set_forkserver_preload(MODULES)

TOLERANCE = {"fp32": 1e-6, "fp16": 1e-3, "bf16": 2e-3}
"""Relative, of losses. Ten times as much for gradients, and for weights relative to how far they have moved."""
PATIENCE = 120
"""Seconds after which a run hangs."""


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Base models, without dropout, and pages."""
    root = tmp_path_factory.mktemp("root")
    for name, uri in (("ocr2", OCR2), ("vit", VIT)):
        model = build_model(uri)
        if name == "vit":
            model.module.config.decoder.update({"attn_pdrop": 0, "embd_pdrop": 0, "resid_pdrop": 0})
        model.module.save_pretrained(root / name)
        model.processor.save_pretrained(root / name)
    splits = {"train": build_documents(9), "validation": build_documents(4, start=20)}
    write_dataset(root / "pages", splits)
    return root


def run(size: int, root: Path, runs: list[Combination]) -> list[Path]:
    """The folder of each run."""
    folders = [root / f"{size}-{number}" for number in range(len(runs))]
    work = list(zip(runs, folders, strict=True))
    codes = run_ranks(size, root / "ranks", rank_training.run_combinations, root, work, PATIENCE, "aot_eager")
    done = sum((folder / "seen.json").exists() for folder in folders)
    assert codes == [0] * size, f"failed: {runs[done].name}"
    return folders


def read(folder: Path) -> dict[str, Any]:
    seen: dict[str, Any] = json.loads((folder / "seen.json").read_text())
    return seen


@pytest.mark.filterwarnings("ignore:fan_in_fan_out is set to", "ignore:`is_gradient_checkpointing`")
def test_two_ranks_compute_what_one_computes_with_each_pair_of_settings(root: Path) -> None:
    combinations = cover_pairs()
    references = list({each.build_reference().name: each.build_reference() for each in combinations}.values())
    expected = dict(zip((each.name for each in references), run(1, root, references), strict=True))
    for combination, folder in zip(combinations, run(2, root, combinations), strict=True):
        assert_equal(combination, folder, expected[combination.build_reference().name])


def assert_equal(combination: Combination, folder: Path, expected: Path) -> None:
    found, wanted = read(folder), read(expected)
    tolerance = TOLERANCE[combination.precision]
    for step, reference in zip(found["steps"], wanted["steps"], strict=True):
        assert step["loss"] == pytest.approx(reference["loss"], rel=tolerance), combination.name
        assert step["norm"] == pytest.approx(reference["norm"], rel=10 * tolerance), combination.name
    for step, values in wanted["evaluations"].items():
        assert found["evaluations"][step] == pytest.approx(values, rel=tolerance), combination.name
    if combination.precision == "fp32":
        assert found["texts"] == wanted["texts"], combination.name
    moved = LEARNING_RATE * STEPS
    assert measure_distance(folder, expected) < 10 * tolerance * moved, combination.name
    assert_opens(combination, folder)


def measure_distance(folder: Path, expected: Path) -> float:
    """Mean difference of the weights that were published."""
    import torch
    from safetensors.torch import load_file

    (path,) = (expected / "published").glob("*.safetensors")
    found, wanted = load_file(folder / "published" / path.name), load_file(path)
    assert found.keys() == wanted.keys()
    return float(torch.cat([(found[name] - weight).abs().float().flatten() for name, weight in wanted.items()]).mean())


def assert_opens(combination: Combination, folder: Path) -> None:
    from peft import PeftModel
    from transformers import AutoModelForImageTextToText, AutoProcessor

    base = folder.parent / combination.family if combination.export == "adapter" else folder / "published"
    model, report = AutoModelForImageTextToText.from_pretrained(base, output_loading_info=True)
    assert not any(report.values())
    if combination.export == "adapter":
        PeftModel.from_pretrained(model, folder / "published")
    processors: Any = AutoProcessor
    processors.from_pretrained(folder / "published")
