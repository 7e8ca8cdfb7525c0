"""The render step: find out which shard is this pod's, and render it unless an earlier run has done so."""

import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Final

from deepsynth_api.errors import ConfigurationError
from deepsynth_api.report import RenderReport
from deepsynth_api.workload import COMPLETION_INDEX_VARIABLE, PlanReference, RenderWorkload
from deepsynth_render.documents.dataset_manifest import ManifestShard, find_published, find_published_draft
from deepsynth_render.documents.receipt import Receipt, find_receipt
from deepsynth_render.documents.render_draft import load_draft
from deepsynth_render.documents.render_plan import (
    PageInputs,
    PlannedShard,
    load_plan,
    name_staging,
    open_staging,
    require_plan,
)
from deepsynth_render.page import PageRenderer
from deepsynth_render.page.compiled.loading import IS_BUILT
from deepsynth_render.render.planned_fonts import use_planned_fonts
from deepsynth_render.render.planned_rows import describe_rows, fetch_rows
from deepsynth_render.render.shard import ShardRenderer
from deepsynth_render.reporting.report import Reporter
from deepsynth_store import DatasetTarget
from deepsynth_store.core.atomic import explain_full_disk

_NOT_BUILT: Final = (
    "the compiled core is missing, so pages are drawn several times slower; "
    "install a C compiler and Python's headers, then install DeepSynth again"
)


def run_render(
    workload: RenderWorkload, reporter: Reporter, *, build_renderer: Callable[..., PageRenderer] = PageRenderer
) -> None:
    """Render the shard of JOB_COMPLETION_INDEX, or report it if it is staged or published already.

    build_renderer: called as PageRenderer is, with spec.page and the compression.
    """
    reference = require_plan(workload)
    staging = name_staging(reference)
    target = open_staging(workload, staging, reporter.on_wait)
    shard = _find_shard(reference)
    if published := _find_published(target, reference, shard):
        reporter.log(f"shard {shard} is published already")
        _report_done(reporter, shard, published)
        return
    with tempfile.TemporaryDirectory(prefix="deepsynth-render-") as name, explain_full_disk(Path(name)):
        folder = Path(name)
        inputs, planned, rows = _load(workload, target, shard, folder)
        if receipt := find_receipt(target, staging, shard, planned.rows_sha256):
            reporter.log(f"shard {shard} is staged already")
            _report_done(reporter, shard, receipt)
            return
        if not IS_BUILT:
            reporter.log(_NOT_BUILT)
        use_planned_fonts(inputs, target)
        ShardRenderer(
            inputs,
            planned,
            staging=staging,
            shard=shard,
            rows=rows or fetch_rows(target, shard, folder, planned.rows_sha256),
            target=target,
            folder=folder,
            reporter=reporter,
            build_renderer=build_renderer,
        ).run()


def _find_shard(reference: PlanReference) -> int:
    index = os.environ.get(COMPLETION_INDEX_VARIABLE, "")
    first = reference.first_shard or 0
    shards = reference.shards - first
    if not index.isdecimal() or int(index) >= shards:
        raise ConfigurationError(f"{COMPLETION_INDEX_VARIABLE}: must be an integer below {shards}, got {index!r}")
    return first + int(index)


def _find_published(target: DatasetTarget, reference: PlanReference, shard: int) -> ManifestShard | None:
    """The shard if it is published, by this plan or, while there is none, by another one of the same draft."""
    if reference.digest:
        published = find_published(target, reference.digest)
    else:
        published = find_published_draft(target, name_staging(reference))
    return next(iter(published.manifest.shards[shard : shard + 1]), None) if published else None


def _load(
    workload: RenderWorkload, target: DatasetTarget, shard: int, folder: Path
) -> tuple[PageInputs, PlannedShard, Path | None]:
    """What is known of the shard, from the plan or, while it is being made, from the draft and the shard's own rows.

    The rows are fetched only if they are needed for that.
    """
    reference = require_plan(workload)
    if reference.digest:
        plan = load_plan(workload, target)
        return plan, plan.shards[shard], None
    draft = load_draft(target, name_staging(reference))
    rows = fetch_rows(target, shard, folder)
    return *describe_rows(draft, rows), rows


def _report_done(reporter: Reporter, shard: int, done: ManifestShard | Receipt) -> None:
    reporter.show(
        RenderReport(
            shard=shard,
            documents_total=done.documents + sum(entry.rows for entry in done.dropped),
            documents=done.documents,
            pages=done.pages,
            bytes=done.size,
            dropped=done.dropped,
            replaced_characters=done.replaced_characters,
        )
    )
