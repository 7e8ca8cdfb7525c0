"""Images as users have them: files, PIL images, arrays; and folders of images with their texts in a metadata file.

The layout is that of `imagefolder` in the datasets library:

    pages/metadata.csv       file_name,text         or metadata.jsonl: {"file_name": "0001.png", "text": "..."}
    pages/0001.png           "0001.png","..."

With splits, pages/train/metadata.csv and pages/validation/metadata.csv.
"""

import csv
import hashlib
import io
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, TextIO

from deepsynth_api.errors import DataError
from deepsynth_train.data.files.columns import LABEL_COLUMNS, PAGE_COLUMNS, Task, find_other_task, list_likely
from deepsynth_train.data.files.in_memory import Pages, Row

METADATA: Final = ("metadata.csv", "metadata.jsonl")
FILE_NAME: Final = "file_name"
NUMBERS: Final = frozenset({"page", "num_pages"})
"""Columns of whole numbers; all others are text."""


def read_image_folder(folder: Path, task: Task, splits: Sequence[str]) -> dict[str, Pages]:
    """The pages of each split that has a metadata file; a metadata file in `folder` itself is the first split."""
    found = {split: path for split in splits if (path := _find_metadata(folder / split))}
    if metadata := _find_metadata(folder):
        found.setdefault(splits[0], metadata)
    if splits[0] not in found:
        if others := list_folders(folder):
            raise DataError(
                f"data: {folder} has no split {splits[0]!r}; its splits are {', '.join(others)}; set train_split"
            )
        raise DataError(
            f"data: {folder} has neither parquet files nor a metadata.csv; write one with the columns file_name and "
            f"{LABEL_COLUMNS[task]}, a line for each image"
        )
    return {split: _read_metadata(path, task) for split, path in found.items()}


def list_folders(data: Any) -> list[str]:
    """Names of the folders with images and their metadata in a folder: its splits. Empty for other data."""
    folder = Path(str(data).removeprefix("file://")).expanduser() if isinstance(data, str | Path) else None
    if folder is None or not folder.is_dir():
        return []
    return sorted(path.name for path in folder.iterdir() if path.is_dir() and _find_metadata(path))


def _find_metadata(folder: Path) -> Path | None:
    return next((folder / name for name in METADATA if (folder / name).is_file()), None)


def _read_metadata(metadata: Path, task: Task) -> Pages:
    rows = _read_lines(metadata)
    columns = tuple(dict.fromkeys(name for row in rows for name in row))
    for needed in (FILE_NAME, LABEL_COLUMNS[task]):
        if needed not in columns:
            other = find_other_task(task, columns) if needed != FILE_NAME else None
            hint = f'; set task="{other}" to use the column {LABEL_COLUMNS[other]!r}' if other else ""
            likely = list_likely("image" if needed == FILE_NAME else needed, columns)
            if not other and len(likely) == 1:
                hint = f"; if {likely[0]!r} holds that, rename it to {needed!r} in the file"
            raise DataError(
                f"data: {metadata} has no column {needed!r}; its columns are {', '.join(columns) or 'none'}; "
                f"task={task!r} needs file_name and {LABEL_COLUMNS[task]}{hint}"
            )
    digest = hashlib.sha256()
    for number, row in enumerate(rows):
        where = f"row {number} of {metadata}"
        if not row.get(FILE_NAME):
            raise DataError(f"data: {where}: file_name is empty")
        digest.update(json.dumps([row, fingerprint_image(metadata.parent / row[FILE_NAME], where)]).encode())

    def read_rows() -> Iterator[Row]:
        for number, row in enumerate(rows):
            image = encode_image(metadata.parent / row[FILE_NAME], f"row {number} of {metadata}")
            yield {"image": image, **{name: row.get(name) for name in kept}}

    kept = [name for name in PAGE_COLUMNS if name in columns and name != "image"]
    return Pages(digest.hexdigest(), ("image", *kept), read_rows)


def _read_lines(metadata: Path) -> list[dict[str, Any]]:
    try:
        with metadata.open(encoding="utf-8-sig", newline="") as file:
            if metadata.suffix == ".csv":
                found = list(_read_csv(file, metadata))
            else:
                found = [json.loads(line) for line in file if line.strip()]
        return [_convert(row, f"row {number} of {metadata}") for number, row in enumerate(found)]
    except (csv.Error, ValueError, AttributeError) as error:
        raise DataError(f"data: {metadata} cannot be read ({error}); save it as UTF-8") from error


def _read_csv(file: TextIO, metadata: Path) -> Iterator[dict[str, Any]]:
    reader = csv.DictReader(file)
    for row in reader:
        if None in row or None in row.values():
            raise DataError(
                f"data: line {reader.line_num} of {metadata} has more or fewer fields than its header "
                f"({len(reader.fieldnames or ())}); quote fields that hold commas"
            )
        yield row


def _convert(row: Mapping[str, Any], where: str) -> dict[str, Any]:
    """Numbers of pages as numbers, everything else as text. NaN is a missing value, as pandas writes it."""
    values = {name: None if value != value else value for name, value in row.items()}  # noqa: PLR0124 - NaN
    return {
        name: read_number(value, name, where) if name in NUMBERS else None if value is None else str(value)
        for name, value in values.items()
    }


def read_number(value: Any, name: str, where: str) -> int | None:
    """A cell of NUMBERS. Raises DataError, naming `where`, unless it is empty or a whole number, maybe as text."""
    if value is None or value == "":
        return None
    try:
        number = float(value)
        if number == int(number):
            return int(number)
    except (TypeError, ValueError, OverflowError):
        pass
    raise DataError(f"data: {where}: column {name!r} must hold whole numbers, got {value!r}; correct or remove it")


def fingerprint_image(image: Any, where: str) -> str:
    """Changes when the image changes; of a file, its path, size and time. Raises DataError if it is not an image."""
    if isinstance(image, str | Path):
        path = Path(image).expanduser().resolve()
        if not path.is_file():
            raise DataError(f"data: {where}: no file {path}")
        status = path.stat()
        return f"{path} {status.st_size} {status.st_mtime_ns}"
    return hashlib.sha256(encode_image(image, where)).hexdigest()


def encode_image(image: Any, where: str) -> bytes:
    """The encoded image: the file as it is; PIL images and arrays as PNG."""
    if isinstance(image, Mapping):  # an undecoded cell of the datasets library
        image = image.get("bytes") or image.get("path")
    if isinstance(image, bytes):
        return image
    if isinstance(image, str | Path):
        try:
            return Path(image).expanduser().read_bytes()
        except OSError as error:
            raise DataError(f"data: {where}: {image} cannot be read: {error.strerror or error}") from error
    if hasattr(image, "__array_interface__") and not hasattr(image, "save"):
        image = _from_array(image, where)
    if not hasattr(image, "save"):
        raise DataError(f"data: {where}: must be a file, a PIL image, an array or bytes, got {type(image).__name__}")
    buffer = io.BytesIO()
    (image if image.mode != "CMYK" else image.convert("RGB")).save(buffer, "PNG")
    return buffer.getvalue()


def _from_array(array: Any, where: str) -> Any:
    from PIL import Image

    try:
        return Image.fromarray(array)
    except (TypeError, ValueError) as error:
        raise DataError(f"data: {where}: an array must be (H, W) or (H, W, 3), uint8; got {array.shape}") from error
