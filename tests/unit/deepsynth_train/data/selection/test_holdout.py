"""Documents are held out by their content, and no copy of one is on both sides."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pyarrow as pa
import pytest

from deepsynth_train.data.files.convert import write_arrow
from deepsynth_train.data.files.page_table import PageTable
from deepsynth_train.data.selection.holdout import hold_out
from deepsynth_train.data.selection.index import SampleIndex
from support.training.page_dataset import build_documents, write_split
from unit.deepsynth_train.data.page_loading import load

if TYPE_CHECKING:
    from deepsynth_train.models.interface.page_model import PageModel

Row = dict[str, Any]


def page(text: str, image: str, document: str | None = None) -> Row:
    return {"image": {"bytes": image.encode(), "path": None}, "text": text, "summary": text, "document_id": document}


def split(
    folder: Path, rows: Sequence[Row], percent: int, task: Literal["ocr", "summarize"] = "ocr"
) -> tuple[list[int], list[int]]:
    """Rows to train on, and rows held out."""
    count, path = len(rows), folder / "0.arrow"
    schema = pa.Table.from_pylist(list(rows)).schema
    write_arrow([pa.RecordBatch.from_pylist(list(rows[n : n + 7]), schema) for n in range(0, count, 7)], schema, path)
    index = SampleIndex(np.arange(count), np.ones(count, int), np.full(count, 9), np.array([count]), seen=count)
    train, held = hold_out(index, PageTable([path]), task, percent, lambda: None)
    assert (train.sizes.tolist(), held.sizes.tolist()) == ([len(train)], [len(held)])
    assert (held.seen, held.dropped) == (len(held), ())
    return train.first.tolist(), held.first.tolist()


def read_texts(rows: Sequence[Row], numbers: Iterable[int]) -> set[str]:
    return {rows[number]["text"] for number in numbers}


def test_the_share_is_rounded_up_and_the_rest_is_trained_on(tmp_path: Path) -> None:
    rows = [page(f"text {n}", f"image {n}") for n in range(120)]
    train, held = split(tmp_path, rows, 2)
    assert len(held) == 3
    assert sorted(train + held) == list(range(120))
    assert not split(tmp_path, rows, 0)[1]


def test_the_same_documents_are_held_out_in_any_order_and_next_to_any_others(tmp_path: Path) -> None:
    rows = [page(f"text {n}", f"image {n}") for n in range(100)]
    first = read_texts(rows, split(tmp_path, rows, 5)[1])
    assert read_texts(rows[::-1], split(tmp_path, rows[::-1], 5)[1]) == first
    more = [*rows, *(page(f"new {n}", f"new image {n}") for n in range(100))]
    held = read_texts(more, split(tmp_path, more, 5)[1])
    assert len(held & first) >= 3, "the smallest hashes of all"


def test_copies_and_other_pages_of_a_text_are_on_the_same_side(tmp_path: Path) -> None:
    rows = [page(f"text {n % 40}", f"image {n} {'wide' * (n % 3)}") for n in range(120)]
    train, held = split(tmp_path, rows, 10)
    assert len(held) == 12, "four texts, three times each"
    assert not read_texts(rows, train) & read_texts(rows, held)


def test_labels_that_are_more_than_the_share_are_distinguished_by_their_pages(tmp_path: Path) -> None:
    rows = [page(f"digit {n % 2}", "x" * n) for n in range(100)]
    train, held = split(tmp_path, rows, 4)
    assert len(held) == 4
    pairs = [{(rows[n]["text"], rows[n]["image"]["bytes"]) for n in side} for side in (train, held)]
    assert not pairs[0] & pairs[1]


def test_documents_that_are_all_alike_are_all_trained_on(tmp_path: Path) -> None:
    assert split(tmp_path, [page("same", "same")] * 50, 10) == (list(range(50)), [])


def test_equal_pages_with_different_labels_are_on_the_same_side(tmp_path: Path) -> None:
    rows = [page(f"label {n}", f"image {n // 2:03d}") for n in range(200)]
    train, held = split(tmp_path, rows, 50)
    images = [{rows[n]["image"]["bytes"] for n in side} for side in (train, held)]
    assert not images[0] & images[1]
    assert held, "both labels of an image are among the smallest hashes now and then"


def test_pages_of_a_document_stay_together_also_as_samples_of_their_own(tmp_path: Path) -> None:
    rows = [page(f"text {n}", f"image {n}", f"d{n % 30}") for n in range(90)]
    train, held = split(tmp_path, rows, 10)
    assert len(held) == 9
    assert not {rows[n]["document_id"] for n in train} & {rows[n]["document_id"] for n in held}


def test_pages_without_a_document_id_are_documents(tmp_path: Path) -> None:
    rows = [page(f"text {n}", f"image {n}") for n in range(20)]
    assert len(split(tmp_path, rows, 10)[1]) == 2


@pytest.mark.parametrize(("count", "held"), [(9, 0), (10, 1)])
def test_of_fewer_than_ten_documents_none_is_held_out(count: int, held: int, tmp_path: Path) -> None:
    assert len(split(tmp_path, [page(f"text {n}", f"image {n}") for n in range(count)], 2)[1]) == held


def test_at_most_two_thousand_documents_are_held_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("deepsynth_train.data.selection.holdout.MAX_DOCUMENTS", 5)
    assert len(split(tmp_path, [page(f"text {n}", f"image {n}") for n in range(100)], 50)[1]) == 5


def test_a_dataset_without_a_validation_split_is_evaluated_on_what_was_held_out(
    tmp_path: Path, model: "PageModel"
) -> None:
    write_split(tmp_path / "pages", "train", build_documents(20))
    data = load(tmp_path / "pages", model, holdout=10)
    assert data.validation is not None
    assert (len(data.train), len(data.validation)) == (18, 2)
    labels = [{part.read_label(n) for n in range(len(part))} for part in (data.train, data.validation)]
    assert not labels[0] & labels[1]
    assert len(labels[0] | labels[1]) == 20
    assert "of the train split" in data.validation.name(0)
    (note,) = data.notes
    assert "spec.datasets[d]: there is no validation split, so 2 of 20 documents are used for evaluation" in note
    assert "spec.evaluation.holdoutPercent" in note


def test_datasets_with_weights_are_trained_on_without_what_is_held_out_of_them(
    tmp_path: Path, model: "PageModel"
) -> None:
    """Of three, one has a validation split, one gives documents, one is too small. Every sample is evaluated once."""
    from deepsynth_api.workload import WorkloadDataset
    from deepsynth_train.data.dataset import choose_samples, open_data, save_samples
    from deepsynth_train.data.files.materialise import materialise, plan_datasets
    from deepsynth_train.data.sampler import Sampler, build_parts
    from deepsynth_train.data.selection.limits import Limits

    write_split(tmp_path / "a", "train", build_documents(10))
    write_split(tmp_path / "a", "validation", build_documents(3, start=50))
    write_split(tmp_path / "b", "train", build_documents(20, start=100))
    write_split(tmp_path / "c", "train", build_documents(4, start=200))
    weights = {"a": 0.5, "b": 1.5, "c": 2.0}
    datasets = [WorkloadDataset(name=name, uri=f"file://{tmp_path / name}") for name in weights]
    local = materialise(plan_datasets(datasets, tmp_path / "cache"), tmp_path / "cache", lambda *_: None)
    limits = Limits(None, None, 0)
    holdout = dict.fromkeys(weights, 10)
    chosen = choose_samples(local, "summarize", model, limits, holdout=holdout, on_rows=lambda: None)
    save_samples(chosen, local, tmp_path / "index")
    data = open_data(tmp_path / "index", "summarize")

    assert data.train.index.sizes.tolist() == [10, 18, 4]
    assert data.validation is not None
    assert data.validation.index.sizes.tolist() == [3, 2]
    names = [data.validation.name(number) for number in range(5)]
    assert all(name.startswith("spec.datasets[a]: ") and name.endswith("the validation split") for name in names[:3])
    assert all(name.startswith("spec.datasets[b]: ") and name.endswith("the train split") for name in names[3:])

    parts = build_parts(weights, data.train.index.sizes.tolist())
    sampler = Sampler(parts, 8, seed=0, epochs=1)
    assert sampler.epoch_length == 5 + 27 + 8
    seen = [number for step in range(5) for number in sampler.select_batch(step).tolist()]
    trained = {data.train.read_label(number) for number in seen}
    evaluated = {data.validation.read_label(number) for number in range(5)}
    assert len(evaluated) == 5
    assert not trained & evaluated
    assert len([label for label in trained if int(label.split()[1]) >= 200]) == 4


def test_a_validation_split_is_used_as_it_is(tmp_path: Path, model: "PageModel") -> None:
    write_split(tmp_path / "pages", "train", build_documents(20))
    write_split(tmp_path / "pages", "validation", build_documents(3))
    data = load(tmp_path / "pages", model, holdout=10, validation="validation")
    assert data.validation is not None
    assert (len(data.train), len(data.validation), list(data.notes)) == (20, 3, [])


def test_too_small_a_dataset_is_not_evaluated_and_the_note_says_why(tmp_path: Path, model: "PageModel") -> None:
    write_split(tmp_path / "pages", "train", build_documents(4))
    data = load(tmp_path / "pages", model, holdout=10)
    assert data.validation is None
    assert "of its 4 documents (fewer than 10) none is used" in data.notes[0]
