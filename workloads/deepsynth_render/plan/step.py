"""The plan step: one pass over the text columns decides what is rendered, where, and what is left out."""

import contextlib
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Final

from deepsynth_api.errors import DataError
from deepsynth_api.reasons import Reason
from deepsynth_api.report import PlanReport
from deepsynth_api.v1alpha1 import Filters
from deepsynth_api.v1alpha1.dataset_generation_status import PlannedSplit
from deepsynth_api.workload import RenderWorkload
from deepsynth_render.documents.manifest import find_published
from deepsynth_render.documents.plan import PLAN_PATH, Look, PinnedSource, Plan, open_staging
from deepsynth_render.documents.rows import PlanRow
from deepsynth_render.dropped import list_dropped
from deepsynth_render.page import PageRenderer
from deepsynth_render.page.fonts import gather_digests
from deepsynth_render.plan.cut_shards import ShardCutter
from deepsynth_render.plan.deduplicate import SeenTexts, hash_text, order_splits
from deepsynth_render.plan.filters import Pair, apply_filters
from deepsynth_render.report import Reporter
from deepsynth_render.sources import Row, RowGroup, TextSource, open_source
from deepsynth_render.versions import gather_versions
from deepsynth_store import DatasetTarget
from deepsynth_store.atomic import explain_full_disk

_FILES_PER_PUT: Final = 50
"""The Hub's advice for files in one commit."""


def run_plan(workload: RenderWorkload, reporter: Reporter) -> None:
    """Plan, stage the plan and report its digest. Repeating it gives the same plan."""
    reporter.show(PlanReport())
    # What cannot work shall neither cost a pass over the data nor fail in every shard.
    open_staging(workload, "0" * 64, reporter.on_wait)
    PageRenderer(workload.page, workload.output.compression)
    source = open_source(workload.source, on_wait=reporter.on_wait)
    reporter.log(f"reading {workload.source.uri} at {source.revision}: {', '.join(source.splits)}")
    with tempfile.TemporaryDirectory(prefix="deepsynth-plan-") as name, explain_full_disk(Path(name)):
        plan, files = build_plan(workload, source, Path(name))
        digest = plan.compute_digest()
        target = open_staging(workload, digest, reporter.on_wait)
        if find_published(target, digest) is None:
            _stage(target, {**files, PLAN_PATH: plan.to_json()})
    reporter.show(
        PlanReport(
            revision=source.revision,
            digest=digest,
            splits=plan.splits,
            shards=len(plan.shards),
            rows_read=plan.rows_read,
            dropped=plan.dropped,
        )
    )


def build_plan(workload: RenderWorkload, source: TextSource, folder: Path) -> tuple[Plan, dict[str, Path]]:
    """The plan and the files of its rows (staging path -> file below folder).

    Raises DataError when no row is left.
    """
    cutter = ShardCutter(folder, workload.rows_per_shard)
    planner = Planner(workload.filters, cutter, workload.rows_per_shard)
    for split in order_splits(source.splits):
        planner.read_split(split, source, workload.source.max_rows_per_split)
    cutter.finish()
    plan = Plan(
        source=_pin(workload, source),
        look=_build_look(workload),
        filters=workload.filters,
        rows_per_shard=workload.rows_per_shard,
        splits=[PlannedSplit(name=split, rows=planner.kept[split]) for split in planner.kept],
        rows_read=planner.rows_read,
        dropped=list_dropped(planner.dropped),
        shards=cutter.shards,
    )
    if not plan.shards:
        raise DataError(_explain_empty(plan), reason=Reason.EMPTY_DATASET)
    return plan, cutter.files


class Planner:
    """Judges every row once. kept: documents of each split; dropped: rows left out by reason."""

    def __init__(self, filters: Filters, cutter: ShardCutter, rows_per_shard: int) -> None:
        self._filters = filters
        self._cutter = cutter
        self._rows_per_shard = rows_per_shard
        self._seen = SeenTexts()
        self.rows_read = 0
        self.kept: Counter[str] = Counter()
        self.dropped: Counter[str] = Counter()

    def read_split(self, split: str, source: TextSource, limit: int | None) -> None:
        """Read the first `limit` rows of a split, all by default."""
        self._cutter.start_split(split)
        first, self.kept[split] = self.rows_read, 0
        with contextlib.closing(source.read(split)) as groups:  # the rest is not even opened
            for group in groups:
                index = self.rows_read - first
                self._add_group(split, group, index, None if limit is None else limit - index)
                if self.rows_read - first == limit:
                    return

    def _add_group(self, split: str, group: RowGroup, first_index: int, limit: int | None) -> None:
        is_inline = group.number is None or (group.size or 0) > self._rows_per_shard
        rows = self._select(group, first_index, limit, is_inline)
        if is_inline:
            for row in rows:
                self._cutter.add(row)
                self.kept[split] += 1
        else:
            found = list(rows)
            self._cutter.add_group(found)
            self.kept[split] += len(found)

    def _select(self, group: RowGroup, first_index: int, limit: int | None, is_inline: bool) -> Iterator[PlanRow]:
        for number, row in enumerate(islice(group.rows, limit)):
            self.rows_read += 1
            pair = self._judge(row)
            if not isinstance(pair, Pair):
                self.dropped[pair] += 1
            elif is_inline:
                yield PlanRow(group.file, None, number, first_index + number, pair.text, pair.summary)
            else:
                yield PlanRow(group.file, group.number, number, first_index + number)

    def _judge(self, row: Row) -> Pair | Reason:
        outcome = apply_filters(row, self._filters)
        if isinstance(outcome, Pair) and self._filters.deduplicate and not self._seen.add(hash_text(outcome.text)):
            return Reason.DUPLICATE
        return outcome


def _pin(workload: RenderWorkload, source: TextSource) -> PinnedSource:
    asked = workload.source
    return PinnedSource(
        uri=asked.uri,
        revision=source.revision,
        config=asked.config,
        columns=asked.columns,
        max_rows_per_split=asked.max_rows_per_split,
        name=workload.source_name,
        language=source.language,
        license=workload.output.license or source.license,
    )


def _build_look(workload: RenderWorkload) -> Look:
    return Look(
        page=workload.page,
        compression=workload.output.compression,
        max_shard_bytes=workload.output.max_shard_bytes,
        fonts=gather_digests(),
        versions=gather_versions(),
    )


def _explain_empty(plan: Plan) -> str:
    if plan.rows_read == 0:
        return f"{plan.source.uri} holds no rows in {', '.join(split.name for split in plan.splits)}."
    reasons = ", ".join(f"{dropped.rows} {dropped.reason}" for dropped in plan.dropped)
    return (
        f"none of the {plan.rows_read} rows of {plan.source.uri} is left ({reasons}). "
        "Check source.columns and the limits in filters."
    )


def _stage(target: DatasetTarget, files: Mapping[str, bytes | Path]) -> None:
    """Stage the rows in commits of moderate size, the plan itself last: where it stands, all of it stands."""
    target.prepare()
    paths = list(files)
    for start in range(0, len(paths), _FILES_PER_PUT):
        target.put({path: files[path] for path in paths[start : start + _FILES_PER_PUT]})
