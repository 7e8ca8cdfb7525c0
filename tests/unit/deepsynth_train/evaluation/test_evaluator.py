"""What an evaluation measures, and on which samples."""

from __future__ import annotations

from contextlib import nullcontext
from typing import TYPE_CHECKING, Any

import pytest

from support.training.page_dataset import build_document, write_split
from support.training.tiny_training import VIT, build_model, build_world
from unit.deepsynth_train.data.page_loading import load

if TYPE_CHECKING:
    from pathlib import Path

    from deepsynth_train.evaluation.evaluator import Evaluator
    from deepsynth_train.evaluation.generation import Generator


def build_evaluator(folder: Path, *, context_tokens: int = 10_000, **settings: Any) -> Evaluator:
    from deepsynth_api.v1alpha1 import EvaluationSettings
    from deepsynth_train.coordination.progress import NoProgress
    from deepsynth_train.data.loader import BatchMaker
    from deepsynth_train.evaluation.evaluator import Evaluator

    model = build_model(VIT)
    write_split(folder, "train", [row for number in range(9) for row in build_document(number)])
    return Evaluator(
        maker=BatchMaker(load(folder, model).train, model),
        world=build_world(),
        autocast=nullcontext,
        progress=NoProgress(),
        settings=EvaluationSettings.model_validate({"metrics": ["cer"], "samples": 2, **settings}),
        micro_batch_size=2,
        equal_batches=False,
        threads=1,
        context_tokens=context_tokens,
    )


def test_a_model_that_reads_its_pages_has_a_low_cer_and_a_high_one_with_the_pages_of_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def read(generator: Generator, numbers: list[int]) -> dict[int, str]:
        return {number: generator.maker.samples.read_label(number) for number in numbers}

    monkeypatch.setattr("deepsynth_train.evaluation.generation.Generator.write", read)
    found = build_evaluator(tmp_path).evaluate(0, black=False).values
    assert found["validation_cer"] == 0
    assert found["validation_cer_swapped"] == pytest.approx(1 / len("document 7"))


def test_a_model_that_does_not_look_at_its_pages_has_the_same_cer_with_the_pages_of_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "deepsynth_train.evaluation.generation.Generator.write",
        lambda _, numbers: dict.fromkeys(numbers, "document 3"),
    )
    found = build_evaluator(tmp_path, max_samples=8).evaluate(0, black=False).values
    assert found["validation_cer"] == found["validation_cer_swapped"] > 0


def test_evaluated_samples_are_spread_over_the_data_and_each_has_the_pages_of_another(tmp_path: Path) -> None:
    evaluator = build_evaluator(tmp_path, max_samples=4)
    assert evaluator.numbers == [0, 2, 4, 6]
    assert evaluator.partners == {0: 4, 2: 6, 4: 0, 6: 2}
    shown = evaluator.evaluate(0, black=False).samples
    assert [sample.number for sample in shown] == [0, 4]


def test_swapped_pages_are_not_measured_where_none_fits_the_context(tmp_path: Path) -> None:
    found = build_evaluator(tmp_path, context_tokens=1, metrics=["loss"]).evaluate(0, black=True).values
    assert set(found) == {"validation_loss", "validation_loss_black"}


def test_a_single_sample_has_no_other_pages(tmp_path: Path) -> None:
    found = build_evaluator(tmp_path, max_samples=1).evaluate(0, black=False).values
    assert set(found) == {"validation_loss", "validation_cer"}
