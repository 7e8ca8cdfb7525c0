"""Save one step: write to a staging folder, hash, commit by one rename. Runs in a thread while training continues.

all ranks   write their part of shards/ into step-120.tmp-attempt-3/, fsync and hash it
rank 0      writes the index of shards/, state.json, metrics.jsonl, model/ and, last, manifest.json
rank 0      checks owner.json, renames to step-120, updates `latest` and `best`, deletes expired steps and all
            damaged ones but the newest
rank 0      after the evaluation of step 120: writes evaluation.json, updates `best`, deletes expired steps
"""

import json
import os
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from deepsynth_store.core.atomic import fsync_folder, write_file_atomically
from deepsynth_train.checkpoint.content import Content, Written, build_manifest
from deepsynth_train.checkpoint.disk import explain_disk
from deepsynth_train.checkpoint.layout import (
    BEST,
    LATEST,
    METRICS_FILE,
    MODEL,
    SHARDS,
    STATE_FILE,
    list_corrupt,
    list_steps,
    staging_name,
    step_name,
)
from deepsynth_train.checkpoint.manifest import (
    CheckpointManifest,
    CheckpointRecord,
    Evaluation,
    build_record,
    sync_and_digest,
    write_evaluation,
    write_manifest,
)
from deepsynth_train.checkpoint.owner import Owner, check_ownership
from deepsynth_train.checkpoint.ranks import Ranks
from deepsynth_train.checkpoint.retention import Retention, find_best, select_expired
from deepsynth_train.checkpoint.state.parts import Part
from deepsynth_train.checkpoint.state.tensor_files import (
    describe_parts,
    open_tensors,
    write_index,
    write_tensors,
)
from deepsynth_train.checkpoint.state.trained import WEIGHTS

T = TypeVar("T")


@dataclass(frozen=True)
class Target:
    """Where to save, for which attempt, and which checkpoints to keep."""

    folder: Path
    uri: str
    owner: Owner
    retention: Retention


def save_step(target: Target, step: int, content: Content, ranks: Ranks) -> None:
    """Commit one checkpoint. Called by all ranks; an error on any of them is raised on all.

    Wherever this fails or is killed, earlier checkpoints stay unchanged, and this one is either complete or absent.
    """
    staging = target.folder / staging_name(step, target.owner.attempt, target.owner.restart)
    _together(ranks, staging, lambda: _prepare(staging) if ranks.is_first else None)
    written = ranks.gather(_together(ranks, staging, lambda: _write_parts(staging, content.parts, ranks.rank)))
    _together(ranks, staging, lambda: _finish(target, staging, step, content, written) if ranks.is_first else None)


def _together(ranks: Ranks, staging: Path, action: Callable[[], T]) -> T:
    """Run `action` on every rank; an error on any is raised on all, after the staging folder is removed."""
    try:
        return ranks.together(action, lambda error: explain_disk(error, staging.parent))
    except BaseException:
        if ranks.is_first:
            shutil.rmtree(staging, ignore_errors=True)
        raise


def _prepare(staging: Path) -> None:
    if staging.exists():
        shutil.rmtree(staging)
    (staging / SHARDS).mkdir(parents=True)


def _write_parts(staging: Path, parts: Sequence[Part], rank: int) -> Written:
    if not parts:
        return Written()
    path = staging / SHARDS / f"rank-{rank}.safetensors"
    write_tensors(path, parts)
    return Written(sync_and_digest(staging, [path]), describe_parts(path.name, parts))


def _finish(target: Target, staging: Path, step: int, content: Content, written: Sequence[Written]) -> None:
    """Write all other files and commit. Called on rank 0; written: by rank."""
    index = write_index(staging / SHARDS, [rank.tensors for rank in written], content.values)
    others = sync_and_digest(staging, [index, *_write_first_rank_files(staging, content)])
    files = [*others, *(file for rank in written for file in rank.files)]
    manifest = build_manifest(step, target.owner, content, len(written), files)
    _commit(target, staging, manifest)


def _write_first_rank_files(staging: Path, content: Content) -> list[Path]:
    (staging / STATE_FILE).write_text(json.dumps(content.state))
    (staging / METRICS_FILE).write_text("".join(json.dumps(line) + "\n" for line in content.metrics))
    if content.write_model:
        (staging / MODEL).mkdir()
        stored = open_tensors(staging / SHARDS)
        names = [name for name in stored.tensors if name.startswith(WEIGHTS)]
        content.write_model(staging / MODEL, {name.removeprefix(WEIGHTS): stored.get(name) for name in names})
    model_files = [path for path in (staging / MODEL).rglob("*") if path.is_file()]
    return [staging / STATE_FILE, staging / METRICS_FILE, *model_files]


def _commit(target: Target, staging: Path, manifest: CheckpointManifest) -> None:
    for folder, _, _ in os.walk(staging):
        fsync_folder(Path(folder))
    write_manifest(staging, manifest)
    check_ownership(target.folder, target.owner)
    staging.rename(target.folder / step_name(manifest.step))
    fsync_folder(target.folder)
    publish_pointers(target)
    for older in list_corrupt(target.folder)[1:]:  # one is enough evidence, and they take up space
        shutil.rmtree(older)


def publish_pointers(target: Target) -> None:
    """Update `latest` and `best`, then delete expired checkpoints."""
    records, keep = write_pointers(target), target.retention
    for step in select_expired(records, keep_last=keep.keep_last, keep_best=keep.keep_best):
        _delete(target, step)


def write_pointers(target: Target) -> list[CheckpointRecord]:
    """Make `latest` and `best` name the newest and the best checkpoint, or delete them. Returns all, newest first."""
    records = list_records(target)
    for name, record in ((LATEST, next(iter(records), None)), (BEST, find_best(records))):
        path = target.folder / name
        if record is None:
            path.unlink(missing_ok=True)
        elif not path.is_file() or path.read_text() != step_name(record.step):
            write_file_atomically(path, step_name(record.step).encode())
    return records


def save_evaluation(target: Target, step: int, evaluation: Evaluation) -> None:
    """Add the evaluation to a committed checkpoint. Called on rank 0."""
    root = target.folder / step_name(step)
    check_ownership(target.folder, target.owner)
    if root.is_dir():  # else it was deleted or never committed, and must not be created by this file
        write_evaluation(root, evaluation)
        publish_pointers(target)


def list_records(target: Target) -> list[CheckpointRecord]:
    """Committed checkpoints, newest first. Skips those with an unreadable manifest; the next load quarantines them."""
    records = []
    for step in list_steps(target.folder):
        try:
            records.append(build_record(target.folder / step_name(step), f"{target.uri.rstrip('/')}/{step_name(step)}"))
        except (OSError, ValueError):
            continue
    return records


def _delete(target: Target, step: int) -> None:
    """Rename to an unfinished save first, so that a half-deleted checkpoint never looks complete."""
    doomed = target.folder / staging_name(step, target.owner.attempt, target.owner.restart)
    (target.folder / step_name(step)).rename(doomed)
    shutil.rmtree(doomed)
