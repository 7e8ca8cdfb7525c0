"""A shard's receipt: staged after the shard's files, it proves that they are complete and lists what is in them."""

from typing import Literal

from pydantic import Field, ValidationError

from deepsynth_api.v1alpha1.dataset_generation_status import DroppedRows
from deepsynth_api.v1alpha1.shared.base import ApiModel
from deepsynth_render.documents.dataset_manifest import ManifestFile, ManifestStyle
from deepsynth_render.documents.dropped_rows import shard_dropped_path
from deepsynth_render.documents.page_text import PageText
from deepsynth_store import DatasetTarget, StoredFile


class Receipt(ApiModel):
    """plan: the digest that names the staging area. files: by their paths in the dataset, which are their staging paths
    too. rows_sha256: of the planned rows that were rendered.

    dropped_sha256: of the staged file of dropped rows, if there are any. It, rows_sha256, page_text and styles are
    unset in the receipts of earlier versions.
    """

    version: Literal[1] = 1
    plan: str
    shard: int
    split: str
    rows_sha256: str | None = None
    documents: int
    pages: int
    size: int
    dropped: list[DroppedRows] = Field(default_factory=list)
    dropped_sha256: str | None = None
    replaced_characters: int = 0
    page_text: PageText | None = None
    styles: list[ManifestStyle] = Field(default_factory=list)
    files: list[ManifestFile]

    def to_json(self) -> bytes:
        return self.model_dump_json(by_alias=True, exclude_none=True).encode()


def receipt_path(shard: int) -> str:
    """Staging path."""
    return f"receipts/{shard:05d}.json"


def data_path(split: str, shard: int, number: int) -> str:
    """Path of a shard's file, both in staging and in the dataset; number counts the shard's files from 0.

    >>> data_path("train", 12, 0), data_path("train", 12, 1)
    ('data/train-00012.parquet', 'data/train-00012-1.parquet')
    """
    return f"data/{split}-{shard:05d}{f'-{number}' if number else ''}.parquet"


def find_receipt(target: DatasetTarget, staging: str, shard: int, rows_sha256: str) -> Receipt | None:
    """The receipt of a shard, if it is one of these rows and the files that it lists are staged."""
    path = receipt_path(shard)
    if not target.list_staged(path):
        return None
    receipt = parse_receipt(target.get(path), staging, shard, rows_sha256)
    if receipt is None or any(not _is_staged(target, file) for file in receipt.files):
        return None
    dropped = shard_dropped_path(shard)
    return receipt if receipt.dropped_sha256 is None or target.list_staged(dropped) else None


def parse_receipt(content: bytes, staging: str, shard: int, rows_sha256: str) -> Receipt | None:
    """None unless the content is a receipt of this shard and of these rows; a withdrawn receipt is not.

    Other rows are rendered again: a plan that was begun by another version of the code may have cut other shards.
    """
    try:
        receipt = Receipt.model_validate_json(content)
    except ValidationError:
        return None
    is_same = (receipt.plan, receipt.shard) == (staging, shard) and receipt.rows_sha256 in {None, rows_sha256}
    return receipt if is_same else None


def withdraw_receipt(target: DatasetTarget, shard: int) -> None:
    """Have the render step draw a shard again."""
    target.put({receipt_path(shard): b"withdrawn\n"})


def matches(staged: StoredFile, file: ManifestFile) -> bool:
    """Whether the size is as expected, and the sha256 too where the store knows it."""
    return staged.size == file.size and staged.sha256 in {None, file.sha256}


def _is_staged(target: DatasetTarget, file: ManifestFile) -> bool:
    return any(staged.path == file.path and matches(staged, file) for staged in target.list_staged(file.path))
