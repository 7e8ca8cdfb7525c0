"""From the rows of a source to the plan: one pass over them, by the draft."""

from collections.abc import Callable
from pathlib import Path

from deepsynth_api.errors import DataError
from deepsynth_api.reasons import Reason
from deepsynth_api.v1alpha1.dataset_generation_status import PlannedSplit
from deepsynth_api.workload import RenderWorkload
from deepsynth_render.documents.dropped_rows import PLAN_DROPPED_PATH, DroppedRowWriter
from deepsynth_render.documents.render_draft import RenderDraft
from deepsynth_render.documents.render_plan import PinnedSource, RenderPlan
from deepsynth_render.plan.cut_shards import ShardCutter
from deepsynth_render.plan.holdout import check_holdout
from deepsynth_render.plan.missing_texts import require_texts
from deepsynth_render.plan.processes import SharedWork
from deepsynth_render.plan.select_rows import RowSelector
from deepsynth_render.plan.staging import StagingAhead
from deepsynth_render.reporting.dropped import explain_dropped, list_dropped, require_drawn
from deepsynth_render.sources import NO_SUMMARY, TextSource


def build_plan(
    workload: RenderWorkload,
    source: TextSource,
    draft: RenderDraft,
    folder: Path,
    *,
    ahead: StagingAhead | None = None,
    say: Callable[[str], None] = lambda _: None,
) -> tuple[RenderPlan, dict[str, Path]]:
    """The plan and the files of its rows and of dropped ones (staging path -> file below folder).

    ahead: stages finished shards meanwhile, unless too many documents have been refused so far. say: gets a line for
    the first dropped rows of each reason.

    Raises DataError when all rows are dropped, or more have no text, or cannot be drawn, than the spec allows.
    """

    def finish_shard() -> None:
        if ahead and ahead.is_due() and _is_sound(workload, source, selector, dropped):
            ahead.stage(cutter.files)

    cutter = ShardCutter(folder, draft.rows_per_shard, finish_shard)
    dropped = DroppedRowWriter(folder / PLAN_DROPPED_PATH, say)
    collapse = workload.page.whitespace == "collapse"
    check_holdout(source.splits, draft.holdout_percent)
    has_summaries = workload.source.columns.summary != NO_SUMMARY
    # Other processes would not know the fonts that this one has fetched.
    with SharedWork(1 if draft.look.own_fonts else None) as work:
        selector = RowSelector(
            workload.filters if has_summaries else workload.filters.updated(min_summary_chars=0),
            cutter,
            dropped,
            draft.rows_per_shard,
            collapse_blanks=collapse,
            keep_tabs=workload.page.tab_stop_ems is not None,
            holdout_percent=draft.holdout_percent,
            work=work,
        )
        for split in draft.read_splits:
            selector.read_split(split, source, workload.source.max_rows_per_split)
    cutter.finish()
    dropped_sha256 = dropped.close()
    _require_sound(workload, source, selector, dropped)
    plan = RenderPlan(
        source=_count_rows(draft.source, selector),
        look=draft.look,
        filters=draft.filters,
        rows_per_shard=draft.rows_per_shard,
        draft=draft.compute_digest(),
        splits=[PlannedSplit(name=split, rows=rows) for split, rows in selector.kept.items()],
        rows_read=selector.rows_read,
        dropped=list_dropped(dropped.counts),
        dropped_sha256=dropped_sha256,
        columns=list(source.columns),
        skipped_files=list(source.skipped),
        undrawable=selector.undrawable.summarise(),
        shards=cutter.shards,
    )
    if not plan.shards:
        raise DataError(_explain_empty(plan), reason=Reason.EMPTY_DATASET)
    return plan, cutter.files | ({PLAN_DROPPED_PATH: dropped.path} if dropped_sha256 else {})


def _require_sound(
    workload: RenderWorkload, source: TextSource, selector: RowSelector, dropped: DroppedRowWriter
) -> None:
    """Raise DataError if more rows, of those read so far, have no text or cannot be drawn than the spec allows."""
    counts, limit = list_dropped(dropped.counts), workload.max_refused_percent
    require_texts(selector.rows_read, counts, limit, source.columns)
    require_drawn(selector.kept.total(), counts, limit, selector.undrawable.summarise())


def _is_sound(workload: RenderWorkload, source: TextSource, selector: RowSelector, dropped: DroppedRowWriter) -> bool:
    try:
        _require_sound(workload, source, selector, dropped)
    except DataError:
        return False
    return True


def _count_rows(source: PinnedSource, selector: RowSelector) -> PinnedSource:
    """The source with the number of rows of each of its configurations."""
    configs = [config.updated(rows=dict(selector.read.get(config.name, {}))) for config in source.configs or ()]
    return source.updated(configs=configs or None)


def _explain_empty(plan: RenderPlan) -> str:
    if plan.rows_read == 0:
        return f"{plan.source.uri} holds no rows in {', '.join(split.name for split in plan.splits)}"
    return (
        f"all rows of {plan.source.uri} were dropped ({explain_dropped(plan.dropped)}); "
        "check spec.source.columns and the limits in spec.filters"
    )
