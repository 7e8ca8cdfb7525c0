"""What the ranks of a test do: write the text of some samples and leave it in a folder."""

from __future__ import annotations

import json
from contextlib import nullcontext
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from deepsynth_api.workload import TrainWorkload
from support.training.tiny_training import Recorder, build_samples, build_settings
from unit.deepsynth_train.evaluation.chatty_model import build_chatty_model, build_maker, write

if TYPE_CHECKING:
    from pathlib import Path


def write_texts(folder: Path, uri: str, samples: int, **changes: Any) -> int:
    """Each rank writes the texts of all samples, as it sees them."""
    from deepsynth_train.coordination.world import join_world
    from deepsynth_train.optimization.sharding import is_sharded, place_module

    world = join_world()
    model = build_chatty_model(uri, **changes)
    settings = build_settings(uri, **changes)
    place_module(model.module, settings, world)
    most = model.family.max_pages or 3
    maker = build_maker(
        model, [build_samples(model, 1, seed=seed, pages=1 + seed % most)[0] for seed in range(samples)]
    )
    texts = write(
        maker,
        list(range(samples)),
        world=world,
        autocast=nullcontext,
        batch_pages=2,
        in_step=is_sharded(settings, world),
    )
    (folder / f"texts-{world.size}-{world.rank}.json").write_text(json.dumps(sorted(texts.items())))
    return 0


def evaluate(folder: Path, document: str) -> int:
    """A whole attempt; rank 0 writes what it reported of the evaluation before the first step."""
    from deepsynth_train.attempt.run import run_attempt
    from deepsynth_train.coordination.world import join_world

    world = join_world()
    recorder = Recorder()
    run_attempt(TrainWorkload.parse(document), world, recorder, lambda: False)
    if world.is_first:
        samples = [asdict(sample) for sample in recorder.samples[0]]
        (folder / "evaluation.json").write_text(json.dumps([recorder.evaluations[0], samples]))
    return 0
