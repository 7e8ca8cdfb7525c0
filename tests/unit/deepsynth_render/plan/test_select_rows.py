"""Rows become documents in the same way, however many processes share the work."""

import random
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest

from deepsynth_api.v1alpha1 import Filters
from deepsynth_render.documents.dropped_rows import DroppedRow, DroppedRowWriter, read_dropped_rows
from deepsynth_render.documents.plan_rows import PlanRow, read_plan_rows
from deepsynth_render.plan import select_rows
from deepsynth_render.plan.cut_shards import ShardCutter
from deepsynth_render.plan.processes import SharedWork
from deepsynth_render.plan.select_rows import RowSelector
from deepsynth_render.sources import RowGroup

PARTS = ["a fox", "na\u00efve ", "\u6587\u5b57", "\ue000", "\ud800", "  \n", "\u0915\u094d\u200d\u0937", "x" * 30]


class Source:
    """Row groups of several sizes in two files, and a file without groups."""

    def __init__(self) -> None:
        choose = random.Random(5)
        self.given = 0
        self.configs: dict[str, str] = {}
        self.groups = [("a.parquet", 0, 40), ("a.parquet", 1, 3), ("b.parquet", 0, 90), ("c.csv", None, 50)]
        self.rows: Any = {
            group: [
                (
                    choose.choice([None, *["".join(choose.choices(PARTS, k=choose.randint(1, 4))) for _ in range(9)]]),
                    "s",
                )
                for _ in range(group[2])
            ]
            for group in self.groups
        }

    def read(self, _: str, config: str | None = None) -> Generator[RowGroup, None, None]:
        for group in self.groups:
            file, number, size = group
            self.given += size
            yield RowGroup(file, number, None if number is None else size, iter(self.rows[group]))


def select(folder: Path, work: SharedWork, limit: int | None, **filters: Any) -> tuple[Any, ...]:
    folder.mkdir()
    cutter = ShardCutter(folder, 60)
    selected = Filters.model_validate({"minTextChars": 1, "minSummaryChars": 1, **filters})
    dropped = DroppedRowWriter(folder / "dropped.parquet")
    selector = RowSelector(selected, cutter, dropped, 60, holdout_percent=20, work=work)
    source: Any = Source()
    selector.read_split("train", source, limit)
    cutter.finish()
    rows = {name: list(read_plan_rows(path)) for name, path in cutter.files.items()}
    dropped.close()
    places = list(read_dropped_rows(dropped.path))
    return rows, selector.kept, places, selector.rows_read, selector.undrawable.summarise(), cutter.shards


@pytest.mark.parametrize(
    ("limit", "filters"), [(None, {}), (100, {"undrawable": "replace", "maxSimilarityPercent": 80}), (43, {})]
)
def test_two_processes_select_the_same_rows_as_one(
    limit: int | None, filters: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with SharedWork(1) as work:
        expected = select(tmp_path / "one", work, limit, **filters)
    monkeypatch.setattr(select_rows, "_BATCH_ROWS", 7)
    with SharedWork(2, alone=1) as work:
        assert select(tmp_path / "two", work, limit, **filters) == expected
    rows: list[PlanRow] = [row for shard in expected[0].values() for row in shard]
    places: list[DroppedRow] = expected[2]
    assert len({place.reason for place in places}) >= 3
    assert sum(expected[1].values()) == len(rows) > 10
    judged = [(row.index, row.file, row.group, row.row) for row in rows]
    judged += [(place.index, place.file, place.row_group, place.row) for place in places]
    assert [index for index, *_ in sorted(judged)] == list(range(expected[3])), "each row is one or the other"
    assert all(index == row for index, file, group, row in judged if (file, group) == ("a.parquet", 0))
    assert all(index == row + 43 for index, file, _, row in judged if file == "b.parquet"), "no group: of the file"
    assert expected[3] == (183 if limit is None else limit)
    assert all((row.text is None) == (row.file == "a.parquet") for row in rows), "b.parquet has a group above 60 rows"


def test_no_file_behind_the_limit_is_opened(tmp_path: Path) -> None:
    source: Any = Source()
    with SharedWork(1) as work:
        dropped = DroppedRowWriter(tmp_path / "dropped.parquet")
        selector = RowSelector(Filters(), ShardCutter(tmp_path, 60), dropped, 60, work=work)
        selector.read_split("train", source, 43)
    assert source.given == 43
