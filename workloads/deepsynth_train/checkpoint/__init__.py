"""Checkpoints that can be trusted: staged, hashed, committed by one rename, verified before they are read.

folder/
  owner.json                    the run, its fingerprint and the attempt that may commit here
  datasets.json                 the revisions that the checkpoints were trained on (deepsynth_train/pins.py)
  step-120/                     a committed checkpoint
    shards/                     model and optimizer, torch.distributed.checkpoint format, resharded on load
    model/                      what `from_pretrained` opens
    state.json  metrics.jsonl   the trainer's own state; the curve up to here
    manifest.json               size and sha256 of every other file, written last
  step-160.tmp-attempt-3/       a save that is not finished; of no value to anyone
  step-80.corrupt-attempt-3/    failed verification while attempt 3 loaded
  latest  best                  names of folders, for people and tools; the manifests decide

Importing the package is cheap, because the launcher does: torch is loaded with the first name from here.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from deepsynth_train.checkpoint.folder import CheckpointFolder, open_checkpoint_folder
    from deepsynth_train.checkpoint.load import Loaded
    from deepsynth_train.checkpoint.manifest import CheckpointRecord
    from deepsynth_train.checkpoint.owner import Owner
    from deepsynth_train.checkpoint.save import Snapshot
    from deepsynth_train.checkpoint.shards import apply_tensors, gather_tensors

_MODULES = {
    "CheckpointFolder": "folder",
    "CheckpointRecord": "manifest",
    "Loaded": "load",
    "Owner": "owner",
    "Snapshot": "save",
    "apply_tensors": "shards",
    "gather_tensors": "shards",
    "open_checkpoint_folder": "folder",
}

__all__ = [
    "CheckpointFolder",
    "CheckpointRecord",
    "Loaded",
    "Owner",
    "Snapshot",
    "apply_tensors",
    "gather_tensors",
    "open_checkpoint_folder",
]


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        from importlib import import_module

        return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
