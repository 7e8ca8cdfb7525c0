"""Documents that are almost the same as an evaluated one, or as one of an earlier dataset, are not trained on."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pyarrow as pa
import pytest

from deepsynth_api.errors import DataError
from deepsynth_train.data.files.convert import write_arrow
from deepsynth_train.data.files.page_table import PageTable
from deepsynth_train.data.selection.index import SampleIndex
from deepsynth_train.data.selection.similar import Part, drop_similar
from support.training.page_dataset import build_documents, write_split

if TYPE_CHECKING:
    from deepsynth_train.models.interface.page_model import PageModel

Task = Literal["ocr", "summarize"]
Pages = tuple[str, ...]


def write_text(number: int, changed: int = 0) -> str:
    """200 words, `changed` of which are others than those of the text without changes."""
    words = [f"w{number}x{word}" for word in range(200)]
    for place in range(changed):
        words[place * 40] = f"other{place}"
    return " ".join(words)


def build_part(folder: Path, name: str, documents: Sequence[Pages], task: Task = "ocr", split: str = "train") -> Part:
    """documents: the texts of their pages."""
    rows = [
        {"image": {"bytes": b"", "path": None}, "text": text, "summary": f"of {name}", "document_id": f"d{number}"}
        for number, pages in enumerate(documents)
        for text in pages
    ]
    path = folder / f"{name}-{split}.arrow"
    batch = pa.RecordBatch.from_pylist(rows)
    write_arrow([batch], batch.schema, path)
    sizes = [len(pages) for pages in documents]
    pages = np.array(sizes) if task == "summarize" else np.ones(len(rows), int)
    first = np.cumsum([0, *sizes[:-1]]) if task == "summarize" else np.arange(len(rows))
    index = SampleIndex(first, pages, np.full(len(first), 9), np.array([len(first)]), seen=len(first))
    return Part(name, split, PageTable([path]), index)


def drop(train: Sequence[Part], evaluated: Sequence[Part], task: Task = "ocr") -> tuple[list[Any], list[str]]:
    """For each dataset, the rows of the samples that remain and the dropped ones by reason."""
    kept, notes, _ = drop_similar(train, evaluated, task, 80, lambda: None)
    assert [index.sizes.tolist() for index in kept] == [[len(index)] for index in kept]
    assert [index.seen for index in kept] == [part.index.seen for part in train]
    return [(index.first.tolist(), {entry.reason: entry.samples for entry in index.dropped}) for index in kept], notes


def test_a_copy_of_an_evaluated_document_on_other_pages_is_not_trained_on(tmp_path: Path) -> None:
    text = write_text(1, changed=3)
    half = text.index(" w1x100 ")
    train = build_part(tmp_path, "a", [(write_text(5),), (text[:half], text[half:]), (write_text(6),)])
    evaluated = build_part(tmp_path, "b", [(write_text(9),), (write_text(1),)], split="validation")
    (kept,), (note,) = drop([train], [evaluated])
    assert kept == ([0, 3], {"SimilarToEvaluation": 2})
    assert "1 of 3 documents of spec.datasets[a]" in note
    assert "The first is spec.datasets[a]: row 1 of the train split" in note
    assert "similar to spec.datasets[b]: row 1 of the validation split" in note


def test_with_the_task_summarize_documents_are_compared_by_their_texts_and_not_by_their_summaries(
    tmp_path: Path,
) -> None:
    parts = [
        build_part(tmp_path, name, [(write_text(1),), (write_text(n), "end")], "summarize")
        for n, name in ((2, "a"), (3, "b"))
    ]
    kept, _ = drop(parts, [], "summarize")
    assert kept == [([0, 1], {}), ([1], {"NearDuplicate": 1})]


def test_documents_are_compared_with_earlier_datasets_and_not_within_one(tmp_path: Path) -> None:
    one, two, three = ((write_text(number),) for number in (1, 2, 3))
    parts = [
        build_part(tmp_path, name, texts)
        for name, texts in (("a", [one, one]), ("b", [two, two, one]), ("c", [two, three]))
    ]
    kept, notes = drop(parts, [])
    assert kept == [([0, 1], {}), ([0, 1], {"NearDuplicate": 1}), ([1], {"NearDuplicate": 1})]
    assert len(notes) == 2
    assert "similar to spec.datasets[b]: row 0" in notes[1]


@pytest.mark.parametrize("is_evaluated", [True, False])
def test_a_document_that_is_similar_only_to_the_second_of_two_similar_ones_is_dropped(
    tmp_path: Path, *, is_evaluated: bool
) -> None:
    words = [f"w{word}" for word in range(600)]
    texts = []
    for start in (0, 40, 80):  # each has 87 % of its groups in common with the next, the first and the last 76 %
        words[start : start + 40] = [f"new{start}x{word}" for word in range(40)]
        texts.append(" ".join(words))
    first = build_part(tmp_path, "a", [(texts[0],), (texts[1],)])
    last = build_part(tmp_path, "b", [(write_text(1),), (texts[2],)])
    kept, _ = drop([last], [first]) if is_evaluated else drop([first, last], [])
    assert kept[-1] == ([0], {"SimilarToEvaluation" if is_evaluated else "NearDuplicate": 1})


def test_a_document_that_is_less_similar_and_one_without_text_are_trained_on(tmp_path: Path) -> None:
    parts = [
        build_part(tmp_path, "a", [(write_text(1),), ("",)]),
        build_part(tmp_path, "b", [(write_text(1).upper(),), ("",)]),
    ]
    assert drop(parts, []) == ([([0, 1], {}), ([0, 1], {})], [])


def build_odd_part(folder: Path, text: pa.Array) -> Part:
    """Dataset c: two documents of a page, with the summaries `of a` and `other`."""
    columns = [pa.array([b"", b""]), text, pa.array(["of a", "other"]), pa.array(["d0", "d1"])]
    batch = pa.record_batch(columns, ["image", "text", "summary", "document_id"])
    write_arrow([batch], batch.schema, folder / "c.arrow")
    index = SampleIndex(np.arange(2), np.ones(2, int), np.full(2, 9), np.array([2]), seen=2)
    return Part("c", "train", PageTable([folder / "c.arrow"]), index)


def test_without_texts_in_every_dataset_summaries_are_compared(tmp_path: Path) -> None:
    parts = [build_part(tmp_path, "a", [("x",)], "summarize"), build_odd_part(tmp_path, pa.array([1, 2]))]
    kept, (note,) = drop(parts, [], "summarize")
    assert kept == [([0], {}), ([1], {"NearDuplicate": 1})]
    assert "(of their summary, as a dataset has no texts in the column 'text')" in note


def test_a_text_that_is_not_utf_8_is_named(tmp_path: Path) -> None:
    part = build_odd_part(tmp_path, pa.array([b"\xff", b"a"]).view(pa.string()))
    with pytest.raises(DataError, match=r"spec.datasets\[c\]: row 0 of the train split: column 'text' is not UTF-8"):
        drop([part], [], "summarize")


def test_every_dropped_document_is_in_the_log(tmp_path: Path) -> None:
    texts = [(write_text(number),) for number in range(4)]
    parts = [build_part(tmp_path, "a", texts), build_part(tmp_path, "b", [*texts, (write_text(9),)])]
    _, _, log = drop_similar(parts, [], "ocr", 80, lambda: None)
    names = ["spec.datasets[{}]: row {} of the train split".format(name, "{0}") for name in "ba"]
    lines = [f"not trained on: {names[0]}, similar to {names[1]}".format(row) for row in range(4)]
    assert log == lines


def test_a_dataset_of_which_nothing_would_remain_is_refused_with_the_remedy(tmp_path: Path) -> None:
    parts = [build_part(tmp_path, name, [(write_text(1),)]) for name in "ab"]
    with pytest.raises(
        DataError, match=r"all documents of spec.datasets\[b\] are too similar.*remove the dataset, raise"
    ):
        drop(parts, [])


def test_a_run_trains_on_no_copy_of_what_it_evaluates_on(tmp_path: Path, model: "PageModel") -> None:
    from deepsynth_api.workload import WorkloadDataset
    from deepsynth_train.data.dataset import choose_samples, open_data, save_samples
    from deepsynth_train.data.files.materialise import materialise, plan_datasets
    from deepsynth_train.data.selection.limits import Limits

    for name, start in (("a", 0), ("b", 2)):
        rows = [{**row, "text": write_text(number)} for number, row in enumerate(build_documents(4, start), start)]
        write_split(
            tmp_path / name, "train", [{**row, "text": write_text(int(row["document_id"][-1]))} for row in rows]
        )
    (evaluated,) = build_documents(1, 90)
    write_split(tmp_path / "b", "validation", [{**evaluated, "text": f"{write_text(1)}\n{write_text(1)}"}])
    datasets = [WorkloadDataset(name=name, uri=f"file://{tmp_path / name}") for name in "ab"]
    local = materialise(plan_datasets(datasets, tmp_path / "cache"), tmp_path / "cache", lambda *_: None)
    folder = tmp_path / "index"
    limits = Limits(None, None, 0)
    chosen = choose_samples(
        local, "summarize", model, limits, holdout={}, max_similarity_percent=80, on_rows=lambda: None
    )
    save_samples(chosen, local, folder)
    data = open_data(folder, "summarize")
    assert data.train.index.sizes.tolist() == [3, 2]
    assert {entry.reason: entry.samples for entry in data.train.index.dropped} == {
        "SimilarToEvaluation": 1,
        "NearDuplicate": 2,
    }
    assert len(data.notes) == 2
