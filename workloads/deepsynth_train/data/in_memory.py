"""A datasets.Dataset from a notebook as the parquet files that everything else reads."""

import hashlib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from deepsynth_api.errors import DataError


def read_fingerprint(splits: Mapping[str, Any]) -> str:
    """Names the content, equal in all processes. Raises DataError for what is no Dataset."""
    from datasets import Dataset

    for split in splits.values():
        if not isinstance(split, Dataset):
            raise DataError(f"train() takes a datasets.Dataset, a DatasetDict or a folder, not {type(split).__name__}")
    if "train" not in splits:
        raise DataError("train() needs a split named train")
    text = "\0".join(f"{name} {split._fingerprint}" for name, split in sorted(splits.items()))  # noqa: SLF001 - has no public name
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def write_dataset(dataset: Any, target: Path) -> None:
    """Write one parquet file with the bytes of every picture, unless it is there."""
    from datasets import Image

    if target.exists():
        return
    if isinstance(dataset.features.get("image"), Image):
        dataset = dataset.cast_column("image", Image(decode=False)).map(_embed)
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_suffix(".partial")
    dataset.to_parquet(str(partial))
    os.utime(partial, (0, 0))  # the file's time is part of a folder's revision, and the content alone counts here
    partial.rename(target)


def _embed(row: dict[str, Any]) -> dict[str, Any]:
    """A picture that is only named becomes its bytes."""
    image = row["image"]
    if image["bytes"] is None and image["path"]:
        image = {"bytes": Path(image["path"]).read_bytes(), "path": None}
    return {**row, "image": image}
