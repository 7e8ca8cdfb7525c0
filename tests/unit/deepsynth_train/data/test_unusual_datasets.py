"""Datasets of pages that other programs wrote: the right documents, or a refusal that names file and column."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from deepsynth_api.errors import DataError
from support.training.page_dataset import draw_noise
from unit.deepsynth_train.data.page_loading import Limits, load

if TYPE_CHECKING:
    from deepsynth_train.data.dataset import TrainingData
    from deepsynth_train.models.interface.page_model import PageModel

PAGES = [draw_noise(number) for number in range(6)]
LABELS = [f"label {number}" for number in range(6)]
IDS = ["a", "a", "b", "b", "b", "c"]
ANY_LOSS: Limits = (None, None, 100)


def write(folder: Path, *tables: Any) -> Path:
    (folder / "data").mkdir(parents=True)
    for number, table in enumerate(tables):
        pq.write_table(table, folder / f"data/train-{number:05d}.parquet")
    return folder


def build(first: int = 0, stop: int = 6, **columns: Any) -> Any:
    return pa.table({"image": PAGES[first:stop], "summary": LABELS[first:stop], **columns})


def list_documents(data: "TrainingData", pages: list[bytes] = PAGES) -> list[tuple[str, list[int]]]:
    """(label, numbers of the pages) of each sample."""
    samples = data.train
    return [
        (samples.read_label(number), [pages.index(page) for page in samples.read_pages(number)])
        for number in range(len(samples))
    ]


@pytest.mark.parametrize(
    "pages",
    [
        pa.array([1, 0, 2, 1, 0, 0], pa.int8()),
        pa.array([2.0, 1.0, 3.0, 2.0, 1.0, 1.0]),
        pa.array([-1, -2, 2, 1, 0, 0]),
        pa.array(["1", "0", "11", "10", "9", "7"]),
        pa.array(["1", "0", "11", "10", "9", "7"], pa.string_view()),
        pa.array(["1", "0", "2", "1", "0", "0"]).dictionary_encode(),
        pa.array([1, 0, 2, 1, 0, 0]).cast(pa.decimal128(20, 0)),
    ],
    ids=lambda pages: str(pages.type),
)
@pytest.mark.parametrize(
    "ids", [IDS, pa.array(IDS, pa.string_view()), [1, 1, 2, 2, 2, 3], [name.encode() for name in IDS]]
)
def test_pages_are_sorted_by_numbers_of_any_type(tmp_path: Path, model: "PageModel", pages: Any, ids: Any) -> None:
    data = load(write(tmp_path / "d", build(document_id=ids, page=pages)), model)
    assert list_documents(data) == [("label 1", [1, 0]), ("label 4", [4, 3, 2]), ("label 5", [5])]


def test_the_pages_of_a_document_need_not_be_in_one_run_of_rows(tmp_path: Path, model: "PageModel") -> None:
    folder = write(tmp_path / "d", build(document_id=["a", "b", "a", "b", "c", "c"], page=[1, 0, 0, 1, 0, 1]))
    assert list_documents(load(folder, model)) == [("label 2", [2, 0]), ("label 1", [1, 3]), ("label 4", [4, 5])]


def test_an_id_that_was_given_twice_is_two_documents(tmp_path: Path, model: "PageModel") -> None:
    folder = write(tmp_path / "d", build(document_id=["a", "a", "b", "b", "a", "a"], page=[0, 1, 0, 1, 0, 1]))
    assert [pages for _, pages in list_documents(load(folder, model))] == [[0, 1], [2, 3], [4, 5]]


def test_a_document_in_two_files_is_whole(tmp_path: Path, model: "PageModel") -> None:
    tables = [build(0, 3, document_id=IDS[:3], page=[0, 1, 0]), build(3, 6, document_id=IDS[3:], page=[1, 2, 0])]
    assert [pages for _, pages in list_documents(load(write(tmp_path / "d", *tables), model))] == [
        [0, 1],
        [2, 3, 4],
        [5],
    ]


def test_a_document_whose_pages_are_disordered_over_two_files_is_dropped_and_counted(
    tmp_path: Path, model: "PageModel"
) -> None:
    tables = [build(0, 3, document_id=IDS[:3], page=[0, 1, 2]), build(3, 6, document_id=IDS[3:], page=[0, 1, 0])]
    data = load(write(tmp_path / "d", *tables), model, limits=ANY_LOSS)
    assert [pages for _, pages in list_documents(data)] == [[0, 1], [5]]
    assert [(drop.reason, drop.samples) for drop in data.train.index.dropped] == [("PagesMissing", 1)]


def test_a_column_that_one_file_lacks_is_null_there(tmp_path: Path, model: "PageModel") -> None:
    tables = [build(0, 3, document_id=IDS[:3], page=[1, 0, 0]), build(3, 6)]
    documents = [pages for _, pages in list_documents(load(write(tmp_path / "d", *tables), model))]
    assert documents == [[1, 0], [2], [3], [4], [5]]


def test_samples_of_a_file_without_labels_are_counted(tmp_path: Path, model: "PageModel") -> None:
    folder = write(tmp_path / "d", build(0, 3), build(3, 6).drop_columns("summary"))
    data = load(folder, model, limits=ANY_LOSS)
    assert [label for label, _ in list_documents(data)] == LABELS[:3]
    assert [(drop.reason, drop.samples) for drop in data.train.index.dropped] == [("NoLabel", 3)]


@pytest.mark.parametrize("blank", [None, "", " ", "\n\t\n", "\u00a0\u2003"])
def test_a_label_of_blanks_is_none(tmp_path: Path, model: "PageModel", blank: str | None) -> None:
    folder = write(tmp_path / "d", pa.table({"image": PAGES, "summary": [blank, *LABELS[1:]]}))
    assert [label for label, _ in list_documents(load(folder, model, limits=ANY_LOSS))] == LABELS[1:]


@pytest.mark.parametrize("kind", [pa.binary(), pa.large_binary(), pa.binary_view()])
def test_images_may_be_encoded_in_any_way(tmp_path: Path, model: "PageModel", kind: Any) -> None:
    column = pa.array(PAGES, kind)
    table = pa.table({"image": column, "summary": LABELS})
    assert [pages for _, pages in list_documents(load(write(tmp_path / "d", table), model))] == [[n] for n in range(6)]


def test_images_may_be_in_a_dictionary(tmp_path: Path, model: "PageModel") -> None:
    repeated = [PAGES[0], PAGES[1], PAGES[0]]
    table = pa.table({"image": pa.array(repeated).dictionary_encode(), "summary": LABELS[:3]})
    assert [pages for _, pages in list_documents(load(write(tmp_path / "d", table), model))] == [[0], [1], [0]]


@pytest.mark.parametrize("name", ["image", "summary", "page"])
def test_two_columns_of_one_name_are_refused(tmp_path: Path, model: "PageModel", name: str) -> None:
    table = build(document_id=IDS, page=[0, 1, 0, 1, 2, 0])
    folder = write(tmp_path / "d", table.append_column(name, table.column(name)))
    with pytest.raises(
        DataError, match=rf"train-00000\.parquet of .*has several columns named '{name}'; rename or remove"
    ):
        load(folder, model)


@pytest.mark.parametrize("ids", [[[name] for name in IDS], [{"part": name} for name in IDS]])
def test_ids_that_are_neither_text_nor_numbers_are_refused(tmp_path: Path, model: "PageModel", ids: Any) -> None:
    folder = write(tmp_path / "d", build(document_id=ids, page=[0] * 6))
    with pytest.raises(
        DataError, match=r"column 'document_id' must hold text or numbers, got .*; convert or remove it"
    ):
        load(folder, model)


def test_a_pointer_of_git_lfs_is_named_as_such(tmp_path: Path, model: "PageModel") -> None:
    folder = write(tmp_path / "d", build())
    (folder / "data/train-00000.parquet").write_text("version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\n")
    with pytest.raises(DataError, match="is a pointer of Git LFS, not the file; run `git lfs pull` there"):
        load(folder, model)
