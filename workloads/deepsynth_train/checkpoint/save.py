"""Save one step: write to a staging folder, hash, commit by one rename. Runs in a thread while training continues.

all ranks   write shards/ into step-120.tmp-attempt-3/, fsync and hash what they wrote
rank 0      writes state.json, metrics.jsonl, model/ and, last, manifest.json
rank 0      checks owner.json, renames to step-120, updates `latest` and `best`, deletes expired steps
rank 0      after the evaluation of step 120: writes evaluation.json, updates `best`, deletes expired steps
"""

import errno
import json
import os
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from deepsynth_api.errors import InternalError, TemporaryError, WorkloadError
from deepsynth_api.reasons import Reason
from deepsynth_store.core.atomic import free_bytes, fsync_folder, write_file_atomically
from deepsynth_train.checkpoint.layout import (
    BEST,
    LATEST,
    METRICS_FILE,
    MODEL,
    SHARDS,
    STATE_FILE,
    list_steps,
    staging_name,
    step_name,
)
from deepsynth_train.checkpoint.manifest import (
    CheckpointManifest,
    CheckpointRecord,
    Evaluation,
    FileDigest,
    build_record,
    format_now,
    sync_and_digest,
    write_evaluation,
    write_manifest,
)
from deepsynth_train.checkpoint.owner import Owner, check_ownership
from deepsynth_train.checkpoint.ranks import Ranks
from deepsynth_train.checkpoint.retention import find_best, select_expired
from deepsynth_train.checkpoint.shards import unwrap_errors, write_shards

T = TypeVar("T")
WriteModel = Callable[[Path, dict[str, Any]], None]


@dataclass(frozen=True)
class Snapshot:
    """Everything to save of one step.

    tensors: {"model": ..., "optimizer": ...} from `gather_tensors`, DTensors included, with the same keys on every
        rank; copied before `save` returns, so training may continue at once.
    state: the trainer's own counters as JSON, the same on every rank; rank 0 writes it.
    metrics: the curve so far, one JSON object per step or evaluation; rank 0 writes it.
    loss: validation loss at this step, None when it was not evaluated yet.
    write_model: called on rank 0, in a thread, with (folder, copy of tensors["model"]); writes what
        `from_pretrained` opens. None: no model folder.
    """

    tensors: Mapping[str, Any]
    state: Mapping[str, Any]
    metrics: Sequence[Mapping[str, Any]] = ()
    loss: float | None = None
    write_model: WriteModel | None = None


@dataclass(frozen=True)
class Target:
    """Where to save, for which attempt, and which checkpoints to keep."""

    folder: Path
    uri: str
    owner: Owner
    keep_last: int
    keep_best: bool


def save_step(target: Target, step: int, snapshot: Snapshot, ranks: Ranks) -> None:
    """Commit one checkpoint. Called by all ranks; an error on any of them is raised on all.

    Wherever this fails or is killed, earlier checkpoints stay unchanged, and this one is either complete or absent.
    """
    staging = target.folder / staging_name(step, target.owner.attempt)
    _together(ranks, staging, lambda: _prepare(staging) if ranks.is_first else None)
    digests = _together(ranks, staging, lambda: _write_files(staging, snapshot, ranks))
    files = sorted((file for part in ranks.gather(digests) for file in part), key=lambda file: file.path)
    manifest = CheckpointManifest(
        step=step,
        time=format_now(),
        attempt=target.owner.attempt,
        world_size=ranks.size,
        fingerprint=target.owner.fingerprint,
        loss=snapshot.loss,
        files=tuple(files),
    )
    _together(ranks, staging, lambda: _commit(target, staging, manifest) if ranks.is_first else None)


def _together(ranks: Ranks, staging: Path, action: Callable[[], T]) -> T:
    """Run `action` on every rank; an error on any is raised on all, after the staging folder is removed."""
    result: T | None = None
    failure: BaseException | None = None
    try:
        result = action()
    except BaseException as error:  # noqa: BLE001 - torch's CheckpointException is a BaseException, and peers wait
        failure = _explain(error, staging)
    try:
        ranks.agree(failure)
    except BaseException:
        if ranks.is_first:
            shutil.rmtree(staging, ignore_errors=True)
        raise
    return result  # type: ignore[return-value]  # None only after an error, which agree has raised


def _prepare(staging: Path) -> None:
    if staging.exists():
        shutil.rmtree(staging)
    staging.mkdir()


def _write_files(staging: Path, snapshot: Snapshot, ranks: Ranks) -> list[FileDigest]:
    written = write_shards(dict(snapshot.tensors), staging / SHARDS, ranks)
    if ranks.is_first:
        written += _write_first_rank_files(staging, snapshot)
    return sync_and_digest(staging, written)


def _write_first_rank_files(staging: Path, snapshot: Snapshot) -> list[Path]:
    (staging / STATE_FILE).write_text(json.dumps(snapshot.state))
    (staging / METRICS_FILE).write_text("".join(json.dumps(line) + "\n" for line in snapshot.metrics))
    if snapshot.write_model:
        (staging / MODEL).mkdir()
        snapshot.write_model(staging / MODEL, snapshot.tensors["model"])
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


def publish_pointers(target: Target) -> list[CheckpointRecord]:
    """Update `latest` and `best`, then delete expired checkpoints."""
    records = list_records(target)
    write_file_atomically(target.folder / LATEST, step_name(records[0].step).encode())
    if best := find_best(records):
        write_file_atomically(target.folder / BEST, step_name(best.step).encode())
    for step in select_expired(records, keep_last=target.keep_last, keep_best=target.keep_best):
        _delete(target, step)
    return list_records(target)


def save_evaluation(target: Target, step: int, evaluation: Evaluation) -> str | None:
    """Add the evaluation to a committed checkpoint. Called on rank 0. Returns a note when it cannot be written.

    That is not an error: an attempt that resumes from the checkpoint evaluates it again.
    """
    root = target.folder / step_name(step)
    try:
        check_ownership(target.folder, target.owner)
        if root.is_dir():  # else it was deleted or never committed, and must not be created by this file
            write_evaluation(root, evaluation)
            publish_pointers(target)
    except (OSError, WorkloadError) as error:
        return f"the evaluation of step {step} was not stored: {error}"
    return None


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
    doomed = target.folder / staging_name(step, target.owner.attempt)
    (target.folder / step_name(step)).rename(doomed)
    shutil.rmtree(doomed)


def _explain(error: BaseException, staging: Path) -> BaseException:
    """A full or failing disk as an error that says what to do; any other error unchanged."""
    cause = _find_os_error(error)
    if isinstance(error, WorkloadError) or cause is None:
        return error
    if cause.errno in (errno.ENOTEMPTY, errno.EEXIST):
        return InternalError(f"{cause.filename2 or cause.filename} exists already: two attempts are saving at once")
    what = "the disk is full" if cause.errno in (errno.ENOSPC, errno.EDQUOT) else cause.strerror
    return TemporaryError(
        f"spec.checkpoint.uri: cannot write to {staging.parent}: {what} ({free_bytes(staging.parent):,} bytes free); "
        "free some space or lower spec.checkpoint.keepLast; earlier checkpoints are intact",
        reason=Reason.CHECKPOINT_NOT_SAVED,
    )


def _find_os_error(error: BaseException) -> OSError | None:
    """The first OSError in the chain of causes."""
    for inner in unwrap_errors(error):
        if isinstance(inner, OSError):
            return inner
        if inner.__cause__ and (found := _find_os_error(inner.__cause__)):
            return found
    return None
