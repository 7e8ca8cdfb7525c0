"""What the trainer hands over to save one step, before anything says where it is stored."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from deepsynth_train.checkpoint.manifest import BaseReference, CheckpointManifest, FileDigest, format_now
from deepsynth_train.checkpoint.owner import Owner
from deepsynth_train.checkpoint.state.parts import Part
from deepsynth_train.checkpoint.state.tensor_files import StoredTensor
from deepsynth_train.checkpoint.state.trained import Trained

WriteModel = Callable[[Path, dict[str, torch.Tensor]], None]


@dataclass(frozen=True)
class Snapshot:
    """Everything to save of one step.

    trained: the module and its optimizer; each rank's part is copied before `save` returns, so training may continue
        at once.
    state: the trainer's own counters as JSON, the same on every rank; rank 0 writes it.
    metrics: the curve so far, one JSON object per step or evaluation; rank 0 writes it.
    loss: validation loss at this step, None when it was not evaluated yet.
    write_model: called on rank 0, in a thread, with a folder and the trained weights and buffers by name, read from
        the files just written; writes what `from_pretrained` opens. None: no model folder.
    """

    trained: Trained
    state: Mapping[str, Any]
    metrics: Sequence[Mapping[str, Any]] = ()
    loss: float | None = None
    write_model: WriteModel | None = None


@dataclass(frozen=True)
class Content:
    """A snapshot that training cannot change any more. parts: what this rank writes. values: not tensors, by name."""

    parts: Sequence[Part]
    values: Mapping[str, Any]
    state: Mapping[str, Any]
    metrics: Sequence[Mapping[str, Any]]
    loss: float | None
    base: BaseReference | None
    write_model: WriteModel | None


@dataclass(frozen=True)
class Written:
    """By one rank: its file, none if it has no part, and the tensors in it."""

    files: Sequence[FileDigest] = ()
    tensors: Mapping[str, StoredTensor] = field(default_factory=dict)


def build_manifest(
    step: int, owner: Owner, content: Content, world_size: int, files: Sequence[FileDigest]
) -> CheckpointManifest:
    return CheckpointManifest(
        step=step,
        time=format_now(),
        attempt=owner.number,
        world_size=world_size,
        fingerprint=owner.fingerprint,
        loss=content.loss,
        files=tuple(sorted(files, key=lambda file: file.path)),
        base=content.base,
    )
