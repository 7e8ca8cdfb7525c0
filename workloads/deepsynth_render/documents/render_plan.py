"""RenderPlan: all that the render and publish steps need to know, apart from where the target is.

Its digest, or that of its draft, names the staging area. So a setting is part of the plan if, and only if, it can
change the dataset's bytes: two resources with the same plan share their work, and any other resource never sees it.
"""

import hashlib
from typing import Annotated, Final, Literal, Self

from pydantic import Field, ValidationError

from deepsynth_api.counted import counted
from deepsynth_api.errors import ConfigurationError, DataError
from deepsynth_api.reasons import Reason
from deepsynth_api.v1alpha1 import Columns, Filters, PageSettings
from deepsynth_api.v1alpha1.dataset_generation_status import (
    DroppedRows,
    PlannedSplit,
    ReadColumns,
    SkippedFiles,
    Undrawable,
)
from deepsynth_api.v1alpha1.shared.base import ApiModel
from deepsynth_api.workload import PlanReference, RenderWorkload
from deepsynth_store import DatasetTarget, OnWait, open_target

PLAN_PATH: Final = "plan/plan.json"


class PinnedConfig(ApiModel):
    """One of several configurations. rows: how many were read, by split.

    The rows of a split are numbered through all configurations, in order.
    """

    name: str
    language: str
    rows: dict[str, int]


class PinnedSource(ApiModel):
    """spec.source with the revision that is read. configs: unset if one configuration is read."""

    uri: str
    revision: str
    config: str | None = None
    configs: list[PinnedConfig] | None = None
    columns: Columns
    max_rows_per_split: int | None = None
    name: str
    language: str
    license: str | None = None

    def locate(self, split: str, index: int) -> tuple[PinnedConfig | None, int]:
        """The configuration of a row of a split and the row's index in its split; None if there are not several."""
        for config in self.configs or ():
            rows = config.rows.get(split, 0)
            if index < rows:
                return config, index
            index -= rows
        return None, index


class PinnedFont(ApiModel):
    """A font of spec.fonts. size: bytes. axes: all of a variable font. The rest is what the font says about itself."""

    name: str
    uri: str
    revision: str
    path: str
    sha256: str
    size: int
    face: int
    axes: dict[str, float] = Field(default_factory=dict)
    license: str | None = None
    license_url: str | None = None
    copyright: str | None = None
    version: str | None = None


class Look(ApiModel):
    """How pages are drawn and stored."""

    page: PageSettings
    compression: Literal["small", "fast"]
    max_shard_bytes: int
    fonts: Annotated[dict[str, str], Field(description="sha256 of each font file, by family.")]
    own_fonts: Annotated[list[PinnedFont], Field(description="Fonts of spec.fonts.")] = Field(default_factory=list)
    versions: Annotated[dict[str, str], Field(description="Version of each package that draws or stores pages.")]


class PlannedShard(ApiModel):
    """rows_sha256: of its file plan/rows-NNNNN.parquet. source_split: of its rows, where it is another one."""

    split: str
    source_split: str | None = None
    documents: int
    rows_sha256: str


class PageInputs(ApiModel):
    """What the pages of a shard depend on, besides its rows."""

    version: Literal[1] = 1
    source: PinnedSource
    look: Look
    filters: Filters
    rows_per_shard: int


class RenderPlan(PageInputs):
    draft: Annotated[str | None, Field(description="Digest of the draft, of which the plan is a function.")] = None
    splits: list[PlannedSplit]
    rows_read: int
    dropped: list[DroppedRows]
    dropped_sha256: Annotated[
        str | None, Field(description="sha256 of plan/dropped.parquet, if rows were dropped.")
    ] = None
    columns: list[ReadColumns] = Field(default_factory=list)
    skipped_files: list[SkippedFiles] = Field(default_factory=list)
    undrawable: Undrawable | None = None
    shards: list[PlannedShard]

    def to_json(self) -> bytes:
        return self.model_dump_json(by_alias=True, exclude_none=True, indent=1).encode()

    def compute_digest(self) -> str:
        return hashlib.sha256(self.to_json()).hexdigest()

    @classmethod
    def parse(cls, content: bytes, digest: str) -> Self:
        """Raises DataError when the content is not what the digest was computed from."""
        if hashlib.sha256(content).hexdigest() != digest:
            raise DataError(
                f"{PLAN_PATH} in staging is damaged: its sha256 is not {digest}; delete and re-apply the resource"
            )
        try:
            return cls.model_validate_json(content)
        except ValidationError as error:
            raise ConfigurationError(
                f"{PLAN_PATH} was written by another version ({counted(error.error_count(), 'other field')}); "
                "use the image that wrote it, or delete and re-apply the resource"
            ) from error


def rows_path(shard: int) -> str:
    """Staging path of a shard's rows."""
    return f"plan/rows-{shard:05d}.parquet"


def font_path(digest: str) -> str:
    """Staging path of a font of spec.fonts. digest: its sha256."""
    return f"plan/fonts/{digest}"


def load_plan(workload: RenderWorkload, target: DatasetTarget) -> RenderPlan:
    """The staged plan that the workload document refers to."""
    digest = require_plan(workload).digest
    if not target.list_staged(PLAN_PATH):
        raise DataError(
            f"{target.uri} holds no staged plan {digest[:12]}; it was deleted, so delete and re-apply the resource",
            reason=Reason.PLAN_MISSING,
        )
    return RenderPlan.parse(target.get(PLAN_PATH), digest)


def open_staging(workload: RenderWorkload, staging: str, on_wait: OnWait) -> DatasetTarget:
    """The target of a generation; see open_target. Once there is a plan, the plan step has reached the target."""
    has_answered, output = workload.plan is not None, workload.output
    return open_target(output.uri, staging, private=output.private, on_wait=on_wait, has_answered=has_answered)


def name_staging(plan: PlanReference) -> str:
    """The digest that names the staging area."""
    return plan.staging or plan.digest


def require_plan(workload: RenderWorkload) -> PlanReference:
    if workload.plan is None or not (workload.plan.digest or workload.plan.staging):
        raise ConfigurationError("plan: missing in the workload document; run the plan step first")
    return workload.plan
