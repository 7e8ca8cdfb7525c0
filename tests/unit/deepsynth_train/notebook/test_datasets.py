"""The forms of `data`, up to the parquet file that training reads."""

from __future__ import annotations

import csv
import io
import json
import os
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image

from deepsynth_api.errors import DataError
from deepsynth_train.data.files.in_memory import compute_name, write_pages
from deepsynth_train.notebook.datasets import read_data
from deepsynth_train.notebook.source import Source
from support.training.page_dataset import draw_noise

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from deepsynth_train.data.files.columns import Task
    from deepsynth_train.data.files.in_memory import Pages

SPLITS = ("train", "validation")


def read(data: Any, task: Task = "ocr", splits: Sequence[str] = SPLITS) -> dict[str, Pages]:
    found = read_data(data, task, splits)
    assert not isinstance(found, str)
    return dict(found)


def refuse(data: Any, task: Task = "ocr", splits: Sequence[str] = SPLITS) -> str:
    with pytest.raises(DataError) as caught:
        read_data(data, task, splits)
    return caught.value.message


def write_and_read(pages: Pages, folder: Path) -> list[dict[str, Any]]:
    import pyarrow.parquet as pq

    write_pages(pages, folder / "pages.parquet")
    rows: list[dict[str, Any]] = pq.read_table(folder / "pages.parquet").to_pylist()
    return rows


def write_folder(folder: Path, count: int = 3, name: str = "metadata.csv", column: str = "text") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    rows = [{"file_name": f"{n}.png", column: f"00{n}"} for n in range(count)]
    for number, row in enumerate(rows):
        (folder / row["file_name"]).write_bytes(draw_noise(number))
    with (folder / name).open("w", newline="") as file:
        if name.endswith(".csv"):
            writer = csv.DictWriter(file, ["file_name", column])
            writer.writeheader()
            writer.writerows(rows)
        else:
            file.writelines(json.dumps(row) + "\n" for row in rows)
    return folder


@pytest.mark.parametrize("given", ["hf://me/pages", "hf://datasets/me/pages"])
def test_a_dataset_on_the_hub_is_named_with_or_without_the_word_datasets(given: str) -> None:
    assert read_data(given, "ocr", SPLITS) == "hf://datasets/me/pages"


def test_a_folder_of_parquet_files_is_read_in_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "pages/data").mkdir(parents=True)
    (tmp_path / "pages/data/train-00000.parquet").touch()
    assert read_data("pages/", "ocr", SPLITS) == f"file://{tmp_path}/pages"


@pytest.mark.parametrize("name", ["metadata.csv", "metadata.jsonl"])
def test_a_folder_of_images_with_metadata_is_one_split(name: str, tmp_path: Path) -> None:
    found = read(write_folder(tmp_path / "pages", name=name))
    assert list(found) == ["train"]
    rows = write_and_read(found["train"], tmp_path)
    assert [row["text"] for row in rows] == ["000", "001", "002"], "texts stay texts, also if they look like numbers"
    assert rows[1]["image"]["bytes"] == draw_noise(1)


def test_folders_of_images_per_split(tmp_path: Path) -> None:
    write_folder(tmp_path / "train", 3)
    write_folder(tmp_path / "validation", 2)
    assert {name: len(list(pages.read_rows())) for name, pages in read(tmp_path).items()} == {
        "train": 3,
        "validation": 2,
    }


def test_a_changed_image_or_text_changes_the_name_of_the_content(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "pages")
    first = compute_name(read(folder))
    assert compute_name(read(folder)) == first
    (folder / "1.png").write_bytes(draw_noise(77, (40, 40)))
    second = compute_name(read(folder))
    metadata = folder / "metadata.csv"
    metadata.write_text(metadata.read_text().replace("001", "other"))
    third = compute_name(read(folder))
    os.utime(folder / "2.png", ns=(5, 5))  # written again, with as many bytes
    assert len({first, second, third, compute_name(read(folder))}) == 4


def test_pairs_may_hold_files_pictures_arrays_and_bytes(tmp_path: Path) -> None:
    (tmp_path / "page.png").write_bytes(draw_noise(1))
    picture = Image.open(io.BytesIO(draw_noise(1)))
    images = [str(tmp_path / "page.png"), tmp_path / "page.png", picture, np.asarray(picture), draw_noise(1)]
    pages = read([(image, f"text {n}") for n, image in enumerate(images)])["train"]
    rows = write_and_read(pages, tmp_path)
    assert [row["text"] for row in rows] == [f"text {n}" for n in range(5)]
    decoded = [np.asarray(Image.open(io.BytesIO(row["image"]["bytes"]))) for row in rows]
    assert all(np.array_equal(page, np.asarray(picture)) for page in decoded)


def test_the_texts_of_pairs_are_the_labels_of_the_task(tmp_path: Path) -> None:
    pages = read({"train": [(draw_noise(1), "short")]}, task="summarize")["train"]
    assert write_and_read(pages, tmp_path)[0]["summary"] == "short"


def test_a_dataset_of_the_library_keeps_documents_and_makes_labels_text(tmp_path: Path) -> None:
    from datasets import Dataset, Features, Value
    from datasets import Image as ImageFeature

    features = Features(
        {"image": ImageFeature(), "text": Value("int64"), "document_id": Value("string"), "other": Value("float32")}
    )
    rows = [{"image": {"bytes": draw_noise(n)}, "text": n, "document_id": "d", "other": 0.5} for n in range(2)]
    (tmp_path / "page.png").write_bytes(draw_noise(5))
    rows.append({"image": {"path": str(tmp_path / "page.png")}, "text": 9, "document_id": "e", "other": 0})
    dataset = Dataset.from_list(rows, features=features)
    written = write_and_read(read(dataset)["train"], tmp_path)
    assert [(row["text"], row["document_id"]) for row in written] == [("0", "d"), ("1", "d"), ("9", "e")]
    assert [row["image"]["bytes"] for row in written] == [draw_noise(0), draw_noise(1), draw_noise(5)]
    assert set(written[0]) == {"image", "text", "document_id"}


def test_other_columns_are_named_with_the_remedy() -> None:
    from datasets import Dataset

    dataset = Dataset.from_dict({"png": [b"x"], "transcription": ["a"]})
    message = refuse(dataset)
    assert message == (
        "data (train split): no column 'image'; the columns are png, transcription; "
        'rename yours, as in dataset.rename_column("png", "image")'
    )
    message = refuse(dataset.rename_column("png", "image"))
    assert "no column 'text', which task='ocr' needs" in message
    assert 'dataset.rename_column("transcription", "text")' in message


def test_a_label_of_the_other_task_is_pointed_out() -> None:
    from datasets import Dataset

    message = refuse(Dataset.from_dict({"image": [b"x"], "text": ["a"]}), task="summarize")
    assert "no column 'summary', which task='summarize' needs; the columns are image, text; set task=\"ocr\"" in message


def test_paths_in_a_text_column_are_not_images() -> None:
    from datasets import Dataset

    message = refuse(Dataset.from_dict({"image": ["a.png"], "text": ["a"]}))
    assert 'dataset.cast_column("image", datasets.Image())' in message


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (7, "data: must be a folder, hf://OWNER/NAME, a datasets.Dataset"),
        ([], "the list of train pairs is empty"),
        ([1], "item 0 of train must be a pair (image, text), got int"),
        ([("missing.png", "a")], "item 0 of train: no file"),
        ([(3.5, "a")], "item 0 of train: must be a file, a PIL image, an array or bytes, got float"),
        ([(np.zeros((2, 2, 7)), "a")], "an array must be (H, W) or (H, W, 3), uint8; got (2, 2, 7)"),
        ({"test": []}, "no split 'train'; its splits are test; set train_split"),
        ("no/such/folder", "data: no folder"),
    ],
)
def test_anything_else_is_refused(data: Any, expected: str) -> None:
    assert expected in refuse(data)


def test_a_file_of_texts_is_refused_with_what_draws_its_pages(tmp_path: Path) -> None:
    (tmp_path / "mails.csv").write_text("subject,body\na,b\n")
    assert f"data: {tmp_path}/mails.csv is a file; give" in refuse(tmp_path / "mails.csv")


def test_a_folder_without_metadata_or_with_other_columns_is_refused(tmp_path: Path) -> None:
    (tmp_path / "0.png").write_bytes(draw_noise(0))
    assert "write one with the columns file_name and text, a line for each image" in refuse(tmp_path)
    write_folder(tmp_path, column="label")
    assert "has no column 'text'; its columns are file_name, label" in refuse(tmp_path)
    write_folder(tmp_path, column="size")
    assert refuse(tmp_path).endswith("; task='ocr' needs file_name and text")
    write_folder(tmp_path, column="summary")
    assert refuse(tmp_path).endswith("; set task=\"summarize\" to use the column 'summary'")


@pytest.mark.parametrize("column", ["transcription", "ground_truth", "caption", "label", "gt_text"])
def test_the_column_that_is_probably_the_text_is_proposed(tmp_path: Path, column: str) -> None:
    write_folder(tmp_path, column=column)
    assert refuse(tmp_path).endswith(f"; if {column!r} holds that, rename it to 'text' in the file")


def test_no_column_is_proposed_where_several_may_be_meant(tmp_path: Path) -> None:
    write_folder(tmp_path)
    lines = (tmp_path / "metadata.csv").read_text().replace("file_name,text", "file_name,caption").splitlines()
    (tmp_path / "metadata.csv").write_text("\n".join([f"{lines[0]},label", *(f"{line},x" for line in lines[1:])]))
    assert refuse(tmp_path).endswith("; task='ocr' needs file_name and text")


def test_a_line_without_its_image_is_refused(tmp_path: Path) -> None:
    (write_folder(tmp_path) / "1.png").unlink()
    assert f"row 1 of {tmp_path}/metadata.csv: no file {tmp_path}/1.png" in refuse(tmp_path)


def test_a_streamed_dataset_is_refused() -> None:
    from datasets import Dataset

    streamed = Dataset.from_dict({"image": [b"x"], "text": ["a"]}).to_iterable_dataset()
    assert "load it without streaming=True" in refuse(streamed)


def test_other_names_of_splits_are_chosen_by_the_caller() -> None:
    data = {"mine": [(draw_noise(1), "a")], "theirs": [(draw_noise(2), "b")]}
    assert list(read(data, splits=("mine", "theirs"))) == ["mine", "theirs"]
    assert "no split 'train'; its splits are mine, theirs" in refuse(data)


@pytest.mark.parametrize(
    ("splits", "expected"),
    [
        (
            ["train", "valid"],
            "the split 'valid' is not used, and there is no split 'validation'; set validation_split='valid'",
        ),
        (["train", "dev", "test"], "set validation_split='dev'"),
        (["train", "validations"], "set validation_split='validations'"),
        (["train", "validation", "extra"], "the split 'extra' is not used; remove it, or name it with train_split or"),
    ],
)
def test_a_split_that_would_be_ignored_is_refused(splits: list[str], expected: str, tmp_path: Path) -> None:
    pairs = [(draw_noise(1), "a")]
    with pytest.raises(DataError) as caught:
        Source.for_training(dict.fromkeys(splits, pairs), "ocr", "train", None)
    assert expected in caught.value.message
    if "extra" in splits:
        return
    for split in splits:
        write_folder(tmp_path / split)
    with pytest.raises(DataError) as caught:
        Source.for_training(tmp_path, "ocr", "train", None)
    assert expected in caught.value.message


def test_splits_for_later_are_accepted() -> None:
    from datasets import Dataset, DatasetDict, Features, Value
    from datasets import Image as ImageFeature

    pairs = [(draw_noise(1), "a")]
    Source.for_training({"train": pairs, "validation": pairs, "test": pairs}, "ocr", "train", None)
    Source.for_training({"train": pairs, "valid": pairs}, "ocr", "train", "valid")
    features = Features({"image": ImageFeature(), "text": Value("string")})
    part = Dataset.from_list([{"image": {"bytes": draw_noise(1)}, "text": "a"}], features=features)
    extra = DatasetDict(train=part, validation=part, unsupervised=part)
    assert Source.for_training(extra, "ocr", "train", None).validation is None


def test_relative_images_of_pairs_are_found_from_another_working_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "page.png").write_bytes(draw_noise(1))
    monkeypatch.chdir(tmp_path)
    pages = read([("page.png", "text")])["train"]
    monkeypatch.chdir("/")
    assert write_and_read(pages, tmp_path)[0]["image"]["bytes"] == draw_noise(1)


def test_an_image_that_disappears_before_training_is_named(tmp_path: Path) -> None:
    (tmp_path / "page.png").write_bytes(draw_noise(1))
    pages = read([(tmp_path / "page.png", "text")])["train"]
    (tmp_path / "page.png").unlink()
    with pytest.raises(DataError, match=r"item 0 of train: .*page\.png cannot be read"):
        write_and_read(pages, tmp_path)


@pytest.mark.parametrize("line", ["0.png,Hello, world,1", "0.png", "0.png,Hello"])
def test_a_line_with_more_or_fewer_fields_than_the_header_is_refused(tmp_path: Path, line: str) -> None:
    folder = write_folder(tmp_path)
    (folder / "metadata.csv").write_text(f'file_name,text,page\n0.png,"Hello, world",1\n{line}\n')
    assert "line 3 of" in (message := refuse(folder))
    assert "fields than its header (3); quote fields that hold commas" in message


def test_numbers_of_pages_may_be_text_or_missing(tmp_path: Path) -> None:
    from datasets import Dataset

    folder = write_folder(tmp_path / "pages")
    (folder / "metadata.csv").write_text("file_name,text,page\n0.png,a,2.0\n1.png,b,\n2.png,c,-1\n")
    assert [row["page"] for row in write_and_read(read(folder)["train"], tmp_path)] == [2, None, -1]
    dataset = Dataset.from_dict({"image": [draw_noise(0)] * 2, "text": ["a", "b"], "page": ["10", None]})
    (tmp_path / "other").mkdir()
    assert [row["page"] for row in write_and_read(read(dataset)["train"], tmp_path / "other")] == [10, None]


@pytest.mark.parametrize("page", ["iv", "1.5", "inf", "1e999"])
def test_other_numbers_of_pages_are_refused_by_row_and_column(tmp_path: Path, page: str) -> None:
    folder = write_folder(tmp_path)
    (folder / "metadata.csv").write_text(f"file_name,text,page\n0.png,a,{page}\n")
    assert f"metadata.csv: column 'page' must hold whole numbers, got {page!r}; correct or remove" in refuse(folder)


def test_the_nan_of_pandas_is_a_missing_label(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "pages", name="metadata.jsonl")
    (folder / "metadata.jsonl").write_text('{"file_name": "0.png", "text": NaN, "page": NaN}\n')
    assert [row["text"] for row in write_and_read(read(folder)["train"], tmp_path)] == [None]
