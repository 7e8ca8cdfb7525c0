"""What an attempt finds out about its samples, for tests and for ranks, which import it."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any
from unittest import mock

from support.training.tiny_training import VIT, Recorder, build_model, build_world
from support.training.train_workloads import build_train_workload

if TYPE_CHECKING:
    from pathlib import Path

    from deepsynth_store.cache.files import FileCache
    from deepsynth_train.coordination.world import World
    from deepsynth_train.models.interface.page_model import PageModel

HOLDOUT = 20


def prepare(
    folder: Path, uri: str, model: PageModel, world: World, *, shared: FileCache | None = None, **changes: Any
) -> dict[str, Any]:
    """Prepare the data of an attempt with its checkpoints in `folder`. `chosen`: whether it had to choose samples.
    `streams`: files that were left in their store.
    """
    from deepsynth_train.attempt.data import prepare_data
    from deepsynth_train.attempt.kept_samples import KeptSamples
    from deepsynth_train.checkpoint.files import FolderFiles
    from deepsynth_train.checkpoint.owner import Owner, claim_folder
    from deepsynth_train.data.dataset import choose_samples

    datasets = [{"name": name, "uri": uri, "weight": "1"} for name in "ab"]
    workload = build_train_workload(
        folder, **{"task": "ocr", "datasets": datasets, "max_dropped_percent": 90, **changes}
    )
    kept = KeptSamples(FolderFiles(folder / "checkpoints"), shared) if world.is_first else None
    recorder = Recorder()
    with mock.patch("deepsynth_train.attempt.data.choose_samples", wraps=choose_samples) as choose:
        data = prepare_data(workload, model, HOLDOUT, world, recorder, shared=shared, kept=kept)
    if kept:
        claim_folder(folder / "checkpoints", Owner.of(workload))
        kept.write(Owner.of(workload))
    samples = [data.train, *([data.validation] if data.validation else [])]
    return {
        "chosen": choose.called,
        "streams": len(data.streams),
        "notes": recorder.notes,
        "samples": [
            {
                **{name: getattr(each.index, name).tolist() for name in ("first", "pages", "tokens", "sizes")},
                "dropped": {drop.reason: drop.samples for drop in each.index.dropped},
                "seen": each.index.seen,
                "labels": [each.read_label(number) for number in range(len(each))],
                "names": [each.name(number) for number in range(len(each))],
            }
            for each in samples
        ],
    }


def prepare_on_a_node(folder: Path, uri: str, size: int) -> None:
    """Each rank is the only one of its node, which has a disk of its own."""
    from deepsynth_train.coordination.world import World

    rank = int(os.environ["RANK"])
    os.environ["DEEPSYNTH_CACHE"] = str(folder / f"node-{rank}")
    world = World(rank, size, 0, 1, build_world().device)
    found = prepare(folder / f"of-{size}", uri, build_model(VIT), world)
    (folder / f"rank-{rank}-of-{size}.json").write_text(json.dumps(found))
