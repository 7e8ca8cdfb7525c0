from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from deepsynth_api.errors import DataError
from support.training.page_dataset import build_document, build_documents, draw_noise, write_split
from unit.deepsynth_train.data.page_loading import load

if TYPE_CHECKING:
    from pathlib import Path

    from deepsynth_train.models.interface.page_model import PageModel


def test_the_counted_length_of_a_sample_is_that_of_its_batch(tmp_path: Path, model: PageModel) -> None:
    from deepsynth_train.data.loader import BatchMaker

    write_split(tmp_path, "train", build_documents(3))
    data = load(tmp_path, model)
    batch = BatchMaker(data.train, model).make_batch([2])
    assert batch.inputs["input_ids"].shape[1] + 1 == data.train.index.tokens[2], "EOS is predicted, not fed"


def test_a_label_that_names_special_tokens_trains_as_text(tmp_path: Path, model: PageModel) -> None:
    from deepsynth_train.data.loader import BatchMaker

    label = "an <image> token, </s> and <s>"
    write_split(tmp_path, "train", [*build_document(0), *build_document(1, summary=label)])
    data = load(tmp_path, model)
    batch = BatchMaker(data.train, model).make_batch([1])
    assert batch.inputs["input_ids"].shape[1] + 1 == data.train.index.tokens[1], "index and batch agree"
    image = model.tokenizer.convert_tokens_to_ids("<image>")
    assert int((batch.inputs["input_ids"] == image).sum()) == model.family.image_tokens
    assert model.tokenizer.decode(batch.targets[:-1]) == label


def test_a_librarys_error_about_one_sample_names_its_row_and_column(
    tmp_path: Path, model: PageModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    from deepsynth_train.data.loader import BatchMaker

    def fail(_: object) -> None:
        raise KeyError("odd page")

    write_split(tmp_path, "train", [*build_document(0), *build_document(1, pages=2)])
    maker = BatchMaker(load(tmp_path, model).train, model)
    with monkeypatch.context() as patch:
        patch.setattr(type(model.family), "build_prompt", lambda _, pages: fail(pages))
        with pytest.raises(DataError, match=r"^spec.datasets\[d\]: rows 1 to 2 of .* 'image' \(KeyError: 'odd page'\)"):
            maker.make_batch([1])
    monkeypatch.setattr(type(model), "encode_label", lambda _, text: fail(text))
    with pytest.raises(DataError, match=r"^spec.datasets\[d\]: row 0 of .* cannot use column 'summary' \(KeyError"):
        maker.make_swapped_batch([0], [1], 10_000)


def test_an_error_of_the_disk_is_not_blamed_on_the_sample(
    tmp_path: Path, model: PageModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    from deepsynth_train.data.files.page_table import PageTable
    from deepsynth_train.data.loader import BatchMaker

    def fail(*_: object) -> None:
        raise OSError(5, "Input/output error")

    write_split(tmp_path, "train", build_documents(1))
    maker = BatchMaker(load(tmp_path, model).train, model)
    monkeypatch.setattr(PageTable, "read", fail)
    with pytest.raises(OSError, match="Input/output error"):
        maker.make_batch([0])


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
    assert batch.inputs["pixel_values"].shape == (3, 1, 64, 64), "grey pages travel as one plane"


def test_swapped_pages_keep_the_label(tmp_path: Path, model: PageModel) -> None:
    from deepsynth_train.data.loader import BatchMaker

    write_split(tmp_path, "train", build_documents(2))
    maker = BatchMaker(load(tmp_path, model).train, model)
    swapped, own = maker.read_sample(0, pages_of=1), maker.read_sample(0)
    assert swapped.label == own.label
    assert swapped.prompt.tensors["pixel_values"].equal(maker.read_sample(1).prompt.tensors["pixel_values"])


def test_swapped_pages_that_do_not_fit_the_context_are_not_measured(tmp_path: Path, model: PageModel) -> None:
    """Each document fits with its own pages: the one has a long label, the other many pages."""
    from deepsynth_train.data.loader import BatchMaker

    long, many = build_document(0, summary="a long summary " * 9), build_document(1, pages=4)
    write_split(tmp_path, "train", [*long, *many, *build_document(2)])
    maker = BatchMaker(load(tmp_path, model, task="summarize").train, model)
    limit = max(maker.samples.index.tokens)
    assert maker.read_sample(0, pages_of=1).tokens > limit
    assert maker.read_sample(1).tokens == maker.samples.index.tokens[1]
    assert maker.make_swapped_batch([0, 2], [1, 0], limit).samples == 1
    assert maker.make_swapped_batch([0], [1], limit).samples == 0


def test_a_filler_has_no_label_tokens(tmp_path: Path, model: PageModel) -> None:
    from deepsynth_train.data.loader import BatchMaker

    write_split(tmp_path, "train", build_documents(1))
    filler = BatchMaker(load(tmp_path, model).train, model).make_filler()
    assert (filler.samples, filler.pages, len(filler.targets), len(filler.rows)) == (0, 0, 0, 0)


def test_prefetching_keeps_the_order_and_raises_an_error_in_place_of_its_result() -> None:
    from deepsynth_train.data.loader import prefetch

    def work(number: int) -> int:
        if number == 5:
            raise DataError("bad row")
        return number * number

    results = prefetch(range(9), work, threads=2)
    assert [next(results) for _ in range(5)] == [0, 1, 4, 9, 16]
    with pytest.raises(DataError, match="bad row"):
        next(results)
