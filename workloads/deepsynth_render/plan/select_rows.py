"""One pass over the rows of a source: which become documents, in which order, and what is dropped by which reason."""

import contextlib
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from itertools import groupby, islice
from typing import Final, NamedTuple

from deepsynth_api.reasons import Reason
from deepsynth_api.v1alpha1 import Filters
from deepsynth_render.documents.batches import cut_batches
from deepsynth_render.documents.dropped_rows import DroppedRow, DroppedRowWriter
from deepsynth_render.documents.plan_rows import PlanRow
from deepsynth_render.plan.cut_shards import ShardCutter
from deepsynth_render.plan.deduplicate import SeenTexts
from deepsynth_render.plan.examine import AskedRow, Examined, Examiner
from deepsynth_render.plan.holdout import HELD_OUT, is_held_out
from deepsynth_render.plan.processes import SharedWork
from deepsynth_render.plan.undrawable import UndrawableTally
from deepsynth_render.sources import RowGroup, TextSource
from deepsynth_text.near_duplicates import NearDuplicates, sign

_BATCH_ROWS: Final = 500
_BATCH_CHARACTERS: Final = 1_000_000


class _Place(NamedTuple):
    """Where a row is. row: its index in the group or, without one, in the file. position: its index in the split,
    through all configurations. original: its index in the split of its own configuration.
    """

    file: str
    group: int | None
    row: int
    position: int
    original: int


class RowSelector:
    """Judges every row once, and hands the good ones to the cutter and the others to `dropped`.

    kept: number of documents, by split. read: number of rows by configuration and split, if there are several
    configurations. undrawable: characters that no font has, in the documents that are refused for them or drawn with
    replacements.
    """

    def __init__(
        self,
        filters: Filters,
        cutter: ShardCutter,
        dropped: DroppedRowWriter,
        rows_per_shard: int,
        *,
        collapse_blanks: bool = False,
        keep_tabs: bool = False,
        holdout_percent: int = 0,
        work: SharedWork,
    ) -> None:
        self._filters = filters
        self._examine = Examiner(filters, collapse_blanks, keep_tabs)
        self._work = work
        self._holdout_percent = holdout_percent
        self._cutter = cutter
        self._rows_per_shard = rows_per_shard
        self._seen = SeenTexts()
        percent = filters.max_similarity_percent
        self._near = None if percent is None else NearDuplicates(percent)
        self.undrawable = UndrawableTally()
        self.rows_read = 0
        self.read: defaultdict[str, Counter[str]] = defaultdict(Counter)
        self.kept: Counter[str] = Counter()
        self._dropped = dropped

    def read_split(self, split: str, source: TextSource, limit: int | None) -> None:
        """Read the first `limit` rows of a split, of each configuration; None reads all."""
        self._cutter.start_split(split)
        self.kept[split] = 0
        rows = self._examine_all(self._place_split(split, source, limit))
        for (_, group), found in groupby(rows, key=lambda item: item[0][:2]):
            self._add_group(split, found, has_texts=group is None)

    def _place_split(self, split: str, source: TextSource, limit: int | None) -> Iterator[tuple[_Place, AskedRow]]:
        """The rows of a split, numbered through all configurations."""
        start = 0
        for config in source.configs or [None]:
            if config is not None:
                self._cutter.start_config(config, start)
            count = 0
            with contextlib.closing(source.read(split, config)) as groups:  # files behind the limit are not even opened
                for count, item in enumerate(islice(self._place_rows(groups, start), limit), 1):  # noqa: B007
                    yield item
            start += count
            if config is not None and count:
                self.read[config][split] = count

    def _place_rows(self, groups: Iterable[RowGroup], start: int) -> Iterator[tuple[_Place, AskedRow]]:
        """The rows of groups in order. Those of a group that is too large for a shard are placed in no group."""
        index, of_file = start, Counter[str]()
        for group in groups:
            number = None if (group.size or 0) > self._rows_per_shard else group.number
            is_wanted = number is None or self._near is not None
            for position, row in enumerate(group.rows):
                place = of_file[group.file] if number is None else position
                yield _Place(group.file, number, place, index, index - start), AskedRow(row, is_wanted)
                index += 1
                of_file[group.file] += 1

    def _examine_all(self, rows: Iterator[tuple[_Place, AskedRow]]) -> Iterator[tuple[_Place, Examined]]:
        """The same rows with what is known of each."""
        places: list[list[_Place]] = []

        def cut() -> Iterator[list[AskedRow]]:
            for batch in cut_batches(rows, _count_characters, max_items=_BATCH_ROWS, max_size=_BATCH_CHARACTERS):
                places.append([place for place, _ in batch])
                yield [row for _, row in batch]

        for results in self._work.map(self._examine, cut()):
            yield from zip(places.pop(0), results, strict=True)

    def _add_group(self, split: str, rows: Iterator[tuple[_Place, Examined]], *, has_texts: bool) -> None:
        """has_texts: whether the plan holds them, because no row group can be read again."""
        selected = self._select(split, rows, has_texts=has_texts)
        if has_texts:
            for row, held_out in selected:
                self._cutter.add(row, held_out)
                self.kept[held_out or split] += 1
            return
        found: dict[str | None, list[PlanRow]] = defaultdict(list)
        for row, held_out in selected:
            found[held_out].append(row)
        for held_out, kept in found.items():
            self._cutter.add_group(kept, held_out)
            self.kept[held_out or split] += len(kept)

    def _select(
        self, split: str, rows: Iterator[tuple[_Place, Examined]], *, has_texts: bool
    ) -> Iterator[tuple[PlanRow, str | None]]:
        """The rows that become documents, each with the split that it is moved to, if any."""
        for place, examined in rows:
            self.rows_read += 1
            dropped = examined.dropped or self._compare(examined)
            if dropped:
                self._dropped.add(DroppedRow(split, place.original, place.file, place.group, place.row, dropped))
                continue
            pair = examined.pair
            texts = (pair.text, pair.summary, pair.replaced) if pair and has_texts else ()
            held_out = HELD_OUT if is_held_out(examined.digest, self._holdout_percent) else None
            yield PlanRow(*place[:4], *texts), held_out

    def _compare(self, examined: Examined) -> Reason | None:
        """Why a row is dropped that could be a document by itself."""
        if self._filters.deduplicate and not self._seen.add(examined.digest):
            return Reason.DUPLICATE
        self.undrawable.add(examined.undrawable)
        if self._filters.undrawable == "refuse" and examined.refusal:
            return examined.refusal
        if self._near is not None and examined.pair and not self._near.add(sign(examined.pair.text), self.rows_read):
            return Reason.NEAR_DUPLICATE
        return None


def _count_characters(item: tuple[_Place, AskedRow]) -> int:
    return sum(len(text or "") for text in item[1].row)
