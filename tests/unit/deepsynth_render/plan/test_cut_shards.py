from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from deepsynth_render.documents.plan_rows import PlanRow, read_plan_rows
from deepsynth_render.documents.render_plan import rows_path
from deepsynth_render.plan.cut_shards import ShardCutter


def read_shards(cutter: ShardCutter, folder: Path) -> list[list[PlanRow]]:
    return [list(read_plan_rows(folder / rows_path(shard))) for shard in range(len(cutter.shards))]


def build_groups(sizes: Sequence[int]) -> list[list[PlanRow]]:
    return [[PlanRow("a.parquet", group, row, row) for row in range(size)] for group, size in enumerate(sizes)]


def test_rows_of_a_plan_of_an_earlier_version_are_read(tmp_path: Path) -> None:
    columns = {"file": ["a.csv"], "group": [None], "row": [1], "index": [2], "text": ["text"], "summary": ["summary"]}
    pq.write_table(pa.table(columns), tmp_path / "rows.parquet")
    assert list(read_plan_rows(tmp_path / "rows.parquet")) == [PlanRow("a.csv", None, 1, 2, "text", "summary")]


@settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(st.lists(st.integers(0, 10), max_size=12))
def test_no_row_is_lost_and_no_row_group_is_in_two_shards(tmp_path: Path, sizes: list[int]) -> None:
    cutter = ShardCutter(tmp_path, rows_per_shard=10)
    cutter.start_split("train")
    groups = build_groups(sizes)
    for group in groups:
        cutter.add_group(group)
    cutter.finish()
    shards = read_shards(cutter, tmp_path)
    assert [row for shard in shards for row in shard] == [row for group in groups for row in group]
    assert all(0 < len(shard) <= 10 for shard in shards)
    seen = [group for shard in shards for group in {row.group for row in shard}]
    assert len(seen) == len(set(seen))


def test_rows_that_carry_their_text_fill_shards_to_the_limit(tmp_path: Path) -> None:
    cutter = ShardCutter(tmp_path, rows_per_shard=1500)
    cutter.start_split("train")
    rows = [PlanRow("a.csv", None, number, number, f"text {number}", "summary") for number in range(4000)]
    for row in rows:
        cutter.add(row)
    cutter.finish()
    assert [shard.documents for shard in cutter.shards] == [1500, 1500, 1000]
    assert [row for shard in read_shards(cutter, tmp_path) for row in shard] == rows


def test_a_shard_holds_one_split_only(tmp_path: Path) -> None:
    cutter = ShardCutter(tmp_path, rows_per_shard=10)
    for split in ["test", "validation", "train"]:
        cutter.start_split(split)
        if split != "validation":
            cutter.add_group(build_groups([3])[0])
    cutter.finish()
    assert [(shard.split, shard.documents) for shard in cutter.shards] == [("test", 3), ("train", 3)]


def test_equal_rows_give_equal_digests(tmp_path: Path) -> None:
    cutter = ShardCutter(tmp_path, rows_per_shard=3)
    cutter.start_split("train")
    for group in [*build_groups([3]), *build_groups([3])]:
        cutter.add_group(group)
    cutter.finish()
    assert cutter.shards[0] == cutter.shards[1]
