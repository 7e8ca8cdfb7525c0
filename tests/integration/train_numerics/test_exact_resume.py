"""A killed or stopped run ends with exactly the weights of an uninterrupted one."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from integration.train_numerics import rank_training
from support.training.page_dataset import build_documents, write_dataset
from support.training.rank_processes import CONTEXT, run_ranks
from support.training.tiny_training import MODULES, read_weights
from support.training.train_workloads import OCR2, VIT, build_train_workload

if TYPE_CHECKING:
    import torch

CONTEXT.set_forkserver_preload(MODULES)

STEPS = 6


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_dataset(tmp_path_factory.mktemp("pages"), {"train": build_documents(11)})


def build_document(
    folder: Path, pages: Path, attempt: int = 1, uri: str = OCR2, sharding: str = "none", **changes: Any
) -> str:
    length = {"max_steps": STEPS} if "epochs" not in changes else {}
    return build_train_workload(
        folder,
        attempt=attempt,
        model={"uri": uri},
        task="summarize" if uri == OCR2 else "ocr",
        datasets=[{"name": "d", "uri": f"file://{pages}", "validation_split": ""}],
        precision="fp32",
        sharding=sharding,
        image_processor={"size": 64} if uri == OCR2 else {},
        global_batch_size=5,
        micro_batch_size=2,
        checkpoint={"uri": f"file://{folder}/checkpoints", "every_steps": 2},
        **{"optimizer": {"learning_rate": "0.01", "warmup_steps": 2}, **length, **changes},
    ).to_json()


def run_attempt(size: int, folder: Path, document: str, **changes: Any) -> list[int]:
    return run_ranks(size, folder / "ranks", partial(rank_training.run_attempt, document, folder / "cache", **changes))


def read_result(folder: Path) -> dict[str, torch.Tensor]:
    return read_weights(folder / "output")


def assert_equal_bits(found: dict[str, torch.Tensor], expected: dict[str, torch.Tensor]) -> None:
    import torch

    assert found.keys() == expected.keys()
    assert [name for name in found if not torch.equal(found[name], expected[name])] == []


@pytest.mark.parametrize(
    ("size", "uri", "sharding"),
    [(2, VIT, "none"), pytest.param(4, OCR2, "none", marks=pytest.mark.slow), (2, OCR2, "full")],
)
def test_a_rank_killed_between_saves_costs_steps_but_does_not_change_a_bit(
    size: int, uri: str, sharding: str, pages: Path, tmp_path: Path
) -> None:
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    assert run_attempt(size, whole, build_document(whole, pages, 1, uri, sharding)) == [0] * size
    codes = run_attempt(size, broken, build_document(broken, pages, 1, uri, sharding), kill=(1, 5))
    assert codes[1] == -9
    assert 0 not in codes
    assert run_attempt(size, broken, build_document(broken, pages, 2, uri, sharding)) == [0] * size
    assert_equal_bits(read_result(broken), read_result(whole))


def test_a_request_to_stop_on_one_rank_saves_the_same_step_on_all(pages: Path, tmp_path: Path) -> None:
    whole, stopped = tmp_path / "whole", tmp_path / "stopped"
    assert run_attempt(2, whole, build_document(whole, pages)) == [0, 0]
    assert run_attempt(2, stopped, build_document(stopped, pages), stop_after=3) == [1, 1]
    assert (stopped / "checkpoints" / "step-3").is_dir()
    assert not (stopped / "output").exists()
    assert run_attempt(2, stopped, build_document(stopped, pages, 2)) == [0, 0]
    assert_equal_bits(read_result(stopped), read_result(whole))


def test_a_finished_run_with_more_steps_has_the_weights_of_one_that_had_them_from_the_start(
    pages: Path, tmp_path: Path
) -> None:
    whole, grown = tmp_path / "whole", tmp_path / "grown"
    optimizer = {"learning_rate": "0.01", "warmup_steps": 2, "schedule": "constant"}
    assert run_attempt(2, whole, build_document(whole, pages, optimizer=optimizer)) == [0, 0]
    first = build_document(grown, pages, optimizer=optimizer, max_steps=3)
    assert run_attempt(2, grown, first) == [0, 0]
    more = build_document(grown, pages, 2, optimizer=optimizer, fingerprint="more", needs_checkpoint=True)
    assert run_attempt(2, grown, more) == [0, 0]
    assert_equal_bits(read_result(grown), read_result(whole))


def test_a_run_with_one_more_epoch_begins_where_its_smaller_last_batch_ended(pages: Path, tmp_path: Path) -> None:
    """11 samples in batches of 5: an epoch ends after 5, 5 and 1, two end after 3 more steps of 5, 5 and 1."""
    assert run_attempt(1, tmp_path, build_document(tmp_path, pages, epochs=1)) == [0]
    assert run_attempt(1, tmp_path, build_document(tmp_path, pages, 2, epochs=2)) == [0]
    states = sorted((tmp_path / "checkpoints").glob("step-*/state.json"), key=lambda path: int(path.parent.name[5:]))
    positions = {state["step"]: state["position"] for state in map(json.loads, map(Path.read_text, states))}
    assert positions[6] == 22, positions
    assert positions[4] == 16, positions
