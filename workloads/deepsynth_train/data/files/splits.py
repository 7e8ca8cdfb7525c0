"""Which parquet files of a dataset belong to a split."""

import re
from collections.abc import Iterable, Sequence
from pathlib import PurePosixPath
from typing import Final

from deepsynth_api.errors import DataError
from deepsynth_store import MANIFEST, DatasetFolder
from deepsynth_store.core.file_listing import parse_manifest
from deepsynth_store.core.interface import OWN_FOLDER

VALIDATION: Final = "validation"


def list_split_files(folder: DatasetFolder, split: str, field: str) -> list[str]:
    """Paths of the parquet files of `split`, sorted; from the manifest, if there is one.

    Raises DataError, naming `field` and the existing splits, when there is no file.
    """
    present = _list_paths(folder)
    found = select_split_files(present, split)
    if not found:
        if not any(path.endswith(".parquet") for path in present):
            raise DataError(
                f"{field}: {folder.uri} has no parquet files; render it with a DatasetGeneration, or write its pages "
                "to parquet with the columns image and text (folders of images are read by the Python entry)"
            )
        known = ", ".join(sorted(find_splits(present)))
        optional = field.endswith(".validationSplit")
        remedy = 'name one of them, or write "" for no evaluation' if optional else "name one of them"
        raise DataError(f"{field}: {folder.uri} has no split {split!r}; its splits are {known}; {remedy}")
    return found


def choose_validation_split(folder: DatasetFolder, wanted: str | None) -> str:
    """The split to evaluate on: the requested one, else `validation` if the dataset has it, else "" for none."""
    if wanted is not None:
        return wanted
    return VALIDATION if select_split_files(_list_paths(folder), VALIDATION) else ""


def has_split(folder: DatasetFolder, split: str) -> bool:
    return bool(select_split_files(_list_paths(folder), split))


def select_split_files(paths: Iterable[str], split: str) -> list[str]:
    """`data/train-00000.parquet`, `train.parquet` and `config/train/0000.parquet` all belong to split train."""
    return sorted(path for path in paths if split in _read_split(PurePosixPath(path)))


def find_splits(paths: Iterable[str]) -> set[str]:
    return {name for path in paths for name in _read_split(PurePosixPath(path))[:1]}


def _list_paths(folder: DatasetFolder) -> list[str]:
    present = [file.path for file in folder.list_files()]
    listed = [*parse_manifest(folder.read(MANIFEST), folder.uri)] if MANIFEST in present else present
    return [path for path in listed if not path.startswith(OWN_FOLDER)]


def _read_split(path: PurePosixPath) -> Sequence[str]:
    """Possible split names of the file, the most likely first; empty for other files than parquet."""
    if path.suffix != ".parquet":
        return ()
    name = re.sub(r"(-[0-9]+)+(-of-[0-9]+)?(-[0-9a-f]{8,})?$", "", path.stem)
    numbered = re.fullmatch(r"[0-9]+", name)
    return (path.parent.name,) if numbered else (name,)
