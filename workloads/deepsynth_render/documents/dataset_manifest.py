"""DatasetManifest: what deepsynth/manifest.json says about a published dataset, and the columns of its pages.

The store reads only the list `files` of this document: see deepsynth_store.core.file_listing.
"""

import hashlib
from dataclasses import dataclass
from typing import Annotated, Final, Literal

from pydantic import Field, ValidationError

from deepsynth_api.v1alpha1 import PageSettings
from deepsynth_api.v1alpha1.dataset_generation_status import (
    DroppedRows,
    PageDensity,
    ReadColumns,
    SkippedFiles,
    Undrawable,
)
from deepsynth_api.v1alpha1.shared.base import ApiModel
from deepsynth_render.documents.dropped_rows import DROPPED_PATH
from deepsynth_render.documents.page_text import PageText
from deepsynth_render.documents.render_plan import Look, PinnedSource
from deepsynth_store import DatasetTarget

PAGE_COLUMNS: Final[dict[str, str]] = {
    "image": "image",
    "text": "string",
    "summary": "string",
    "document_id": "string",
    "page": "int32",
    "num_pages": "int32",
    "language": "string",
    "source_dataset": "string",
    "original_split": "string",
    "original_index": "int64",
    "char_start": "int64",
    "char_end": "int64",
    "font_family": "string",
    "font_size_px": "int32",
    "text_columns": "int32",
    "style": "int32",
    "fit": "string",
    "seed": "int64",
}
"""Name -> type (as the library `datasets` names it) of each column, in order. A row is a page.

page counts from 0. text is what the page shows: characters char_start to char_end of the document's text. summary is
that of the whole document. font_family and the columns after it say how the document is set: text_columns is the number
of columns on a page, style the index among the styles of the dataset, of which seed chose one for each document, and
fit is spec.page.fit.mode.
"""


BOX_FIELDS: Final[dict[str, str]] = {
    "text": "string",
    "left": "int32",
    "top": "int32",
    "right": "int32",
    "bottom": "int32",
}
"""Name -> type of each field of a box: pixels from the top left corner. right, bottom: the first ones behind it."""


def list_columns(page: PageSettings, *, has_configs: bool = False) -> dict[str, str]:
    """PAGE_COLUMNS and those that some settings add.

    original_config: the configuration that original_split belongs to, if there are several. augmented: whether a page
    was changed to look like a scan. boxes: a list of BOX_FIELDS, its lines or words.
    """
    columns = dict(PAGE_COLUMNS)
    if has_configs:
        columns["original_config"] = "string"
    if page.augmentation:
        columns["augmented"] = "bool"
    if page.boxes != "none":
        columns["boxes"] = "boxes"
    return columns


class ManifestFile(ApiModel):
    """size: bytes. rows: pages."""

    path: str
    size: int
    sha256: str
    split: str
    rows: int


class ManifestSplit(ApiModel):
    name: str
    documents: int
    pages: int
    size: int


class ManifestStyle(ApiModel):
    """Documents and pages of one style, which the columns of these names have. style: as in the column style."""

    style: int
    font_family: str
    font_size_px: int
    text_columns: int
    documents: int
    pages: int


class ManifestShard(ApiModel):
    """What one render pod has written and dropped."""

    documents: int
    pages: int
    size: int
    dropped: list[DroppedRows] = Field(default_factory=list)
    replaced_characters: int = 0


class DatasetManifest(ApiModel):
    """A pure function of the plan: without times or names of resources, so that the same plan gives the same bytes."""

    version: Literal[1] = 1
    plan: Annotated[str, Field(description="Digest of the plan.")]
    draft: Annotated[str | None, Field(description="Digest of what was known of it before rows were read.")] = None
    source: PinnedSource
    look: Look
    documents: int
    pages: int
    size: int
    rows_read: int
    dropped: Annotated[list[DroppedRows], Field(description="Rows dropped by the plan and render steps.")]
    dropped_sha256: Annotated[
        str | None, Field(description="sha256 of deepsynth/dropped.parquet, which lists them.")
    ] = None
    columns: Annotated[list[ReadColumns], Field(description="Columns of the source that were read.")] = Field(
        default_factory=list
    )
    skipped_files: Annotated[list[SkippedFiles], Field(description="Files of the source that were not read.")] = Field(
        default_factory=list
    )
    undrawable: Annotated[Undrawable | None, Field(description="Characters that no font draws.")] = None
    replaced_characters: Annotated[int, Field(description="Number of them that are drawn as U+FFFD.")] = 0
    page_text: Annotated[PageText | None, Field(description="Unset if an earlier version rendered a shard.")] = None
    density: PageDensity | None = None
    styles: list[ManifestStyle] = Field(default_factory=list)
    splits: list[ManifestSplit]
    shards: list[ManifestShard]
    files: list[ManifestFile]

    @property
    def dropped_path(self) -> str:
        """Path of the list of dropped rows; empty if there are none, or an earlier version dropped some."""
        return DROPPED_PATH if self.dropped and self.dropped_sha256 else ""

    def to_json(self) -> bytes:
        return self.model_dump_json(by_alias=True, exclude_none=True, indent=1).encode()


@dataclass(frozen=True)
class PublishedGeneration:
    """What a target holds. content: the manifest as stored. revision: of the target."""

    manifest: DatasetManifest
    content: bytes
    revision: str

    @property
    def sha256(self) -> str:
        """Of the manifest."""
        return hashlib.sha256(self.content).hexdigest()


def find_published(target: DatasetTarget, digest: str) -> PublishedGeneration | None:
    """What the target holds if it was made from this very plan: each step then has nothing left to do."""
    found = _read_published(target)
    return found if found and found.manifest.plan == digest else None


def find_published_draft(target: DatasetTarget, digest: str) -> PublishedGeneration | None:
    """What the target holds if it was made from a plan of this draft."""
    found = _read_published(target)
    return found if found and found.manifest.draft == digest else None


def _read_published(target: DatasetTarget) -> PublishedGeneration | None:
    published = target.published()
    if published is None:
        return None
    try:
        manifest = DatasetManifest.model_validate_json(published.manifest)
    except ValidationError:  # written by another version, so from another plan
        return None
    return PublishedGeneration(manifest, published.manifest, published.revision)
