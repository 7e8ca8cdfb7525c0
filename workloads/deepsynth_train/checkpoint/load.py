"""Find the newest checkpoint that verifies, and read it."""

import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from deepsynth_api.errors import ConfigurationError
from deepsynth_api.reasons import Reason
from deepsynth_store.atomic import fsync_folder
from deepsynth_train.checkpoint.layout import corrupt_name, list_corrupt, list_steps, step_name
from deepsynth_train.checkpoint.manifest import Manifest, find_damage, read_manifest
from deepsynth_train.checkpoint.ranks import Ranks
from deepsynth_train.checkpoint.shards import read_shards

SHARDS = "shards"
STATE_FILE = "state.json"
METRICS_FILE = "metrics.jsonl"


@dataclass(frozen=True)
class Loaded:
    """What `load_latest` found; the tensors were filled in place."""

    step: int
    state: dict[str, Any]
    metrics: list[dict[str, Any]]
    path: Path


def find_newest_good(folder: Path, attempt: int, ranks: Ranks) -> tuple[int | None, list[str]]:
    """Step of the newest checkpoint whose every file verifies, and a note for each one passed over.

    Called by all ranks, who share the hashing. A damaged checkpoint is renamed, so that nobody loads it again.
    """
    notes: list[str] = []
    for step in ranks.share(list_steps(folder)):
        damage = _find_damage(folder / step_name(step), ranks)
        if damage is None:
            return step, notes
        notes.append(f"checkpoint step-{step} is damaged and was passed over: {damage}")
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


def _try_read_manifest(root: Path) -> Manifest | str:
    try:
        return read_manifest(root)
    except (OSError, ValueError) as error:
        return f"manifest.json cannot be read ({error})"


def _quarantine(folder: Path, step: int, attempt: int) -> None:
    """Set the checkpoint aside. Only the newest one set aside is kept: it is evidence, and it takes room."""
    for older in list_corrupt(folder):
        shutil.rmtree(older)
    (folder / step_name(step)).rename(folder / corrupt_name(step, attempt))
    fsync_folder(folder)


def read_checkpoint(folder: Path, step: int, tensors: Mapping[str, Any], ranks: Ranks) -> Loaded:
    """Fill `tensors` in place from a checkpoint that verified. Called by all ranks.

    Raises ConfigurationError when it holds another model.
    """
    root = folder / step_name(step)
    try:
        read_shards(dict(tensors), root / SHARDS, ranks)
    except ValueError as error:
        raise ConfigurationError(
            f"spec.checkpoint.uri: the model in {root} is not this one ({error}); choose an empty folder",
            reason=Reason.CHECKPOINT_DOES_NOT_FIT,
        ) from error
    return Loaded(
        step=step,
        state=json.loads((root / STATE_FILE).read_text()),
        metrics=[json.loads(line) for line in (root / METRICS_FILE).read_text().splitlines()],
        path=root,
    )
