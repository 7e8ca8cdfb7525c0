"""From parquet to samples. Everything that can be wrong with data has one clear error."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from deepsynth_api.errors import DataError
from deepsynth_train.coordination.progress import DroppedSamples
from deepsynth_train.data.selection import build
from support.training.page_dataset import build_document, build_documents, draw_noise, write_dataset, write_split
from support.training.tiny_training import build_model
from support.training.train_workloads import VIT
from unit.deepsynth_train.data.page_loading import load

if TYPE_CHECKING:
    from pathlib import Path

    from deepsynth_train.data.files.columns import Task
    from deepsynth_train.models.interface.page_model import PageModel
    from unit.deepsynth_train.data.page_loading import Limits


def test_for_summarize_a_sample_is_a_document_with_its_pages_in_order(tmp_path: Path, model: PageModel) -> None:
    write_dataset(tmp_path, {"train": build_documents(4), "validation": build_documents(2, start=9)})
    data = load(tmp_path, model, validation="validation")
    assert data.train.index.pages.tolist() == [1, 2, 3, 1]
    assert data.train.read_label(2) == "document 2"
    assert data.train.read_pages(2) == [draw_noise(200 + page) for page in range(3)]
    assert data.validation is not None
    assert [data.validation.read_label(n) for n in range(2)] == ["document 9", "document 10"]


@pytest.mark.parametrize("splits", [["train"], ["train", "validation"]])
def test_without_a_validation_split_in_the_spec_the_one_of_the_dataset_is_used(
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


def test_samples_of_several_files_have_consecutive_numbers(tmp_path: Path, model: PageModel) -> None:
    for number in range(3):
        write_split(tmp_path, "train", build_document(number, pages=2), number)
    data = load(tmp_path, model)
    assert [data.train.read_label(n) for n in range(3)] == [f"document {n}" for n in range(3)]
    assert data.train.read_pages(2) == [draw_noise(200), draw_noise(201)]


def test_without_document_ids_each_row_is_a_document(tmp_path: Path, model: PageModel) -> None:
    rows = [{key: row[key] for key in ("image", "summary")} for row in build_documents(3)]
    write_split(tmp_path, "train", rows)
    assert load(tmp_path, model).train.index.pages.tolist() == [1] * 6


def test_each_row_without_a_document_id_is_a_document(tmp_path: Path, model: PageModel) -> None:
    rows = [row for n in range(5) for row in build_document(n, document_id=None if n % 2 == 0 else "d")]
    for row in rows:
        del row["num_pages"]
    write_split(tmp_path, "train", [*rows, *rows[1:2]])
    index = load(tmp_path, model).train.index
    assert index.first.tolist() == [0, 1, 2, 3, 4, 5]
    assert index.pages.tolist() == [1] * 6


def test_a_document_whose_number_of_pages_is_null_is_complete(tmp_path: Path, model: PageModel) -> None:
    rows = [*build_document(0, pages=2, num_pages=None), *build_document(1, pages=2, num_pages=3.0)]
    write_split(tmp_path, "train", rows)
    index = load(tmp_path, model, limits=(None, None, 100)).train.index
    assert index.pages.tolist() == [2]
    assert index.dropped == (DroppedSamples("PagesMissing", 1),)


@pytest.mark.parametrize("value", [3, 1.5, ["a"], {"a": "b"}, b"a", True])
def test_labels_that_are_not_text_are_refused_by_their_column(value: Any, tmp_path: Path, model: PageModel) -> None:
    write_split(tmp_path, "train", build_document(0, summary=value))
    with pytest.raises(
        DataError, match=r"spec.datasets\[d\] \(train split\): column 'summary' must hold text, got \w+"
    ):
        load(tmp_path, model)


def test_a_number_of_pages_that_is_text_is_refused(tmp_path: Path, model: PageModel) -> None:
    write_split(tmp_path, "train", build_document(0, num_pages="1"))
    with pytest.raises(DataError, match="column 'num_pages' must hold whole numbers, got string"):
        load(tmp_path, model)


@pytest.mark.parametrize(
    ("column", "where"), [("summary", "train split.: row 1: the label"), ("document_id", "column 'document_id'")]
)
def test_text_that_is_not_utf8_is_refused(column: str, where: str, tmp_path: Path, model: PageModel) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    path = write_split(tmp_path, "train", build_documents(2))
    table = pq.read_table(path)
    cells = pa.array([b"fine", b"\xff\xfe", b"fine"]).view(pa.string())
    pq.write_table(table.set_column(table.column_names.index(column), column, cells), path)
    with pytest.raises(DataError, match=f"{where} is not UTF-8"):
        load(tmp_path, model)


def test_a_sample_is_named_by_its_dataset_and_its_rows_there(tmp_path: Path, model: PageModel) -> None:
    from deepsynth_train.data.files.page_table import RowNames

    names = RowNames({"a": 100, "b": 50}, {"a": "train", "b": "train"})
    assert names.name(99) == "spec.datasets[a]: row 99 of the train split"
    assert names.name(103, 2) == "spec.datasets[b]: rows 3 to 4 of the train split"
    write_split(tmp_path, "train", build_documents(3))
    assert load(tmp_path, model).train.name(2) == "spec.datasets[d]: rows 3 to 5 of the train split"


def test_a_bad_page_in_the_middle_of_a_document_is_named_by_its_own_row(tmp_path: Path, model: PageModel) -> None:
    rows = build_document(0, pages=3)
    write_split(tmp_path, "train", [*rows[:1], {**rows[1], "image": {"bytes": b"no image", "path": None}}, rows[2]])
    with pytest.raises(DataError, match=r"train-00000.parquet of .* damaged \(1\); row 1: the page is not an image"):
        load(tmp_path, model)


@pytest.mark.parametrize("image", [None, {"bytes": None, "path": "page.png"}])
def test_a_row_without_an_image_is_named(image: Any, tmp_path: Path, model: PageModel) -> None:
    write_split(tmp_path, "train", [*build_document(0), *build_document(1, image=image)])
    with pytest.raises(DataError, match=r"^spec.datasets\[d\]: row 1 of the train split: column 'image' must hold"):
        load(tmp_path, model).train.open_pages(1)


@pytest.mark.parametrize(("task", "column"), [("ocr", "text"), ("summarize", "summary"), ("ocr", "image")])
def test_a_missing_column_is_named_with_the_existing_ones(
    task: Task, column: str, tmp_path: Path, model: PageModel
) -> None:
    rows = [{key: value for key, value in row.items() if key != column} for row in build_documents(1)]
    write_split(tmp_path, "train", rows)
    with pytest.raises(DataError, match=f"no column '{column}'.*document_id") as refused:
        load(tmp_path, model, task)
    others = {"text": "summarize to use the column 'summary'", "summary": "ocr to use the column 'text'"}
    assert refused.value.message.endswith(f"; set spec.task to {others[column]}") if column in others else True


def test_an_empty_dataset_is_an_error(tmp_path: Path, model: PageModel) -> None:
    import pyarrow.parquet as pq

    path = write_split(tmp_path, "train", build_documents(1))
    pq.write_table(pq.read_table(path).slice(0, 0), path)
    with pytest.raises(DataError, match=r"spec.datasets\[d\] \(train split\): no usable sample \(it is empty\)"):
        load(tmp_path, model)


def test_samples_that_do_not_fit_are_dropped_as_a_whole_and_counted_by_reason(tmp_path: Path, model: PageModel) -> None:
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


@pytest.mark.parametrize(("name", "limit"), [("_BATCH_LABELS", 3), ("_BATCH_CHARACTERS", 25)])
def test_labels_are_counted_in_batches_over_files(
    name: str, limit: int, tmp_path: Path, model: PageModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(4):
        write_split(tmp_path, "train", build_documents(2, start=2 * number), number)
    whole = load(tmp_path, model).train.index.tokens.tolist()
    monkeypatch.setattr(build, name, limit)
    assert load(tmp_path, model).train.index.tokens.tolist() == whole


def test_a_model_of_one_page_drops_longer_documents(tmp_path: Path) -> None:
    write_split(tmp_path, "train", build_documents(3))
    data = load(tmp_path, build_model(VIT), limits=(None, None, 100))
    assert data.train.index.dropped == (DroppedSamples("TooManyPages", 2),)


def test_the_remedy_for_dropped_samples_is_about_the_reason_they_were_dropped(tmp_path: Path) -> None:
    write_split(tmp_path, "train", build_documents(3))
    with pytest.raises(DataError, match="use a model that reads more pages") as error:
        load(tmp_path, build_model(VIT), limits=(None, None, 1))
    assert "Token" not in error.value.message


@pytest.mark.parametrize(
    ("document", "limits", "words"),
    [
        ({"summary": ""}, (None, None, 1), r"1 NoLabel; .*a summary or a text"),
        ({"pages": 2, "num_pages": 3}, (None, None, 1), r"1 PagesMissing; .*publish the dataset again"),
        ({"summary": "x" * 100}, (20, None, 1), r"1 LabelTooLong; .*spec.maxLabelTokens"),
        ({"pages": 9}, (None, 1000, 1), r"1 SequenceTooLong; .*spec.maxSequenceTokens"),
    ],
)
def test_each_reason_to_drop_a_sample_has_its_remedy(
    tmp_path: Path, model: PageModel, document: dict[str, Any], limits: Limits, words: str
) -> None:
    write_split(tmp_path, "train", [*build_document(0), *build_document(1, **document)])
    with pytest.raises(DataError, match=words) as error:
        load(tmp_path, model, limits=limits)
    assert error.value.reason == "TooManySamplesDropped"


def test_more_dropped_than_allowed_ends_the_run_with_the_counts(tmp_path: Path, model: PageModel) -> None:
    write_split(tmp_path, "train", [*build_document(0), *build_document(1, summary="x" * 100)])
    with pytest.raises(
        DataError, match=r"50.0 % of 2 samples dropped \(1 LabelTooLong; the first is row 1\).*maxDroppedPercent 49"
    ):
        load(tmp_path, model, limits=(20, None, 49))
