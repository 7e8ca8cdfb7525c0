"""Find the newest checkpoint that verifies, and read it. Nothing in it is unpickled without restrictions."""

import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from deepsynth_api.errors import ConfigurationError, TemporaryError
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
from deepsynth_train.checkpoint.manifest import (
    UNSIGNED,
    BaseReference,
    CheckpointManifest,
    find_damage,
    read_evaluation,
    read_manifest,
)
from deepsynth_train.checkpoint.ranks import Ranks
from deepsynth_train.checkpoint.state.older_shards import open_older_shards
from deepsynth_train.checkpoint.state.tensor_files import Damage, Stored, open_tensors
from deepsynth_train.checkpoint.state.trained import FrozenWeightChangedError, Trained


@dataclass(frozen=True)
class Loaded:
    """What `load_latest` found. The tensors are not part of it: they were filled in place.

    metrics: the curve up to `step`, with the evaluation of `step` itself unless the run was killed before it ended.
    """

    step: int
    state: dict[str, Any]
    metrics: list[dict[str, Any]]
    path: Path


@dataclass(frozen=True)
class Good:
    """A checkpoint whose files all verify."""

    step: int
    root: Path
    manifest: CheckpointManifest
    stored: Stored


def find_newest_good(folder: Path, attempt: int, ranks: Ranks) -> tuple[Good | None, list[str]]:
    """The newest checkpoint whose files all verify, and a note for each damaged one that was skipped.

    Called by all ranks, which share the hashing: rank r of R hashes files r, r + R, r + 2R, ... of the manifest.
    A damaged checkpoint is renamed, so that no later attempt loads it.
    """
    notes: list[str] = []
    for step in ranks.share(list_steps(folder)):
        found = _verify(folder / step_name(step), step, ranks)
        if isinstance(found, Good):
            return found, notes
        notes.append(f"skipped the damaged checkpoint step-{step}: {found}")
        if ranks.is_first:
            _quarantine(folder, step, attempt)
        ranks.gather(None)
    return None, notes


def verify_step(folder: Path, step: int, ranks: Ranks) -> Good | str:
    """One checkpoint, or what is damaged. Called by all ranks."""
    return _verify(folder / step_name(step), step, ranks)


def _verify(root: Path, step: int, ranks: Ranks) -> Good | str:
    """The checkpoint, or what is damaged, on all ranks."""
    manifest = ranks.share(_try_read_manifest(root) if ranks.is_first else None)
    if isinstance(manifest, str):
        return manifest
    damage = _find_first(find_damage(root, manifest.files[ranks.rank :: ranks.size]), ranks)
    if damage:
        return damage
    stored = _try_open(root, manifest)
    damage = _find_first(stored if isinstance(stored, str) else None, ranks)
    return damage if damage or isinstance(stored, str) else Good(step, root, manifest, stored)


def _find_first(damage: str | None, ranks: Ranks) -> str:
    """What the lowest rank found that found anything; empty if all is well."""
    return str(next((found for found in ranks.gather(damage) if found), ""))


def _try_open(root: Path, manifest: CheckpointManifest) -> Stored | str:
    try:
        return open_older_shards(root / SHARDS) if manifest.format == UNSIGNED else open_tensors(root / SHARDS)
    except Damage as error:
        return str(error)


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


def read_checkpoint(good: Good, trained: Trained, base: BaseReference | None, ranks: Ranks, *, attempt: int) -> Loaded:
    """Fill `trained` in place. Called by all ranks. base: of the model as it was loaded, for its frozen weights.

    Raises ConfigurationError when the checkpoint is of a different model, or the base model has changed.
    """
    root = good.root
    error: BaseException | None = None
    try:
        _check_base(root, good.manifest.base, base)
        trained.restore(good.stored)
    except FrozenWeightChangedError as caught:
        error = _describe_changed_base(root, str(caught))
    except Damage as caught:
        error = TemporaryError(
            f"spec.checkpoint.uri: the checkpoint {root} is damaged ({caught}) and was renamed; the next attempt "
            "resumes from the one before it"
        )
    except ValueError as caught:
        error = ConfigurationError(
            f"spec.checkpoint.uri: the checkpoint {root} does not fit spec.model ({caught}); choose an empty folder",
            reason=Reason.CHECKPOINT_DOES_NOT_FIT,
        )
    except BaseException as caught:  # noqa: BLE001 - the other ranks wait for the outcome
        error = caught
    if any(ranks.gather(isinstance(error, TemporaryError))) and ranks.is_first:
        _quarantine(root.parent, good.step, attempt)
    ranks.agree(error)
    evaluation = ranks.share(read_evaluation(root) if ranks.is_first else None)
    metrics = [json.loads(line) for line in (root / METRICS_FILE).read_text().splitlines()]
    return Loaded(
        step=good.step,
        state=json.loads((root / STATE_FILE).read_text()),
        metrics=[*metrics, evaluation.line] if evaluation and evaluation.line not in metrics else metrics,
        path=root,
    )


def _check_base(root: Path, saved: BaseReference | None, found: BaseReference | None) -> None:
    """Frozen weights are those of the base model: with another one, the trained weights would be worth nothing."""
    if saved and found and saved.sha256 != found.sha256:
        raise _describe_changed_base(root, f"expected {_describe(saved)}, found {_describe(found)}")


def _describe(base: BaseReference) -> str:
    revision = f" at {base.revision}" if base.revision else ""
    return f"{base.uri}{revision} with the hash {base.sha256}"


def _describe_changed_base(root: Path, why: str) -> ConfigurationError:
    return ConfigurationError(
        f"spec.model.uri: the base model has changed since the checkpoint {root} was saved: {why}; bring the model "
        "back, or set spec.checkpoint.uri to an empty folder",
        reason=Reason.CHECKPOINT_DOES_NOT_FIT,
    )
