"""Find the newest checkpoint that verifies, and read it."""

import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from deepsynth_api.errors import ConfigurationError
from deepsynth_api.reasons import Reason
from deepsynth_store.core.atomic import fsync_folder
from deepsynth_train.checkpoint.layout import (
    METRICS_FILE,
    SHARDS,
    STATE_FILE,
    corrupt_name,
    list_corrupt,
    list_steps,
    step_name,
)
from deepsynth_train.checkpoint.manifest import CheckpointManifest, find_damage, read_evaluation, read_manifest
from deepsynth_train.checkpoint.ranks import Ranks
from deepsynth_train.checkpoint.shards import read_shards


@dataclass(frozen=True)
class Loaded:
    """What `load_latest` found. The tensors are not part of it: they were filled in place.

    metrics: the curve up to `step`, with the evaluation of `step` itself unless the run was killed before it ended.
    """

    step: int
    state: dict[str, Any]
    metrics: list[dict[str, Any]]
    path: Path


def find_newest_good(folder: Path, attempt: int, ranks: Ranks) -> tuple[int | None, list[str]]:
    """Step of the newest checkpoint whose files all verify, and a note for each damaged one that was skipped.

    Called by all ranks, which share the hashing: rank r of R hashes files r, r + R, r + 2R, ... of the manifest.
    A damaged checkpoint is renamed, so that no later attempt loads it.
    """
    notes: list[str] = []
    for step in ranks.share(list_steps(folder)):
        damage = _find_damage(folder / step_name(step), ranks)
        if damage is None:
            return step, notes
        notes.append(f"skipped the damaged checkpoint step-{step}: {damage}")
        if ranks.is_first:
            _quarantine(folder, step, attempt)
        ranks.gather(None)
    return None, notes


def _find_damage(root: Path, ranks: Ranks) -> str | None:
    manifest = ranks.share(_try_read_manifest(root) if ranks.is_first else None)
    if isinstance(manifest, str):
        return manifest
    mine = find_damage(root, manifest.files[ranks.rank :: ranks.size])
    return next((damage for damage in ranks.gather(mine) if damage), None)


def _try_read_manifest(root: Path) -> CheckpointManifest | str:
    try:
        return read_manifest(root)
    except (OSError, ValueError) as error:
        return f"manifest.json: cannot be read ({error})"


def _quarantine(folder: Path, step: int, attempt: int) -> None:
    """Rename a damaged checkpoint and delete older damaged ones: one is enough evidence, and they take up space."""
    for older in list_corrupt(folder):
        shutil.rmtree(older)
    (folder / step_name(step)).rename(folder / corrupt_name(step, attempt))
    fsync_folder(folder)


def read_checkpoint(folder: Path, step: int, tensors: Mapping[str, Any], ranks: Ranks) -> Loaded:
    """Fill `tensors` in place from a checkpoint that verified. Called by all ranks.

    Raises ConfigurationError when it holds a different model.
    """
    root = folder / step_name(step)
    try:
        read_shards(dict(tensors), root / SHARDS, ranks)
    except ValueError as error:
        raise ConfigurationError(
            f"spec.checkpoint.uri: the checkpoint {root} does not fit spec.model ({error}); choose an empty folder",
            reason=Reason.CHECKPOINT_DOES_NOT_FIT,
        ) from error
    evaluation = ranks.share(read_evaluation(root) if ranks.is_first else None)
    metrics = [json.loads(line) for line in (root / METRICS_FILE).read_text().splitlines()]
    return Loaded(
        step=step,
        state=json.loads((root / STATE_FILE).read_text()),
        metrics=[*metrics, evaluation.line] if evaluation else metrics,
        path=root,
    )
