"""Which files of a dataset belong to a split. Pure."""

import json
import re
from collections.abc import Iterable, Sequence
from pathlib import PurePosixPath
from typing import Final

from deepsynth_api.errors import DataError
from deepsynth_store import MANIFEST, DatasetFolder

VALIDATION: Final = "validation"


def list_split_files(folder: DatasetFolder, split: str, field: str) -> list[str]:
    """Paths of the parquet files of `split`, sorted; a manifest decides what there must be.

    Raises DataError, naming `field` and the splits that exist, when there is none.
    """
    present = _list_paths(folder)
    found = select_split_files(present, split)
    if not found:
        known = ", ".join(sorted(find_splits(present))) or "none"
        optional = field.endswith(".validationSplit")
        remedy = 'name one of them, or write "" to measure on none' if optional else "name one of them"
        raise DataError(f"{field}: {folder.uri} has no parquet files of split {split!r}; its splits: {known}; {remedy}")
    return found


def choose_validation_split(folder: DatasetFolder, wanted: str | None) -> str:
    """The split to measure on: the wanted one, else `validation` where the dataset has it, else "" for none."""
    if wanted is not None:
        return wanted
    return VALIDATION if select_split_files(_list_paths(folder), VALIDATION) else ""


def select_split_files(paths: Iterable[str], split: str) -> list[str]:
    """`data/train-00000.parquet`, `train.parquet` and `config/train/0000.parquet` are all of split train."""
    return sorted(path for path in paths if split in _read_split(PurePosixPath(path)))


def find_splits(paths: Iterable[str]) -> set[str]:
    return {name for path in paths for name in _read_split(PurePosixPath(path))[:1]}


def _list_paths(folder: DatasetFolder) -> list[str]:
    present = [file.path for file in folder.list_files()]
    if MANIFEST in present:
        present = [str(file["path"]) for file in json.loads(folder.read(MANIFEST))["files"]]
    return present


def _read_split(path: PurePosixPath) -> Sequence[str]:
    """Names that may be the file's split, the likeliest first; empty when it is no parquet file."""
    if path.suffix != ".parquet":
        return ()
    name = re.sub(r"(-[0-9]+)+(-of-[0-9]+)?(-[0-9a-f]{8,})?$", "", path.stem)
    numbered = re.fullmatch(r"[0-9]+", name)
    return (path.parent.name,) if numbered else (name,)
