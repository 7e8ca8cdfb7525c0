"""Where bytes live: the Hugging Face Hub, volumes and folders, behind one interface."""

from deepsynth_store.finished_folder import publish_folder
from deepsynth_store.interface import (
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
from deepsynth_store.opening import open_dataset, open_target

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
    "open_dataset",
    "open_target",
    "publish_folder",
]
