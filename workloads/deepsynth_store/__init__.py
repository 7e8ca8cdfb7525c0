"""Where bytes are stored: the Hugging Face Hub, volumes and folders, behind one interface.

Start at `entry` (open a dataset or a target, fetch or publish a folder) and `core.interface` (what one can do with
them), which `hub` and `folder` implement. `core.atomic` and `core.download` also serve the renderer and the trainer
for their own files.
What a dataset or a checkpoint contains does not belong here: the store knows paths, sizes and hashes.
"""

from deepsynth_store.core.interface import (
    MANIFEST,
    README,
    DatasetFolder,
    DatasetTarget,
    OnBytes,
    OnWait,
    Published,
    StoredFile,
    Waiting,
)
from deepsynth_store.entry import fetch_folder, open_dataset, open_target, publish_folder

__all__ = [
    "MANIFEST",
    "README",
    "DatasetFolder",
    "DatasetTarget",
    "OnBytes",
    "OnWait",
    "Published",
    "StoredFile",
    "Waiting",
    "fetch_folder",
    "open_dataset",
    "open_target",
    "publish_folder",
]
