from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from deepsynth_api.errors import DataError
from deepsynth_render.documents.plan_rows import PlanRow, RowsHeader, read_plan_rows, read_rows_header
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


def test_a_file_of_rows_says_what_its_shard_is(tmp_path: Path) -> None:
    cutter = ShardCutter(tmp_path, rows_per_shard=3)
    cutter.start_split("train")
    for number in range(4):
        cutter.add(PlanRow("a.csv", None, number, number, "text", "summary"), "validation" if number == 1 else None)
    cutter.finish()
    headers = [read_rows_header(path) for path in cutter.files.values()]
    assert headers == [
        (RowsHeader(split="train"), 3),
        (RowsHeader(split="validation", source_split="train"), 1),
    ]


@pytest.mark.parametrize("known_ahead", [0, 2])
def test_configurations_are_counted_up_to_the_last_row_of_a_shard_however_many_are_known(
    tmp_path: Path, known_ahead: int
) -> None:
    """Rows are read ahead of those that are planned, further by several processes. fr has 2 rows, de none, it 4."""
    cutter = ShardCutter(tmp_path, rows_per_shard=3)
    cutter.start_split("train")
    starts = [("fr", 0), ("de", 2), ("it", 2), ("es", 6)]
    for number in range(6):
        while starts and starts[0][1] <= number + known_ahead:
            cutter.start_config(*starts.pop(0))
        cutter.add(PlanRow("a.csv", None, number, number, "text", "summary"))
    cutter.finish()
    counts = [read_rows_header(path)[0].config_rows for path in cutter.files.values()]
    assert counts == [{"fr": 2, "de": 0, "it": 1}, {"fr": 2, "de": 0, "it": 4}]


def test_finished_shards_have_no_gaps_between_them_and_each_is_announced(tmp_path: Path) -> None:
    """Only two documents are held out, so the shard of the first one is finished last."""
    seen: list[list[str]] = []
    cutter = ShardCutter(tmp_path, rows_per_shard=2, on_finish=lambda: seen.append(list(cutter.files)))
    cutter.start_split("train")
    for number in range(7):
        cutter.add(PlanRow("a.csv", None, number, number, "text", "s"), "validation" if number in {0, 6} else None)
    cutter.finish()
    assert [len(files) for files in seen] == [1, 2, 3, 4]
    assert seen[-1] == [rows_path(number) for number in range(4)]
    assert [shard.split for shard in cutter.shards] == ["train", "train", "validation", "train"]


@pytest.mark.parametrize("damage", ["end", "middle", "other"])
def test_damaged_rows_are_found(tmp_path: Path, damage: str) -> None:
    cutter = ShardCutter(tmp_path, rows_per_shard=3000)
    cutter.start_split("train")
    for number in range(2000):
        cutter.add(PlanRow("a.csv", None, number, number, f"text {number * 7919 % 1000}", "summary"))
    cutter.finish()
    (path,) = cutter.files.values()
    content = path.read_bytes()
    path.write_bytes(content[:-9] if damage == "end" else content[:200] + b"\xff" * 1500 + content[1700:])
    if damage == "other":
        pq.write_table(pa.table({"file": ["a.csv"]}), path)
    with pytest.raises(DataError, match=r"rows-00000\.parquet in staging is damaged"):
        _ = read_rows_header(path), list(read_plan_rows(path))
