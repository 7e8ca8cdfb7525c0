"""A run that continues with fewer nodes, and with all of them again, trains as one that had all of them throughout."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from integration.train_resume.recorded_attempts import run_recorded
from support.training.page_dataset import build_documents, write_dataset
from support.training.rank_processes import CONTEXT, run_ranks
from support.training.tiny_training import MODULES, OCR2, read_weights
from support.training.train_workloads import build_train_workload

if TYPE_CHECKING:
    from pathlib import Path

CONTEXT.set_forkserver_preload(MODULES)

STEPS = 6
BATCH = 5
SAMPLES = 11


@dataclass(frozen=True)
class Step:
    loss: float
    samples: list[int]


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_dataset(tmp_path_factory.mktemp("pages"), {"train": build_documents(SAMPLES)})


def build_document(folder: Path, pages: Path, attempt: int, nodes: int, sharding: str) -> str:
    return build_train_workload(
        folder,
        attempt=attempt,
        num_nodes=nodes,
        num_proc_per_node=1,
        model={"uri": OCR2},
        datasets=[{"name": "d", "uri": f"file://{pages}", "validation_split": ""}],
        precision="fp32",
        sharding=sharding,
        image_processor={"size": 64},
        global_batch_size=BATCH,
        micro_batch_size=2,
        max_steps=STEPS,
        checkpoint={"uri": f"file://{folder}/checkpoints", "every_steps": 2},
        optimizer={"learning_rate": "0.01", "warmup_steps": 2},
    ).to_json()


def train(folder: Path, pages: Path, sharding: str, parts: list[tuple[int, int | None]]) -> dict[int, Step]:
    """What each step saw. parts: (nodes, steps until it is stopped) of the attempts, with one process per node."""
    seen: dict[int, Step] = {}
    for attempt, (nodes, stop_after) in enumerate(parts, 1):
        document = build_document(folder, pages, attempt, nodes, sharding)
        codes = run_ranks(nodes, folder / "ranks", run_recorded, document, folder, stop_after)
        assert codes == [int(stop_after is not None)] * nodes
        ranks = [read(folder / f"attempt-{attempt}-rank-{rank}.json") for rank in range(nodes)]
        for step, entry in ranks[0].items():
            assert step not in seen, "no step is trained twice"
            samples = sorted(number for rank in ranks for number in rank[step]["samples"])
            seen[step] = Step(entry["loss"], samples)
    return seen


def read(path: Path) -> dict[int, Any]:
    return {int(step): entry for step, entry in json.loads(path.read_text()).items()}


@pytest.mark.parametrize("sharding", ["none", pytest.param("full", marks=pytest.mark.slow)])
def test_a_run_on_two_nodes_then_one_then_two_takes_the_same_batches(
    sharding: str, pages: Path, tmp_path: Path
) -> None:
    import torch

    whole = train(tmp_path / "whole", pages, sharding, [(2, None)])
    elastic = train(tmp_path / "elastic", pages, sharding, [(2, 2), (1, 2), (2, None)])
    assert list(elastic) == list(whole) == list(range(1, STEPS + 1))
    assert [step.samples for step in elastic.values()] == [step.samples for step in whole.values()]
    assert [len(step.samples) for step in elastic.values()] == [BATCH] * STEPS
    first_epoch = [number for step in elastic.values() for number in step.samples][: 2 * BATCH]
    assert len(set(first_epoch)) == 2 * BATCH, "each sample once"
    losses = [step.loss for step in whole.values()]
    assert [step.loss for step in elastic.values()] == pytest.approx(losses, rel=1e-5)
    expected, found = read_weights(tmp_path / "whole/output"), read_weights(tmp_path / "elastic/output")
    for name, weight in expected.items():
        torch.testing.assert_close(found[name], weight, atol=1e-4, rtol=1e-3, msg=name)
