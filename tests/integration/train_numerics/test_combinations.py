"""Each pair of a run's settings works together: on two ranks, a run computes what one process computes."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from integration.train_numerics import rank_training
from integration.train_numerics.combinations import LEARNING_RATE, STEPS, cover_pairs
from support.training.page_dataset import Row, build_document, write_dataset
from support.training.rank_processes import CONTEXT, join_ranks, start_ranks
from support.training.tiny_training import MODULES, OCR2, VIT, build_model

if TYPE_CHECKING:
    from pathlib import Path

    from integration.train_numerics.combinations import Combination

CONTEXT.set_forkserver_preload(MODULES)

TOLERANCE = {"fp32": 1e-6, "fp16": 1e-3, "bf16": 5e-3}
"""Relative, of losses. Shards compute norms in bf16 too; its steps are 0.0078."""
GRADIENT_TOLERANCE = {"fp32": 1e-5, "fp16": 0.01, "bf16": 0.05}
"""Relative, of the norm of gradients, and of the distance that weights have moved."""
PATIENCE = 400
"""Seconds after which a run hangs. To compile the larger model takes 40 CPU-seconds on each rank."""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Base models, without dropout, and pages."""
    for name, uri in (("ocr2", OCR2), ("vit", VIT)):
        model = build_model(uri)
        if name == "vit":
            model.module.config.decoder.update({"attn_pdrop": 0, "embd_pdrop": 0, "resid_pdrop": 0})
        model.module.save_pretrained(tmp_path / name)
        model.processor.save_pretrained(tmp_path / name)
    splits = {"train": _build_documents(7), "validation": _build_documents(3, start=20)}
    write_dataset(tmp_path / "pages", splits)
    return tmp_path


def _build_documents(count: int, start: int = 0) -> list[Row]:
    """Of one page, the first one of two."""
    return [row for number in range(count) for row in build_document(start + number, 1 if number else 2)]


def run(size: int, root: Path, runs: list[Combination]) -> list[Path]:
    """The folder of each run."""
    folders = [root / f"{size}-{number}" for number in range(len(runs))]
    work = list(zip(runs, folders, strict=True))
    ranks = start_ranks(size, root / "ranks", rank_training.run_combinations, root, work, PATIENCE, "eager")
    codes = join_ranks(ranks, len(runs) * PATIENCE)
    done = sum((folder / "seen.json").exists() for folder in folders)
    assert codes == [0] * size, f"failed: {runs[done].name}"
    return folders


def read(folder: Path) -> dict[str, Any]:
    seen: dict[str, Any] = json.loads((folder / "seen.json").read_text())
    return seen


@pytest.mark.filterwarnings("ignore:fan_in_fan_out is set to", "ignore:`is_gradient_checkpointing`")
@pytest.mark.parametrize(
    ("size", "number"),
    [
        pytest.param(2, 5, id="two ranks, most pairs"),
        pytest.param(2, None, id="two ranks, all pairs", marks=pytest.mark.slow),
        pytest.param(4, None, id="four ranks, all pairs", marks=pytest.mark.slow),
    ],
)
def test_ranks_compute_what_one_computes_with_pairs_of_settings(size: int, number: int | None, root: Path) -> None:
    combinations = cover_pairs(slow=number is None)[:number]
    references = list(dict.fromkeys(each.build_reference() for each in combinations))
    expected = dict(zip(references, run(1, root, references), strict=True))
    for combination, folder in zip(combinations, run(size, root, combinations), strict=True):
        assert_equal(combination, folder, expected[combination.build_reference()])


def assert_equal(combination: Combination, folder: Path, expected: Path) -> None:
    found, wanted = read(folder), read(expected)
    tolerance, gradients = TOLERANCE[combination.precision], GRADIENT_TOLERANCE[combination.precision]
    for step, reference in zip(found["steps"], wanted["steps"], strict=True):
        assert step["loss"] == pytest.approx(reference["loss"], rel=tolerance), combination.name
        assert step["norm"] == pytest.approx(reference["norm"], rel=gradients), combination.name
    for step, values in wanted["evaluations"].items():
        assert found["evaluations"][step] == pytest.approx(values, rel=tolerance), combination.name
    if combination.precision == "fp32":
        assert found["texts"] == wanted["texts"], combination.name
    moved = LEARNING_RATE * STEPS
    assert measure_distance(folder, expected) < gradients * moved, combination.name
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
    models: Any = AutoModelForImageTextToText
    model, report = models.from_pretrained(base, output_loading_info=True)
    assert not any(report.values())
    if combination.family == "vit":
        assert model.decoder.lm_head.weight is model.decoder.transformer.wte.weight
    if combination.export == "adapter":
        PeftModel.from_pretrained(model, folder / "published")
    processors: Any = AutoProcessor
    processors.from_pretrained(folder / "published")
