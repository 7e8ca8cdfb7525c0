"""What several processes evaluate equals what one evaluates."""

from __future__ import annotations

import json
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from deepsynth_api.workload import WorkloadDataset
from integration.train_numerics import rank_evaluation
from support.training.page_dataset import build_documents, write_dataset
from support.training.rank_processes import CONTEXT, run_ranks
from support.training.tiny_training import MODULES, OCR2, VIT
from support.training.train_workloads import build_train_workload

if TYPE_CHECKING:
    from pathlib import Path

CONTEXT.set_forkserver_preload(MODULES)


def write_texts(size: int, folder: Path, uri: str, samples: int, **changes: Any) -> list[Any]:
    function = partial(rank_evaluation.write_texts, **changes)
    assert run_ranks(size, folder, function, folder, uri, samples) == [0] * size
    ranks = [json.loads((folder / f"texts-{size}-{rank}.json").read_text()) for rank in range(size)]
    assert all(texts == ranks[0] for texts in ranks), "every rank knows every text"
    return list(ranks[0])


@pytest.mark.parametrize(
    ("uri", "changes"),
    [
        (OCR2, {}),
        pytest.param(OCR2, {"sharding": "full"}, marks=pytest.mark.slow),
        (VIT, {"sharding": "full"}),
        pytest.param(
            OCR2, {"sharding": "full", "model": {"uri": OCR2, "lora": {"rank": 2, "alpha": 4}}}, marks=pytest.mark.slow
        ),
    ],
    ids=["replicas", "shards", "shards of an encoder-decoder", "shards with adapters"],
)
def test_two_ranks_write_the_texts_that_one_writes(uri: str, changes: dict[str, Any], tmp_path: Path) -> None:
    one = write_texts(1, tmp_path, uri, 5, **changes)
    assert len({text for _, text in one}) > 1
    assert write_texts(2, tmp_path, uri, 5, **changes) == one, "the second rank has a batch less"


def test_a_rank_without_a_sample_takes_part_in_every_pass(tmp_path: Path) -> None:
    (text,) = write_texts(2, tmp_path, OCR2, 1, sharding="full")
    assert text[1]


def evaluate(size: int, folder: Path, pages: Path, **changes: Any) -> Any:
    """What is reported of the evaluation before the first step: values by metric, and samples."""
    folder.mkdir()
    workload = build_train_workload(
        folder,
        model={"uri": OCR2},
        image_processor={"size": 64},
        precision="fp32",
        datasets=[WorkloadDataset(name="d", uri=f"file://{pages}")],
        max_steps=1,
        global_batch_size=2,
        **changes,
    )
    function = partial(rank_evaluation.evaluate, folder, workload.to_json())
    assert run_ranks(size, folder, function) == [0] * size
    return json.loads((folder / "evaluation.json").read_text())


def test_an_evaluation_gives_the_same_on_any_number_of_ranks_and_for_any_batch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DEEPSYNTH_CACHE", str(tmp_path / "cache"))
    pages = write_dataset(tmp_path / "pages", {"train": build_documents(2), "validation": build_documents(7, start=20)})
    metrics = ["loss", "rouge", "cer", "wer", "exactMatch"]
    settings: dict[str, Any] = {"metrics": metrics, "max_new_tokens": 6, "samples": 3}
    one = evaluate(1, tmp_path / "one", pages, evaluation=settings)
    assert len(one[0]) == 8
    assert len(one[1]) == 3
    assert evaluate(2, tmp_path / "shards", pages, evaluation=settings, sharding="full") == one
    small = evaluate(2, tmp_path / "small", pages, evaluation={**settings, "generation_batch_size": 1})
    assert small[1] == one[1]
    assert small[0] == pytest.approx(one[0])
