"""What deepsynth/manifest.json of a published data set says."""

import hashlib
from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field, ValidationError

from deepsynth_api.v1alpha1.base import ApiModel
from deepsynth_api.v1alpha1.dataset_generation_status import DroppedRows
from deepsynth_render.documents.plan import Look, PinnedSource
from deepsynth_store import DatasetTarget


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


class ManifestShard(ApiModel):
    """What one render pod did."""

    documents: int
    pages: int
    size: int
    dropped: list[DroppedRows] = Field(default_factory=list)


class Manifest(ApiModel):
    """A pure function of the plan: no times and no names of resources."""

    version: Literal[1] = 1
    plan: Annotated[str, Field(description="Digest of the plan.")]
    source: PinnedSource
    look: Look
    documents: int
    pages: int
    size: int
    rows_read: int
    dropped: Annotated[list[DroppedRows], Field(description="Rows left out, by plan and by render.")]
    splits: list[ManifestSplit]
    shards: list[ManifestShard]
    files: list[ManifestFile]

    def to_json(self) -> bytes:
        return self.model_dump_json(by_alias=True, exclude_none=True, indent=1).encode()


@dataclass(frozen=True)
class PublishedGeneration:
    """sha256: of the manifest."""

    manifest: Manifest
    content: bytes
    revision: str

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.content).hexdigest()


def find_published(target: DatasetTarget, digest: str) -> PublishedGeneration | None:
    """What the target holds if it is the very plan: then each step has nothing left to do."""
    published = target.published()
    if published is None:
        return None
    try:
        manifest = Manifest.model_validate_json(published.manifest)
    except ValidationError:  # of another version: not this plan
        return None
    return PublishedGeneration(manifest, published.manifest, published.revision) if manifest.plan == digest else None
