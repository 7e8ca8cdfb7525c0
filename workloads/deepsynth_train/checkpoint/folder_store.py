"""Checkpoints in a folder: see the package's docstring. save.py writes them."""

import shutil
from pathlib import Path

from deepsynth_store.core.atomic import fsync_folder
from deepsynth_train.checkpoint.content import Content
from deepsynth_train.checkpoint.files import FolderFiles
from deepsynth_train.checkpoint.layout import (
    SHARDS,
    corrupt_name,
    list_stale_staging,
    step_name,
)
from deepsynth_train.checkpoint.manifest import (
    UNSIGNED,
    CheckpointManifest,
    CheckpointRecord,
    Evaluation,
    find_damage,
    read_evaluation,
    read_manifest,
)
from deepsynth_train.checkpoint.owner import Owner, claim_folder
from deepsynth_train.checkpoint.ranks import Ranks
from deepsynth_train.checkpoint.retention import Retention
from deepsynth_train.checkpoint.save import Target, list_records, save_evaluation, save_step, write_pointers
from deepsynth_train.checkpoint.state.older_shards import open_older_shards
from deepsynth_train.checkpoint.state.tensor_files import Damage, Stored, open_tensors
from deepsynth_train.checkpoint.stores import Good


class FolderStore:
    """See CheckpointStore. Ranks share the hashing: rank r of R hashes files r, r + R, r + 2R, ... of the manifest."""

    def __init__(self, path: Path, uri: str, owner: Owner, retention: Retention) -> None:
        self.files = FolderFiles(path)
        self.owner = owner
        self._path = path
        self._target = Target(path, uri, owner, retention)

    def claim(self) -> str | None:
        note = claim_folder(self._path, self.owner)
        for staging in list_stale_staging(self._path, self.owner.attempt):
            shutil.rmtree(staging)
        return note

    def list_records(self) -> list[CheckpointRecord]:
        return list_records(self._target)

    def save(self, step: int, content: Content, ranks: Ranks) -> None:
        save_step(self._target, step, content, ranks)

    def save_evaluation(self, step: int, evaluation: Evaluation) -> None:
        save_evaluation(self._target, step, evaluation)

    def read_evaluation(self, step: int) -> Evaluation | None:
        return read_evaluation(self._path / step_name(step))

    def verify(self, step: int, ranks: Ranks) -> Good | str:
        root = self._path / step_name(step)
        manifest = ranks.share(_try_read_manifest(root) if ranks.is_first else None)
        if isinstance(manifest, str):
            return manifest
        damage = _find_first(find_damage(root, manifest.files[ranks.rank :: ranks.size]), ranks)
        if damage:
            return damage
        stored = _try_open(root, manifest)
        damage = _find_first(stored if isinstance(stored, str) else None, ranks)
        if damage or isinstance(stored, str):
            return damage
        return Good(step, str(root), manifest, stored, lambda name: (root / name).read_bytes())

    def quarantine(self, step: int) -> None:
        """Perhaps only this node reads it wrongly, so nothing is deleted before the next save; see save.py."""
        aside = self._path / corrupt_name(step, self.owner.number)
        if aside.exists():  # the step was saved again since
            shutil.rmtree(aside)
        (self._path / step_name(step)).rename(aside)
        fsync_folder(self._path)

    def write_pointers(self) -> None:
        write_pointers(self._target)


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
