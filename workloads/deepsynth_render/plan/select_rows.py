"""One pass over the rows of a source: which become documents, in which order, and what is dropped by which reason."""

import contextlib
from collections import Counter, defaultdict
from collections.abc import Iterator
from itertools import islice

from deepsynth_api.reasons import Reason
from deepsynth_api.v1alpha1 import Filters
from deepsynth_render.documents.plan_rows import PlanRow
from deepsynth_render.plan.cut_shards import ShardCutter
from deepsynth_render.plan.deduplicate import SeenTexts, hash_text
from deepsynth_render.plan.filters import Pair, apply_filters
from deepsynth_render.plan.holdout import HELD_OUT, is_held_out
from deepsynth_render.plan.near_duplicates import NearDuplicates
from deepsynth_render.plan.undrawable import UndrawableTally, find_refusal
from deepsynth_render.sources import Row, RowGroup, TextSource


class RowSelector:
    """Judges every row once and hands the good ones to the cutter.

    kept: number of documents, by split. dropped: number of dropped rows, by reason. undrawable: characters that no font
    has, in the documents that are refused for them or drawn with replacements.
    """

    def __init__(
        self,
        filters: Filters,
        cutter: ShardCutter,
        rows_per_shard: int,
        *,
        collapse_blanks: bool = False,
        holdout_percent: int = 0,
    ) -> None:
        self._filters = filters
        self._collapse_blanks = collapse_blanks
        self._holdout_percent = holdout_percent
        self._cutter = cutter
        self._rows_per_shard = rows_per_shard
        self._seen = SeenTexts()
        percent = filters.max_similarity_percent
        self._near = None if percent is None else NearDuplicates(percent)
        self.undrawable = UndrawableTally()
        self.rows_read = 0
        self.kept: Counter[str] = Counter()
        self.dropped: Counter[str] = Counter()

    def read_split(self, split: str, source: TextSource, limit: int | None) -> None:
        """Read the first `limit` rows of a split; None reads all."""
        self._cutter.start_split(split)
        first, self.kept[split] = self.rows_read, 0
        with contextlib.closing(source.read(split)) as groups:  # files behind the limit are not even opened
            for group in groups:
                index = self.rows_read - first
                self._add_group(split, group, index, None if limit is None else limit - index)
                if self.rows_read - first == limit:
                    return

    def _add_group(self, split: str, group: RowGroup, first_index: int, limit: int | None) -> None:
        is_inline = group.number is None or (group.size or 0) > self._rows_per_shard
        selected = self._select(group, first_index, limit, is_inline)
        if is_inline:
            for row, held_out in selected:
                self._cutter.add(row, held_out)
                self.kept[held_out or split] += 1
            return
        found: dict[str | None, list[PlanRow]] = defaultdict(list)
        for row, held_out in selected:
            found[held_out].append(row)
        for held_out, rows in found.items():
            self._cutter.add_group(rows, held_out)
            self.kept[held_out or split] += len(rows)

    def _select(
        self, group: RowGroup, first_index: int, limit: int | None, is_inline: bool
    ) -> Iterator[tuple[PlanRow, str | None]]:
        """The rows that become documents, each with the split that it is moved to, if any."""
        for number, source_row in enumerate(islice(group.rows, limit)):
            self.rows_read += 1
            pair = self._judge(source_row)
            if not isinstance(pair, Pair):
                self.dropped[pair] += 1
            elif is_inline:
                row = PlanRow(group.file, None, number, first_index + number, pair.text, pair.summary)
                yield row, self._find_held_out(pair)
            else:
                yield PlanRow(group.file, group.number, number, first_index + number), self._find_held_out(pair)

    def _find_held_out(self, pair: Pair) -> str | None:
        return HELD_OUT if is_held_out(pair.text, self._holdout_percent) else None

    def _judge(self, row: Row) -> Pair | Reason:
        outcome = apply_filters(row, self._filters, collapse=self._collapse_blanks)
        if not isinstance(outcome, Pair):
            return outcome
        if self._filters.deduplicate and not self._seen.add(hash_text(outcome.text)):
            return Reason.DUPLICATE
        if self.undrawable.add(outcome.text) and self._filters.undrawable == "refuse":
            return find_refusal(outcome.text)
        if self._near is not None and not self._near.add(outcome.text):
            return Reason.NEAR_DUPLICATE
        return outcome
