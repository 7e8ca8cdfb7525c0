from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from deepsynth_api.errors import DataError
from deepsynth_train.data.files.page_table import PageTable
from support.training.page_dataset import draw_page


def build_table(folder: Path, cells: Any) -> PageTable:
    folder.mkdir(exist_ok=True)
    table = pa.table({"image": cells})
    with pa.OSFile(str(folder / "pages.arrow"), "wb") as sink, pa.ipc.new_file(sink, table.schema) as writer:
        writer.write_table(table)
    return PageTable([folder / "pages.arrow"])


def test_a_cell_without_an_image_is_refused_by_its_row(tmp_path: Path) -> None:
    table = build_table(tmp_path, [{"bytes": b"x", "path": None}, {"bytes": None, "path": None}])
    assert table.read_image(0, "row 0") == b"x"
    with pytest.raises(DataError, match=r"row 1: column 'image' must hold .* got none; upload the row again"):
        table.read_image(1, "row 1")


def test_parquet_with_paths_only_is_refused_with_the_way_to_put_the_images_in(tmp_path: Path) -> None:
    """As `to_parquet` of a dataset from the imagefolder builder writes it; the remedy is tried here."""
    import datasets

    (tmp_path / "images").mkdir()
    (tmp_path / "images/0.png").write_bytes(draw_page("a"))
    dataset: Any = datasets.Dataset.from_dict({"image": [str(tmp_path / "images/0.png")]})
    dataset = dataset.cast_column("image", datasets.Image())
    dataset.to_parquet(tmp_path / "paths.parquet")
    table = build_table(tmp_path / "arrow", pq.read_table(tmp_path / "paths.parquet")["image"])
    with pytest.raises(DataError) as refused:
        table.read_image(0, "row 0")
    assert f"got the path '{tmp_path}/images/0.png'" in refused.value.message
    remedy = refused.value.message.partition("from ")[2].partition(", which")[0]

    dataset = eval(remedy, {"dataset": dataset, "datasets": datasets})  # noqa: S307 - our own message
    dataset.to_parquet(tmp_path / "bytes.parquet")
    table = build_table(tmp_path / "arrow", pq.read_table(tmp_path / "bytes.parquet")["image"])
    assert table.read_image(0, "row 0") == draw_page("a")
