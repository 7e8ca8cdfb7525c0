"""The plan step, from the workload document to a staged plan."""

import os
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from deepsynth_api.counted import counted
from deepsynth_api.report import PlanReport
from deepsynth_api.workload import RENDER_AHEAD_VARIABLE, RenderWorkload
from deepsynth_render.documents.dataset_manifest import find_published
from deepsynth_render.documents.render_draft import DRAFT_PATH, RenderDraft
from deepsynth_render.documents.render_plan import PLAN_PATH, RenderPlan, font_path, open_staging
from deepsynth_render.page import PageRenderer
from deepsynth_render.page.fallback import use_fonts
from deepsynth_render.plan.build import build_plan
from deepsynth_render.plan.draft import build_draft
from deepsynth_render.plan.own_fonts import check_families, fetch_fonts
from deepsynth_render.plan.staging import StagingAhead, stage
from deepsynth_render.reporting.report import Reporter
from deepsynth_render.sources import NO_SUMMARY, TextSource, open_source
from deepsynth_store.core.atomic import explain_full_disk


def run_plan(
    workload: RenderWorkload,
    reporter: Reporter,
    *,
    open_texts: Callable[..., TextSource] = open_source,
    clock: Callable[[], float] = time.monotonic,
) -> None:
    """Plan, stage the plan and report its digest. Repeating it gives the same plan.

    open_texts: called as open_source is, with spec.source and `on_wait`. clock: seconds, for when to stage ahead.
    """
    reporter.show(PlanReport())
    # Fail fast: check target and page before reading the data, not once per shard.
    open_staging(workload, "0" * 64, reporter.on_wait)
    fonts = fetch_fonts(workload.fonts, reporter.on_wait)
    use_fonts([fetched.font for fetched in fonts])
    check_families(workload.page)
    PageRenderer(workload.page, workload.output.compression)
    source = open_texts(workload.source, on_wait=reporter.on_wait)
    configs = f" of the configurations {', '.join(source.configs)}" if source.configs else ""
    reporter.log(f"reading {workload.source.uri} at {source.revision}: {', '.join(source.splits)}{configs}")
    draft = build_draft(workload, source, [fetched.pinned for fetched in fonts])
    own = {font_path(fetched.pinned.sha256): fetched.font.data for fetched in fonts}
    render_ahead = os.environ.get(RENDER_AHEAD_VARIABLE)
    draft_staging = "" if render_ahead is None else draft.compute_digest()
    ahead = _open_ahead(workload, draft, own, reporter, clock) if render_ahead == "1" else None
    with tempfile.TemporaryDirectory(prefix="deepsynth-plan-") as name, explain_full_disk(Path(name)):
        plan, files = build_plan(workload, source, draft, Path(name), ahead=ahead, say=reporter.log)
        digest = plan.compute_digest()
        target = open_staging(workload, draft_staging or digest, reporter.on_wait)
        if find_published(target, digest) is None:
            target.prepare()
            first, done = (ahead.inputs, ahead.find_staged()) if ahead else (own, set[str]())
            stage(target, {**first, **files, PLAN_PATH: plan.to_json()}, done)
    _log_reading(plan, reporter)
    reporter.show(
        PlanReport(
            revision=source.revision,
            digest=digest,
            staging=draft_staging,
            splits=plan.splits,
            shards=len(plan.shards),
            rows_read=plan.rows_read,
            dropped=plan.dropped,
            columns=plan.columns,
            skipped_files=plan.skipped_files,
            undrawable=plan.undrawable,
        )
    )


def _open_ahead(
    workload: RenderWorkload,
    draft: RenderDraft,
    fonts: Mapping[str, bytes],
    reporter: Reporter,
    clock: Callable[[], float],
) -> StagingAhead:
    digest = draft.compute_digest()

    def show(shards: int) -> None:
        reporter.show(PlanReport(revision=draft.source.revision, staging=digest, staged_shards=shards))
        reporter.log(f"{counted(shards, 'shard')} staged, which can be rendered while the plan is being made")

    target = open_staging(workload, digest, reporter.on_wait)
    return StagingAhead(target, digest, {**fonts, DRAFT_PATH: draft.to_json()}, show, clock)


def _log_reading(plan: RenderPlan, reporter: Reporter) -> None:
    for read in plan.columns:
        where = f"configuration {read.config}: " if read.config else ""
        summaries = f"summary from column {read.summary!r}" if read.summary != NO_SUMMARY else "no summaries"
        reporter.log(f"{where}text from column {read.text!r}, {summaries}: {counted(read.rows, 'row')}")
    for skipped in plan.skipped_files:
        examples = ", ".join(skipped.examples)
        reporter.log(f"{counted(skipped.files, 'file')} not read, {skipped.reason}: {examples}")
    for entry in plan.undrawable.characters if plan.undrawable else []:
        reporter.log(f"no font has {entry.character}, in {counted(entry.documents, 'document')}")
