"""From parquet to samples: everything that can be wrong with data has one clear error."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from deepsynth_api.errors import ConfigurationError, DataError
from deepsynth_api.workload import WorkloadDataset
from deepsynth_train.data.materialise import materialise
from deepsynth_train.progress import DroppedSamples
from support.page_dataset import build_document, build_documents, draw_noise, write_dataset, write_split
from support.tiny_training import VIT, build_model

if TYPE_CHECKING:
    from pathlib import Path

    from deepsynth_train.data.dataset import TrainingData
    from deepsynth_train.data.samples import Task
    from deepsynth_train.models import PageModel

LimitNumbers = tuple[int | None, int | None, int]
"""Label tokens, sequence tokens, and the percentage of samples that may be dropped."""


@pytest.fixture(scope="module")
def model() -> PageModel:
    return build_model()


def describe(folder: Path, validation: str | None = "", **changes: Any) -> WorkloadDataset:
    return WorkloadDataset(name="d", uri=f"file://{folder}", validation_split=validation, **changes)


def load(
    folder: Path, model: PageModel, task: Task = "summarize", limits: LimitNumbers = (None, None, 0), **changes: Any
) -> TrainingData:
    from deepsynth_train.data.dataset import index_data, open_data
    from deepsynth_train.data.samples import Limits

    cache = folder.with_name(f"{folder.name}-cache")
    local = materialise([describe(folder, **changes)], cache, lambda *_: None)
    index_data(local, task, model, Limits(*limits), folder=cache / "index", on_rows=lambda: None)
    return open_data(cache / "index", task)


def test_for_summarize_a_sample_is_a_document_with_its_pages_in_order(tmp_path: Path, model: PageModel) -> None:
    write_dataset(tmp_path, {"train": build_documents(4), "validation": build_documents(2, start=9)})
    data = load(tmp_path, model, validation="validation")
    assert data.train.index.pages.tolist() == [1, 2, 3, 1]
    assert data.train.read_label(2) == "document 2"
    assert data.train.read_pages(2) == [draw_noise(200 + page) for page in range(3)]
    assert data.validation is not None
    assert [data.validation.read_label(n) for n in range(2)] == ["document 9", "document 10"]


@pytest.mark.parametrize("splits", [["train"], ["train", "validation"]])
def test_without_a_word_the_validation_split_is_measured_on_where_there_is_one(
    tmp_path: Path, model: PageModel, splits: list[str]
) -> None:
    write_dataset(tmp_path, {split: build_documents(2) for split in splits})
    data = load(tmp_path, model, validation=None)
    assert (data.validation is not None) == ("validation" in splits)


def test_for_ocr_a_sample_is_a_page_with_its_text(tmp_path: Path, model: PageModel) -> None:
    write_dataset(tmp_path, {"train": build_documents(3)})
    data = load(tmp_path, model, "ocr")
    assert [data.train.read_label(n) for n in range(len(data.train))] == [
        "page 0 of 0",
        "page 0 of 1",
        "page 1 of 1",
        "page 0 of 2",
        "page 1 of 2",
        "page 2 of 2",
    ]
    assert data.train.read_pages(2) == [draw_noise(101)]


def test_samples_of_several_files_are_numbered_through(tmp_path: Path, model: PageModel) -> None:
    for number in range(3):
        write_split(tmp_path, "train", build_document(number, pages=2), number)
    data = load(tmp_path, model)
    assert [data.train.read_label(n) for n in range(3)] == [f"document {n}" for n in range(3)]
    assert data.train.read_pages(2) == [draw_noise(200), draw_noise(201)]


def test_without_document_ids_each_row_is_a_document(tmp_path: Path, model: PageModel) -> None:
    rows = [{key: row[key] for key in ("image", "summary")} for row in build_documents(3)]
    write_split(tmp_path, "train", rows)
    assert load(tmp_path, model).train.index.pages.tolist() == [1] * 6


def test_what_is_materialised_is_not_fetched_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_dataset(tmp_path / "pages", {"train": build_documents(2)})
    calls: list[tuple[int, int]] = []
    first = materialise(
        [describe(tmp_path / "pages")], tmp_path.with_name(f"{tmp_path.name}-cache"), lambda *call: calls.append(call)
    )
    assert calls[0][0] == 0
    assert calls[-1][0] == calls[-1][1] > 0
    monkeypatch.setattr("deepsynth_train.data.materialise.convert_parquet", None)
    assert (
        materialise([describe(tmp_path / "pages")], tmp_path.with_name(f"{tmp_path.name}-cache"), lambda *_: None)
        == first
    )


def test_another_content_at_the_same_place_is_fetched_again(tmp_path: Path, model: PageModel) -> None:
    write_dataset(tmp_path / "pages", {"train": build_documents(2)})
    first = materialise([describe(tmp_path / "pages")], tmp_path.with_name(f"{tmp_path.name}-cache"), lambda *_: None)
    write_dataset(tmp_path / "pages", {"train": build_documents(3)})
    assert (
        materialise([describe(tmp_path / "pages")], tmp_path.with_name(f"{tmp_path.name}-cache"), lambda *_: None)
        != first
    )


def test_a_flipped_byte_in_a_shard_is_found_by_the_manifest(tmp_path: Path) -> None:
    write_dataset(tmp_path, {"train": build_documents(2)})
    path = tmp_path / "data" / "train-00000.parquet"
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"data/train-00000.parquet of .* is damaged"):
        materialise([describe(tmp_path)], tmp_path.with_name(f"{tmp_path.name}-cache"), lambda *_: None)


def test_a_shard_that_the_manifest_names_and_nobody_has_is_an_error(tmp_path: Path) -> None:
    write_dataset(tmp_path, {"train": build_documents(2), "validation": build_documents(1)})
    (tmp_path / "data" / "train-00000.parquet").unlink()
    with pytest.raises(DataError, match=r"data/train-00000.parquet"):
        materialise([describe(tmp_path)], tmp_path.with_name(f"{tmp_path.name}-cache"), lambda *_: None)


def test_a_file_that_is_no_parquet_is_named(tmp_path: Path) -> None:
    write_split(tmp_path, "train", build_documents(1)).write_bytes(b"PAR1 no")
    with pytest.raises(DataError, match=r"data/train-00000.parquet of file://.* is no readable parquet file"):
        materialise([describe(tmp_path)], tmp_path.with_name(f"{tmp_path.name}-cache"), lambda *_: None)


def test_too_little_room_is_said_with_the_figure(tmp_path: Path) -> None:
    write_dataset(tmp_path, {"train": build_documents(2)})
    with pytest.raises(ConfigurationError, match=r"spec.cache.sizeLimit: the datasets need [\d,]+ bytes .* has 10"):
        materialise([describe(tmp_path)], tmp_path.with_name(f"{tmp_path.name}-cache"), lambda *_: None, cache_bytes=10)


def test_a_split_that_is_not_there_is_named_with_those_that_are(tmp_path: Path) -> None:
    write_dataset(tmp_path, {"train": build_documents(1), "test": build_documents(1)})
    with pytest.raises(DataError, match=r"validationSplit: .* no parquet files of split 'validation'; .*: test, train"):
        materialise([describe(tmp_path, "validation")], tmp_path.with_name(f"{tmp_path.name}-cache"), lambda *_: None)


@pytest.mark.parametrize(("task", "column"), [("ocr", "text"), ("summarize", "summary"), ("ocr", "image")])
def test_a_missing_column_is_named_with_those_that_are_there(
    task: Task, column: str, tmp_path: Path, model: PageModel
) -> None:
    rows = [{key: value for key, value in row.items() if key != column} for row in build_documents(1)]
    write_split(tmp_path, "train", rows)
    with pytest.raises(DataError, match=f"no column '{column}'.*document_id"):
        load(tmp_path, model, task)


def test_an_empty_dataset_is_an_error(tmp_path: Path, model: PageModel) -> None:
    path = write_split(tmp_path, "train", build_documents(1))
    pq.write_table(pq.read_table(path).slice(0, 0), path)
    with pytest.raises(DataError, match=r"spec.datasets\[d\] \(train split\) has no sample to use \(it is empty\)"):
        load(tmp_path, model)


def test_samples_that_do_not_fit_are_left_out_as_a_whole_and_counted_by_reason(
    tmp_path: Path, model: PageModel
) -> None:
    rows = [
        *build_document(0),
        *build_document(1, summary="x" * 51),
        *build_document(2, summary=""),
        *build_document(3, pages=9, summary="y"),
        *build_document(4, pages=2, num_pages=3),
        *build_document(5, summary="z" * 49),
    ]
    write_split(tmp_path, "train", rows)
    data = load(tmp_path, model, limits=(50, 1000, 100))
    assert [data.train.read_label(n) for n in range(len(data.train))] == ["document 0", "z" * 49]
    assert data.train.index.dropped == (
        DroppedSamples("NoLabel", 1),
        DroppedSamples("PagesMissing", 1),
        DroppedSamples("LabelTooLong", 1),
        DroppedSamples("SequenceTooLong", 1),
    )


def test_a_model_of_one_page_leaves_longer_documents_out(tmp_path: Path) -> None:
    write_split(tmp_path, "train", build_documents(3))
    data = load(tmp_path, build_model(VIT), limits=(None, None, 100))
    assert data.train.index.dropped == (DroppedSamples("TooManyPages", 2),)


def test_the_remedy_for_dropped_samples_is_about_what_dropped_them(tmp_path: Path) -> None:
    write_split(tmp_path, "train", build_documents(3))
    with pytest.raises(DataError, match="take a model that reads more pages") as error:
        load(tmp_path, build_model(VIT), limits=(None, None, 1))
    assert "Token" not in error.value.message


@pytest.mark.parametrize(
    ("document", "limits", "words"),
    [
        ({"summary": ""}, (None, None, 1), r"1 NoLabel\).*a summary or a text"),
        ({"pages": 2, "num_pages": 3}, (None, None, 1), r"1 PagesMissing\).*publish the dataset anew"),
        ({"summary": "x" * 100}, (20, None, 1), r"1 LabelTooLong\).*spec.maxLabelTokens"),
        ({"pages": 9}, (None, 1000, 1), r"1 SequenceTooLong\).*spec.maxSequenceTokens"),
    ],
)
def test_each_reason_to_leave_a_sample_out_has_its_remedy(
    tmp_path: Path, model: PageModel, document: dict[str, Any], limits: LimitNumbers, words: str
) -> None:
    write_split(tmp_path, "train", [*build_document(0), *build_document(1, **document)])
    with pytest.raises(DataError, match=words) as error:
        load(tmp_path, model, limits=limits)
    assert error.value.reason == "TooManySamplesDropped"


def test_more_left_out_than_allowed_ends_the_run_with_the_counts(tmp_path: Path, model: PageModel) -> None:
    write_split(tmp_path, "train", [*build_document(0), *build_document(1, summary="x" * 100)])
    with pytest.raises(DataError, match=r"50.0 % of 2 samples are left out \(1 LabelTooLong\).*maxDroppedPercent 49"):
        load(tmp_path, model, limits=(20, None, 49))


def test_the_length_that_is_counted_is_the_length_that_is_fed(tmp_path: Path, model: PageModel) -> None:
    from deepsynth_train.data.loader import BatchMaker

    write_split(tmp_path, "train", build_documents(3))
    data = load(tmp_path, model)
    batch = BatchMaker(data.train, model).make_batch([2])
    assert batch.inputs["input_ids"].shape[1] + 1 == data.train.index.tokens[2], "EOS is predicted, not fed"


def test_pages_of_different_sizes_make_one_batch(tmp_path: Path, model: PageModel) -> None:
    from deepsynth_train.data.loader import BatchMaker

    sizes = [(64, 64), (100, 50), (31, 200)]
    rows = [
        row
        for n, size in enumerate(sizes)
        for row in build_document(n, image={"bytes": draw_noise(n, size), "path": None})
    ]
    write_split(tmp_path, "train", rows)
    batch = BatchMaker(load(tmp_path, model).train, model).make_batch([0, 1, 2])
    assert batch.inputs["pixel_values"].shape == (3, 3, 64, 64)


def test_swapped_pages_keep_the_label_and_black_ones_have_none(tmp_path: Path, model: PageModel) -> None:
    from deepsynth_train.data.loader import BatchMaker

    write_split(tmp_path, "train", build_documents(2))
    maker = BatchMaker(load(tmp_path, model).train, model)
    swapped, own = maker.read_sample(0, pages_of=1), maker.read_sample(0)
    assert swapped.label == own.label
    assert np.array_equal(swapped.pages, maker.read_sample(1).pages)


def test_a_filler_counts_for_nothing(tmp_path: Path, model: PageModel) -> None:
    from deepsynth_train.data.loader import BatchMaker

    write_split(tmp_path, "train", build_documents(1))
    filler = BatchMaker(load(tmp_path, model).train, model).make_filler()
    assert (filler.samples, len(filler.targets), int(filler.rows.sum())) == (0, 0, 0)


def test_a_cell_without_bytes_is_an_error(tmp_path: Path, model: PageModel) -> None:
    row = {**build_document(0)[0], "image": {"bytes": b"", "path": "page.png"}}
    path = write_split(tmp_path, "train", [row])
    table = pq.read_table(path)
    image = pa.array([{"bytes": None, "path": "page.png"}], table.schema.field("image").type)
    pq.write_table(table.set_column(0, table.schema.field("image"), image), path)
    data = load(tmp_path, model)
    with pytest.raises(DataError, match="row 0: column 'image' holds no bytes"):
        data.train.read_pages(0)


def test_prefetching_keeps_the_order_and_raises_an_error_in_its_turn() -> None:
    from deepsynth_train.data.loader import prefetch

    def work(number: int) -> int:
        if number == 5:
            raise DataError("bad row")
        return number * number

    results = prefetch(range(9), work, threads=2)
    assert [next(results) for _ in range(5)] == [0, 1, 4, 9, 16]
    with pytest.raises(DataError, match="bad row"):
        next(results)
