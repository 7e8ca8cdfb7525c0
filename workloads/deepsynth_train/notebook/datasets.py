"""What `data` may be, and how each form becomes pages.

"hf://OWNER/NAME"                   a dataset of parquet files on the Hub
"pages"                             a folder: parquet files, or images with a metadata.csv or metadata.jsonl
datasets.Dataset, DatasetDict       with a column of images and one of text
[(image, text), ...]                image: a file, a PIL image, an array or encoded bytes
{"train": ..., "validation": ...}   one of the last two per split
"""

import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Final

from deepsynth_api.errors import DataError
from deepsynth_train.data.files.columns import LABEL_COLUMNS, PAGE_COLUMNS, Task, find_other_task, list_likely
from deepsynth_train.data.files.in_memory import Pages, Row
from deepsynth_train.notebook.arguments import expand_path
from deepsynth_train.notebook.image_files import (
    NUMBERS,
    encode_image,
    fingerprint_image,
    list_folders,
    read_image_folder,
    read_number,
)

Splits = Mapping[str, Pages]

_VALIDATION_NAMES: Final = frozenset({"dev", "eval", "evaluation", "val", "valid"})
FORMS: Final = (
    "a folder, hf://OWNER/NAME, a datasets.Dataset or DatasetDict, a list of (image, text) pairs, or a dict of splits"
)


def read_data(data: Any, task: Task, splits: Sequence[str]) -> str | Splits:
    """A URI of parquet files, or the pages of each of the wanted `splits` that exists.

    The first of `splits` must exist. Raises DataError, naming the columns, when one that `task` needs is missing.
    """
    if isinstance(data, str | Path):
        return _read_place(data, task, splits)
    parts = dict(data) if isinstance(data, Mapping) else {splits[0]: data}
    if splits[0] not in parts:
        raise DataError(f"data: no split {splits[0]!r}; its splits are {', '.join(map(str, parts))}; set train_split")
    return {name: _read_part(parts[name], task, name) for name in splits if name in parts}


def check_splits(data: Any, train: str, validation: str) -> None:
    """Raise DataError for a split that training would ignore although it was probably meant to be used.

    A DatasetDict may hold further splits; `test` is for later.
    """
    names = [str(name) for name in data] if isinstance(data, Mapping) else list_folders(data)
    if train not in names:
        return  # reading it says more
    unused = [name for name in names if name not in {train, validation, "test"}]
    if validation not in names and (near := _find_validation(unused, validation)):
        raise DataError(
            f"data: the split {near!r} is not used, and there is no split {validation!r}; set validation_split={near!r}"
        )
    if type(data) is dict and unused:
        raise DataError(
            f"data: the split {unused[0]!r} is not used; remove it, or name it with train_split or validation_split"
        )


def _find_validation(names: Sequence[str], validation: str) -> str | None:
    """The split that is probably meant for evaluation."""
    near = get_close_matches(validation, names, n=1)
    return next((name for name in names if name.lower() in _VALIDATION_NAMES), near[0] if near else None)


def _read_place(data: str | Path, task: Task, splits: Sequence[str]) -> str | Splits:
    text = str(data)
    if match := re.fullmatch(r"hf://(?!buckets/)(?:datasets/)?(.+)", text):
        return f"hf://datasets/{match[1]}"
    uri = expand_path(data)
    folder = Path(uri.removeprefix("file://"))
    if not uri.startswith("file://"):
        return uri
    if folder.is_file():
        raise DataError(
            f"data: {folder} is a file; give {FORMS}. A DatasetGeneration draws the pages of a file of texts "
            "(docs/tasks/own-texts.md)"
        )
    if not folder.is_dir():
        raise DataError(f"data: no folder {folder}; give {FORMS}")
    if next(folder.rglob("*.parquet"), None):
        return uri
    return read_image_folder(folder, task, splits)


def _read_part(part: Any, task: Task, split: str) -> Pages:
    if hasattr(part, "features"):
        return _read_dataset(part, task, split)
    if isinstance(part, str | Path):
        found = _read_place(part, task, [split])
        if isinstance(found, str):
            raise DataError(
                f"data[{split!r}]: a dict of splits takes pairs, datasets and folders of images; got {part}"
            )
        return found[split]
    if isinstance(part, Sequence):
        return _read_pairs(part, task, split)
    raise DataError(f"data: must be {FORMS}; got {type(part).__module__}.{type(part).__name__}")


def _read_pairs(pairs: Sequence[Any], task: Task, split: str) -> Pages:
    for number, pair in enumerate(pairs):
        if not (isinstance(pair, tuple | list) and len(pair) == 2 and isinstance(pair[1], str)):
            raise DataError(f"data: item {number} of {split} must be a pair (image, text), got {type(pair).__name__}")
    if not pairs:
        raise DataError(f"data: the list of {split} pairs is empty")
    pairs = [(_make_absolute(image), text) for image, text in pairs]
    digest = hashlib.sha256()
    for number, (image, text) in enumerate(pairs):
        digest.update(f"{fingerprint_image(image, f'item {number} of {split}')}\0{text}\0".encode())

    def read_rows() -> Iterator[Row]:
        for number, (image, text) in enumerate(pairs):
            yield {"image": encode_image(image, f"item {number} of {split}"), LABEL_COLUMNS[task]: text}

    return Pages(digest.hexdigest(), ("image", LABEL_COLUMNS[task]), read_rows)


def _make_absolute(image: Any) -> Any:
    """Images are read when training starts, perhaps from another working directory."""
    return Path(image).expanduser().resolve() if isinstance(image, str | Path) else image


def _read_dataset(dataset: Any, task: Task, split: str) -> Pages:
    """A datasets.Dataset. Its fingerprint covers the content and all transformations."""
    from datasets import Image, Value

    if not hasattr(dataset, "_fingerprint"):
        raise DataError("data: a streamed dataset has no fixed rows; load it without streaming=True")
    check_columns(dataset.column_names, task, f"data ({split} split)")
    kind = dataset.features["image"]
    if isinstance(kind, Value) and kind.dtype not in {"binary", "large_binary"}:
        raise DataError(
            "data: the column 'image' holds text, not images; if these are paths, use "
            'dataset.cast_column("image", datasets.Image())'
        )
    columns = tuple(name for name in PAGE_COLUMNS if name in dataset.column_names)
    chosen = dataset.select_columns(list(columns))
    if isinstance(kind, Image):
        chosen = chosen.cast_column("image", Image(decode=False))

    def read_rows() -> Iterator[Row]:
        for number, row in enumerate(chosen):
            yield {
                **_stringify(row, f"row {number} of {split}"),
                "image": encode_image(row["image"], f"row {number} of {split}"),
            }

    return Pages(str(dataset._fingerprint), columns, read_rows)  # noqa: SLF001 - no public name


def _stringify(row: Row, where: str) -> dict[str, Any]:
    """Labels and document ids as text, numbers of pages as numbers, as training reads them."""
    return {
        name: read_number(value, name, where) if name in NUMBERS else None if value is None else str(value)
        for name, value in row.items()
        if name != "image"
    }


def check_columns(columns: Sequence[str], task: Task, where: str) -> None:
    """Raise DataError, naming the columns and the remedy, unless there are an image and a label."""
    label = LABEL_COLUMNS[task]
    missing = next((name for name in ("image", label) if name not in columns), None)
    if missing is None:
        return
    likely = next(iter(list_likely(missing, columns)), "my_column")
    remedy = f'rename yours, as in dataset.rename_column("{likely}", "{missing}")'
    if missing == label and (other := find_other_task(task, columns)):
        remedy = f'set task="{other}" to use the column {LABEL_COLUMNS[other]!r}, or {remedy}'
    need = f", which task={task!r} needs" if missing == label else ""
    raise DataError(f"{where}: no column {missing!r}{need}; the columns are {', '.join(columns)}; {remedy}")
