"""What several processes evaluate equals what one evaluates."""

from __future__ import annotations

import json
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from integration.train_numerics import rank_evaluation
from support.training.rank_processes import CONTEXT, run_ranks
from support.training.tiny_training import MODULES, OCR2, VIT

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
        (OCR2, {"sharding": "full"}),
        (VIT, {"sharding": "full"}),
        (OCR2, {"sharding": "full", "model": {"uri": OCR2, "lora": {"rank": 2, "alpha": 4}}}),
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
