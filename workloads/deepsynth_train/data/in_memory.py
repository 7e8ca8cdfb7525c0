"""A datasets.Dataset of a notebook -> the parquet files that the rest of the trainer reads."""

import hashlib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from deepsynth_api.errors import DataError


def read_fingerprint(splits: Mapping[str, Any]) -> str:
    """A name for the content, the same in all processes. Raises DataError for anything but a Dataset."""
    from datasets import Dataset

    for split in splits.values():
        if not isinstance(split, Dataset):
            raise DataError(f"train(): needs a datasets.Dataset, DatasetDict or folder, got {type(split).__name__}")
    if "train" not in splits:
        raise DataError("train(): the DatasetDict has no split named train; add it")
    text = "\0".join(f"{name} {split._fingerprint}" for name, split in sorted(splits.items()))  # noqa: SLF001 - no public name
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def write_dataset(dataset: Any, target: Path) -> None:
    """Write one parquet file that holds the bytes of every image. Does nothing if it exists."""
    from datasets import Image

    if target.exists():
        return
    if isinstance(dataset.features.get("image"), Image):
        dataset = dataset.cast_column("image", Image(decode=False)).map(_embed)
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_suffix(".partial")
    dataset.to_parquet(str(partial))
    os.utime(partial, (0, 0))  # a folder's revision includes file times; here only the content matters
    partial.rename(target)


def _embed(row: dict[str, Any]) -> dict[str, Any]:
    """Replace the path of an image with its bytes."""
    image = row["image"]
    if image["bytes"] is None and image["path"]:
        image = {"bytes": Path(image["path"]).read_bytes(), "path": None}
    return {**row, "image": image}
