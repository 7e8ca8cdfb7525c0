"""The plan step, from the workload document to a staged plan."""

import tempfile
from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Final

from deepsynth_api.counted import counted
from deepsynth_api.errors import DataError
from deepsynth_api.reasons import Reason
from deepsynth_api.report import PlanReport
from deepsynth_api.v1alpha1 import PageSettings
from deepsynth_api.v1alpha1.dataset_generation_status import PlannedSplit
from deepsynth_api.workload import RenderWorkload
from deepsynth_render.documents.dataset_manifest import find_published
from deepsynth_render.documents.dropped_rows import PLAN_DROPPED_PATH, DroppedRowWriter
from deepsynth_render.documents.render_plan import (
    PLAN_PATH,
    Look,
    PinnedConfig,
    PinnedFont,
    PinnedSource,
    RenderPlan,
    font_path,
    open_staging,
)
from deepsynth_render.page import PageRenderer
from deepsynth_render.page.fallback import use_fonts
from deepsynth_render.page.fonts import gather_digests
from deepsynth_render.plan.cut_shards import ShardCutter
from deepsynth_render.plan.deduplicate import order_splits
from deepsynth_render.plan.holdout import check_holdout
from deepsynth_render.plan.missing_texts import require_texts
from deepsynth_render.plan.own_fonts import check_families, fetch_fonts
from deepsynth_render.plan.processes import SharedWork
from deepsynth_render.plan.select_rows import RowSelector
from deepsynth_render.reporting.dropped import explain_dropped, list_dropped, require_drawn
from deepsynth_render.reporting.report import Reporter
from deepsynth_render.sources import NO_SUMMARY, TextSource, open_source
from deepsynth_store import DatasetTarget
from deepsynth_store.core.atomic import explain_full_disk

_FILES_PER_COMMIT: Final = 50
"""The Hub's advice."""

_PACKAGES: Final = (
    "deepsynth-operator",
    "freetype-py",
    "icu4py",
    "isal",
    "pyarrow",
    "pyromark",
    "uharfbuzz",
    "zlib-ng",
)
"""The bytes of a page depend on them, besides text and settings: they lay out, draw, compress or store pages."""


def run_plan(
    workload: RenderWorkload, reporter: Reporter, *, open_texts: Callable[..., TextSource] = open_source
) -> None:
    """Plan, stage the plan and report its digest. Repeating it gives the same plan.

    open_texts: called as open_source is, with spec.source and `on_wait`.
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
    with tempfile.TemporaryDirectory(prefix="deepsynth-plan-") as name, explain_full_disk(Path(name)):
        pinned = [fetched.pinned for fetched in fonts]
        plan, files = build_plan(workload, source, Path(name), pinned, say=reporter.log)
        digest = plan.compute_digest()
        target = open_staging(workload, digest, reporter.on_wait)
        if find_published(target, digest) is None:
            own = {font_path(fetched.pinned.sha256): fetched.font.data for fetched in fonts}
            _stage(target, {**own, **files, PLAN_PATH: plan.to_json()})
    _log_reading(plan, reporter)
    reporter.show(
        PlanReport(
            revision=source.revision,
            digest=digest,
            splits=plan.splits,
            shards=len(plan.shards),
            rows_read=plan.rows_read,
            dropped=plan.dropped,
            columns=plan.columns,
            skipped_files=plan.skipped_files,
            undrawable=plan.undrawable,
        )
    )


def build_plan(
    workload: RenderWorkload,
    source: TextSource,
    folder: Path,
    own_fonts: Sequence[PinnedFont] = (),
    *,
    say: Callable[[str], None] = lambda _: None,
) -> tuple[RenderPlan, dict[str, Path]]:
    """The plan and the files of its rows and of dropped ones (staging path -> file below folder).

    say: gets a line for the first dropped rows of each reason.

    Raises DataError when all rows are dropped, or more have no text, or cannot be drawn, than the spec allows.
    """
    cutter = ShardCutter(folder, workload.rows_per_shard)
    dropped = DroppedRowWriter(folder / PLAN_DROPPED_PATH, say)
    collapse = workload.page.whitespace == "collapse"
    percent = workload.source.holdout_percent or 0
    check_holdout(source.splits, percent)
    has_summaries = workload.source.columns.summary != NO_SUMMARY
    # Other processes would not know the fonts that this one has fetched.
    with SharedWork(1 if own_fonts else None) as work:
        selector = RowSelector(
            workload.filters if has_summaries else workload.filters.updated(min_summary_chars=0),
            cutter,
            dropped,
            workload.rows_per_shard,
            collapse_blanks=collapse,
            keep_tabs=workload.page.tab_stop_ems is not None,
            holdout_percent=percent,
            work=work,
        )
        for split in order_splits(source.splits):
            selector.read_split(split, source, workload.source.max_rows_per_split)
    cutter.finish()
    dropped_sha256 = dropped.close()
    plan = RenderPlan(
        source=_pin(workload, source, selector.read),
        look=_build_look(workload, own_fonts),
        filters=workload.filters,
        rows_per_shard=workload.rows_per_shard,
        splits=[PlannedSplit(name=split, rows=rows) for split, rows in selector.kept.items()],
        rows_read=selector.rows_read,
        dropped=list_dropped(dropped.counts),
        dropped_sha256=dropped_sha256,
        columns=list(source.columns),
        skipped_files=list(source.skipped),
        undrawable=selector.undrawable.summarise(),
        shards=cutter.shards,
    )
    require_texts(plan.rows_read, plan.dropped, workload.max_refused_percent, plan.columns)
    documents = sum(split.rows for split in plan.splits)
    require_drawn(documents, plan.dropped, workload.max_refused_percent, plan.undrawable)
    if not plan.shards:
        raise DataError(_explain_empty(plan), reason=Reason.EMPTY_DATASET)
    return plan, cutter.files | ({PLAN_DROPPED_PATH: dropped.path} if dropped_sha256 else {})


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


def _pin(workload: RenderWorkload, source: TextSource, read: Mapping[str, Mapping[str, int]]) -> PinnedSource:
    """read: rows by configuration and split."""
    asked = workload.source
    configs = [
        PinnedConfig(name=name, language=language, rows=dict(read.get(name, {})))
        for name, language in source.configs.items()
    ]
    return PinnedSource(
        uri=asked.uri,
        revision=source.revision,
        config=asked.config,
        configs=configs or None,
        columns=asked.columns,
        max_rows_per_split=asked.max_rows_per_split,
        name=workload.source_name,
        language=source.language,
        license=workload.output.license or source.license,
    )


def _build_look(workload: RenderWorkload, own_fonts: Sequence[PinnedFont]) -> Look:
    return Look(
        page=workload.page,
        compression=workload.output.compression,
        max_shard_bytes=workload.output.max_shard_bytes,
        fonts=gather_digests(),
        own_fonts=list(own_fonts),
        versions={package: version(package) for package in _list_packages(workload.page)},
    )


def _list_packages(page: PageSettings) -> Sequence[str]:
    return (*_PACKAGES, "numpy", "pillow") if page.augmentation else _PACKAGES


def _explain_empty(plan: RenderPlan) -> str:
    if plan.rows_read == 0:
        return f"{plan.source.uri} holds no rows in {', '.join(split.name for split in plan.splits)}"
    return (
        f"all rows of {plan.source.uri} were dropped ({explain_dropped(plan.dropped)}); "
        "check spec.source.columns and the limits in spec.filters"
    )


def _stage(target: DatasetTarget, files: Mapping[str, bytes | Path]) -> None:
    """Stage the rows in commits of moderate size. The plan comes last: if it is there, all of it is there."""
    target.prepare()
    paths = list(files)
    for start in range(0, len(paths), _FILES_PER_COMMIT):
        target.put({path: files[path] for path in paths[start : start + _FILES_PER_COMMIT]})
