"""datasets.json: which revisions of its datasets and its model a run reads, on every node and in every attempt, and
what else the first attempt found that later ones repeat.

A branch moves, and a folder can be rewritten. The controller pins the revisions that a report names, but an attempt can
die before its first report. So the revisions are also stored next to the checkpoints that were trained on them.

They hold as long as there is a checkpoint. Before the first one they hold for later attempts of the same run only: a
user who repairs the data, deletes the resource and applies it again gets the repaired data.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from deepsynth_api.errors import ConfigurationError, DataError
from deepsynth_api.reasons import Reason
from deepsynth_api.v1alpha1.training_run_status import PinnedDataset
from deepsynth_api.workload import TrainWorkload, WorkloadDataset
from deepsynth_store import MANIFEST, DatasetFolder, open_dataset
from deepsynth_store.core.uri import is_pinned, is_remote, is_repository
from deepsynth_train.checkpoint.files import RunFiles
from deepsynth_train.checkpoint.layout import PINS_FILE
from deepsynth_train.checkpoint.owner import Owner


@dataclass(frozen=True)
class Pins:
    """datasets: revisions by name. model: the commit of a model on the Hub, or its digest in an object store; None for
    others.

    holdout_percent: of the documents of datasets without a validation split. micro_batch_size: the one that
    spec.microBatchSize `auto` chose; None if it is a number.
    """

    datasets: dict[str, str] = field(default_factory=dict)
    model: str | None = None
    holdout_percent: int = 0
    micro_batch_size: int | None = None


def resolve_datasets(
    workload: TrainWorkload, checkpoints: RunFiles, *, open_at: Callable[..., DatasetFolder] = open_dataset
) -> list[PinnedDataset]:
    """Each dataset with the commit or digest to read: the one `checkpoints` were trained on, else the present one.

    open_at: called as open_dataset is, with a URI, a revision and `field`.
    Raises DataError when a folder no longer holds what was pinned, and the errors of opening a dataset.
    """
    pins = read_pins(checkpoints, Owner.of(workload)).datasets
    return [_resolve(dataset, pins.get(dataset.name, dataset.revision), open_at) for dataset in workload.datasets]


def apply_pins(workload: TrainWorkload, pinned: Sequence[PinnedDataset]) -> TrainWorkload:
    """The document with each dataset's branch replaced by its pinned revision."""
    pairs = zip(workload.datasets, pinned, strict=True)
    return workload.updated(datasets=[dataset.updated(revision=pin.revision) for dataset, pin in pairs])


def resolve_model(
    workload: TrainWorkload, checkpoints: RunFiles, *, open_at: Callable[..., DatasetFolder] = open_dataset
) -> str | None:
    """The commit of spec.model to load: the one that `checkpoints` were trained on, else the present one. For an object
    store, the digest of its files.

    The revision as it is for a model in a folder, or while HF_HUB_OFFLINE is set: then the cache decides,
    and the hash in the checkpoints still shows a change.
    """
    revision = read_pins(checkpoints, Owner.of(workload)).model or workload.model.revision
    if not is_remote(workload.model.uri) or is_pinned(revision):
        return revision
    if is_repository(workload.model.uri):
        from huggingface_hub import constants  # takes half a second to import

        if constants.HF_HUB_OFFLINE:
            return revision
    return open_at(workload.model.uri, revision, field="spec.model.uri").revision


def resolve_holdout(workload: TrainWorkload, checkpoints: RunFiles) -> int:
    """Percentage of the documents to hold out: what `checkpoints` were trained with, else what the spec says.

    Runs of before there was a holdout continue without one: their data must not change in the middle.
    """
    if not checkpoints.list_steps():
        return workload.evaluation.holdout_percent
    return int(_read_document(checkpoints).get("holdoutPercent", 0))


def find_micro_batch_size(workload: TrainWorkload, checkpoints: RunFiles) -> int | None:
    """What spec.microBatchSize `auto` chose in an earlier attempt; None if nothing was chosen yet."""
    return read_pins(checkpoints, Owner.of(workload)).micro_batch_size


def pin_model(workload: TrainWorkload, revision: str | None) -> TrainWorkload:
    """The document with the model's branch replaced by a commit."""
    return workload.updated(model=workload.model.updated(revision=revision)) if revision else workload


def read_pins(checkpoints: RunFiles, owner: Owner) -> Pins:
    """What `owner` must read.

    Empty when `checkpoints` belongs to other settings, or when it holds no checkpoint and the pins are not of an
    earlier attempt of the same run.
    """
    document = _read_document(checkpoints)
    is_of_earlier_attempt = (owner.attempt, owner.restart) > (1, 0) and document.get("runUid") == owner.run_uid
    # A run may change its number of steps, and with it the fingerprint; what it reads stays.
    if not document or (document["fingerprint"] != owner.fingerprint and not is_of_earlier_attempt):
        return Pins()
    if not is_of_earlier_attempt and not checkpoints.list_steps():
        return Pins()
    return Pins(document["revisions"], document["model"], document["holdoutPercent"], document.get("microBatchSize"))


def _read_document(checkpoints: RunFiles) -> dict[str, Any]:
    """datasets.json; empty if there is none."""
    try:
        content = checkpoints.read(PINS_FILE)
        if content is None:
            return {}
        document = json.loads(content)
        return {
            "fingerprint": str(document["fingerprint"]),
            "runUid": document.get("runUid"),
            "revisions": {str(name): str(revision) for name, revision in dict(document["revisions"]).items()},
            "model": None if (model := document.get("model")) is None else str(model),
            "holdoutPercent": int(document.get("holdoutPercent", 0)),
            **_read_micro_batch_size(document),
        }
    except NotADirectoryError as error:
        raise ConfigurationError(
            f"spec.checkpoint.uri: {checkpoints.place} must be a folder, but it or a part of its path is a file",
            reason=Reason.CHECKPOINT_FOLDER_UNUSABLE,
        ) from error
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError) as error:
        raise ConfigurationError(
            f"spec.checkpoint.uri: {checkpoints.place}/{PINS_FILE} cannot be parsed ({error}); choose another folder",
            reason=Reason.CHECKPOINT_FOLDER_UNUSABLE,
        ) from error


def _read_micro_batch_size(document: Mapping[str, Any]) -> dict[str, int]:
    """Empty if none was chosen. A user may have lowered it."""
    size = document.get("microBatchSize")
    if size is None:
        return {}
    if not isinstance(size, int) or size < 1:
        raise ValueError(f"microBatchSize must be an integer of at least 1, got {size!r}")
    return {"microBatchSize": size}


def write_pins(
    checkpoints: RunFiles,
    owner: Owner,
    pinned: Sequence[PinnedDataset],
    model: str | None = None,
    holdout: int = 0,
    *,
    micro_batch_size: int | None = None,
) -> None:
    """Store the revisions, that of the model, the percentage to hold out, and a micro-batch size that was chosen.

    Raises PeerLostError when a later attempt owns the folder.
    """
    document: dict[str, Any] = {
        "fingerprint": owner.fingerprint,
        "runUid": owner.run_uid,
        "revisions": {pin.name: pin.revision for pin in pinned if pin.revision},
        "model": model,
        "holdoutPercent": holdout,
    }
    if micro_batch_size is not None:
        document["microBatchSize"] = micro_batch_size
    if _read_document(checkpoints) == document:
        return
    checkpoints.check_ownership(owner)
    checkpoints.write(PINS_FILE, json.dumps(document, indent=1).encode())


def _resolve(dataset: WorkloadDataset, revision: str | None, open_at: Callable[..., DatasetFolder]) -> PinnedDataset:
    folder = open_at(dataset.uri, revision, field=f"spec.datasets[{dataset.name}].uri")
    return PinnedDataset(name=dataset.name, uri=dataset.uri, revision=folder.revision, rows=_count_documents(folder))


def _count_documents(folder: DatasetFolder) -> int | None:
    """The document count in deepsynth/manifest.json; None for a dataset that DeepSynth did not render."""
    if not any(file.path == MANIFEST for file in folder.list_files(MANIFEST)):
        return None
    try:
        manifest: Any = json.loads(folder.read(MANIFEST))
    except (ValueError, RecursionError) as error:
        raise DataError(f"{folder.uri}/{MANIFEST} is not JSON ({error}); publish the dataset again") from error
    count = manifest.get("documents") if isinstance(manifest, Mapping) else None
    return count if type(count) is int else None
