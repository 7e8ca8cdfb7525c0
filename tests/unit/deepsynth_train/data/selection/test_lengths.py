"""The positions of a sample are known from the sizes of its pages; their pixels are not decoded."""

from __future__ import annotations

import io
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image

from deepsynth_api.errors import DataError

if TYPE_CHECKING:
    from numpy.typing import NDArray

WHERE = "spec.datasets[d]"


def encode(size: tuple[int, int], kind: str = "PNG", orientation: int | None = None) -> bytes:
    content = io.BytesIO()
    exif = Image.Exif()
    if orientation is not None:
        exif[0x0112] = orientation
    Image.new("L", size, 200).save(content, kind, exif=exif)
    return content.getvalue()


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "TIFF"])
@pytest.mark.parametrize("orientation", [None, 1, 3, 5, 6, 8])
def test_the_size_in_the_header_is_that_of_the_page_as_shown(kind: str, orientation: int | None) -> None:
    from deepsynth_train.data.files.images import read_page, read_size

    content = encode((30, 20), kind, orientation)
    assert read_size(content, WHERE) == read_page(content, WHERE).size


def test_pixels_are_not_decoded_for_the_size(monkeypatch: pytest.MonkeyPatch) -> None:
    from PIL import PngImagePlugin

    from deepsynth_train.data.files.images import read_size

    def load(*_: Any) -> None:
        raise AssertionError("decoded")

    content = encode((30, 20))
    monkeypatch.setattr(PngImagePlugin.PngImageFile, "load", load)
    assert read_size(content, WHERE) == (30, 20)


@pytest.mark.parametrize("content", [b"", b"not an image", encode((30, 20))[:20]])
def test_bytes_without_a_size_are_refused(content: bytes) -> None:
    from deepsynth_train.data.files.images import read_size

    with pytest.raises(DataError, match=r"^spec.datasets\[d\]: .*; render or upload it again$"):
        read_size(content, WHERE)


def count_hundreds(sizes: NDArray[np.int64]) -> NDArray[np.int64]:
    if (sizes > 900).any():
        raise ValueError("too large")
    return np.asarray(sizes.sum(axis=1) // 100)


def count(sizes: list[tuple[int, int]], first: list[int], pages: list[int], *, reads_sizes: bool = True) -> list[int]:
    """With labels of 5 tokens and a prompt of 7. Pages take a position for each 100 px of width and height."""
    from deepsynth_train.data.selection.lengths import count_tokens

    family: Any = SimpleNamespace(reads_sizes=reads_sizes, count_page_tokens=count_hundreds, fixed_tokens=7)
    table: Any = SimpleNamespace(read_image=lambda row, _: encode(sizes[row]))
    labels = np.full(len(first), 5)
    tokens = count_tokens(table, np.array(first), np.array(pages), labels, family, where=WHERE, on_rows=lambda: None)
    return [int(value) for value in tokens]


def test_the_pages_of_a_document_add_up() -> None:
    sizes = [(100, 100), (200, 100), (300, 100), (400, 100)]
    assert count(sizes, first=[0, 1, 3], pages=[1, 2, 1]) == [12 + 2, 12 + 3 + 4, 12 + 5]


def test_samples_need_not_cover_all_rows() -> None:
    assert count([(100, 100), (200, 100), (300, 100)], first=[2, 0], pages=[1, 1]) == [12 + 4, 12 + 2]


def test_no_page_is_read_where_all_have_the_same_length() -> None:
    assert count([], first=[0, 1], pages=[1, 2], reads_sizes=False) == [12, 12]


def test_a_page_that_the_processor_does_not_take_is_refused_naming_its_row() -> None:
    with pytest.raises(DataError, match=r"^spec.datasets\[d\]: row 1: .* page of 100 x 1000 px \(too large\)"):
        count([(100, 100), (100, 1000)], first=[0], pages=[2])
