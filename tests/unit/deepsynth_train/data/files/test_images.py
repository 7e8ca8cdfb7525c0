"""Pages are read as a viewer shows them, or refused with the name of their row."""

from __future__ import annotations

import contextlib
import io
import struct
import zlib
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image

from deepsynth_api.errors import DataError
from deepsynth_train.data.files import images

if TYPE_CHECKING:
    from numpy.typing import NDArray

WHERE = "spec.datasets[d]: row 7"
INK, PAPER = 0, 255


def encode(image: Image.Image, kind: str = "PNG", **options: Any) -> bytes:
    content = io.BytesIO()
    image.save(content, kind, **options)
    return content.getvalue()


def read(content: bytes) -> Image.Image:
    from deepsynth_train.data.files.images import read_page

    return read_page(content, WHERE)


def read_row(content: bytes) -> list[Any]:
    """Pixels of an image of one row."""
    pixels: list[Any] = np.asarray(read(content))[0].tolist()
    return pixels


def build_image(mode: str, *pixels: Any) -> Image.Image:
    image = Image.new(mode, (len(pixels), 1))
    image.putdata(pixels)
    return image


def build_png(header: tuple[int, int], row: bytes, transparent: bytes = b"", size: tuple[int, int] = (2, 1)) -> bytes:
    """A PNG of one row in a form that Pillow does not write. header: bits per sample, colour type."""

    def chunk(name: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))

    start = chunk(b"IHDR", struct.pack(">IIBBBBB", *size, *header, 0, 0, 0))
    middle = chunk(b"tRNS", transparent) if transparent else b""
    return b"\x89PNG\r\n\x1a\n" + start + middle + chunk(b"IDAT", zlib.compress(b"\0" + row)) + chunk(b"IEND", b"")


@pytest.mark.parametrize("kind", ["PNG", "WEBP", "TIFF"])
def test_ink_on_a_transparent_page_is_ink_on_white(kind: str) -> None:
    # The colour under transparent pixels is black in many files: without their alpha the whole page is black.
    image = build_image("RGBA", (0, 0, 0, 255), (0, 0, 0, 0), (0, 0, 0, 128))
    options = {"lossless": True, "exact": True} if kind == "WEBP" else {}
    ink, paper, half = read_row(encode(image, kind, **options))
    assert ink == [INK] * 3
    assert paper == [PAPER] * 3
    assert half == [127] * 3


def test_a_grey_page_with_alpha_stays_grey() -> None:
    assert read_row(encode(build_image("LA", (INK, 255), (INK, 0), (INK, 128)))) == [INK, PAPER, 127]


def test_transparent_entries_of_a_palette_are_white() -> None:
    image = Image.new("P", (3, 1))
    image.putpalette([0, 0, 0, 10, 20, 30, 200, 0, 0])
    image.putdata([0, 1, 2])
    assert read_row(encode(image, transparency=bytes([0, 255, 255]))) == [[PAPER] * 3, [10, 20, 30], [200, 0, 0]]


@pytest.mark.parametrize(
    ("image", "transparent"),
    [
        (build_image("L", INK, 100), 100),
        (build_image("1", 0, 255), 1),
        (build_image("RGB", (0, 0, 0), (9, 9, 9)), (9, 9, 9)),
    ],
)
def test_a_transparent_colour_is_white(image: Image.Image, transparent: Any) -> None:
    ink, paper = np.asarray(read(encode(image, transparency=transparent)))[0]
    assert np.all(ink == INK)
    assert np.all(paper == PAPER)


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        pytest.param(build_png((2, 0), bytes([0b01_10_00_00]), b"\0\1"), [PAPER, 170], id="2 bits"),
        pytest.param(build_png((4, 0), bytes([0x12]), b"\0\1"), [PAPER, 34], id="4 bits"),
        pytest.param(build_png((16, 0), struct.pack(">2H", 514, 1028), b"\2\2"), [PAPER, 4], id="16 bits"),
        pytest.param(
            build_png((16, 2), struct.pack(">6H", *[514] * 3, *[1028] * 3), b"\2\2" * 3),
            [[PAPER] * 3, [4] * 3],
            id="16 bits per channel",
        ),
        pytest.param(
            build_png((16, 6), struct.pack(">8H", 0, 0, 0, 65535, 0, 0, 0, 0)),
            [[INK] * 3, [PAPER] * 3],
            id="16 bits with alpha",
        ),
        pytest.param(build_png((16, 4), struct.pack(">4H", 0, 65535, 0, 0)), [INK, PAPER], id="16-bit grey with alpha"),
    ],
)
def test_transparency_is_compared_at_the_depth_of_the_file(content: bytes, expected: list[Any]) -> None:
    assert np.asarray(read(content))[0, :, ...].reshape(2, -1)[:, 0].tolist() == [
        value[0] if isinstance(value, list) else value for value in expected
    ]


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_greys_of_16_bits_are_scaled_and_not_clipped(kind: str) -> None:
    values = np.array([[0, 128, 129, 257, 128 * 257, 65406, 65407, 65535]], dtype=np.uint16)
    assert read_row(encode(Image.fromarray(values), kind)) == [0, 0, 1, 1, 128, 254, 255, 255]


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        pytest.param(np.array([[0, 128, 255]], dtype=np.int32), [0, 128, 255], id="int, 8 bits used"),
        pytest.param(np.array([[0, 32896, 65535]], dtype=np.int32), [0, 128, 255], id="int, 16 bits used"),
        pytest.param(np.array([[0.0, 0.5, 1.0]], dtype=np.float32), [0, 128, 255], id="float up to 1"),
        pytest.param(np.array([[0.0, 100.0, 255.0]], dtype=np.float32), [0, 100, 255], id="float up to 255"),
        pytest.param(np.array([[-1e6, 0.0, 1e6]], dtype=np.float32), [0, 128, 255], id="float of any range"),
        pytest.param(np.array([[-0.1, 0.0, 0.1]], dtype=np.float32), [0, 128, 255], id="float of a small range"),
        pytest.param(np.array([[-3e38, 0.0, 3e38]], dtype=np.float32), [0, 128, 255], id="float of the largest range"),
        pytest.param(np.array([[-7, -7, -7]], dtype=np.int32), [0, 0, 0], id="one value"),
        pytest.param(np.array([[0.0, np.nan, np.inf]], dtype=np.float32), [0, 255, 255], id="not finite"),
    ],
)
def test_greys_of_wide_types_are_scaled(values: NDArray[Any], expected: list[int]) -> None:
    assert read_row(encode(Image.fromarray(values), "TIFF")) == expected


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "CMYK", "YCbCr", "LAB"])
def test_white_paper_is_white_in_every_colour_space(mode: str) -> None:
    white = Image.new("RGB", (2, 2), "white")
    image = Image.new("LAB", (2, 2), (255, 128, 128)) if mode == "LAB" else white.convert(mode)
    assert np.asarray(read(encode(image, "PNG" if mode in {"1", "P"} else "TIFF"))).min() >= 254, mode


ORIENTED = {
    # The stored image of each orientation that a viewer shows as [[0, 80], [160, 240], [40, 120]].
    1: [[0, 80], [160, 240], [40, 120]],
    2: [[80, 0], [240, 160], [120, 40]],
    3: [[120, 40], [240, 160], [80, 0]],
    4: [[40, 120], [160, 240], [0, 80]],
    5: [[0, 160, 40], [80, 240, 120]],
    6: [[80, 240, 120], [0, 160, 40]],
    7: [[120, 240, 80], [40, 160, 0]],
    8: [[40, 160, 0], [120, 240, 80]],
}


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "WEBP"])
@pytest.mark.parametrize("orientation", ORIENTED)
def test_the_exif_orientation_is_applied_once(orientation: int, kind: str) -> None:
    image = Image.fromarray(np.array(ORIENTED[orientation], dtype=np.uint8))
    exif = Image.Exif()
    exif[0x0112] = orientation
    options = {"lossless": True} if kind == "WEBP" else {}
    shown = np.asarray(read(encode(image, kind, exif=exif, **options)).convert("L"))
    assert shown.tolist() == ORIENTED[1]


@pytest.mark.filterwarnings("ignore:Corrupt EXIF data:UserWarning")
@pytest.mark.parametrize("exif", [b"Exif\0\0MM\0*\0\0\0\x08\xff\xff", b"Exif\0\0", b"Exif\0\0nonsense"])
def test_exif_data_that_cannot_be_read_is_ignored(exif: bytes) -> None:
    image = Image.new("L", (16, 8), PAPER)
    assert read(encode(image, "JPEG", exif=exif)).size == (16, 8)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_the_first_frame_of_an_animation_is_the_page() -> None:
    frames = [Image.new("RGB", (2, 2), colour) for colour in ("red", "blue")]
    for kind in ("GIF", "PNG", "WEBP", "TIFF"):
        options = {"lossless": True} if kind == "WEBP" else {}
        content = encode(frames[0], kind, save_all=True, append_images=frames[1:], **options)
        assert read_row(content)[0] == [255, 0, 0], kind


@pytest.mark.parametrize("size", [(3000, 1), (1, 3000), (1, 1), (700, 2)])
@pytest.mark.parametrize("fit", ["pad", "stretch"])
def test_a_strip_keeps_at_least_one_row_of_pixels(size: tuple[int, int], fit: Any) -> None:
    from deepsynth_train.data.files.images import read_page
    from deepsynth_train.models.families.square_pages import ImageRule, build_planes

    grey = (0.5, 0.5, 0.5)
    rule = ImageRule(side=64, fit=fit, background=127, resample=3, mean=grey, std=grey)
    pixels = build_planes([read_page(encode(Image.new("L", size, INK)), WHERE)], rule)
    assert pixels.shape == (1, 1, 64, 64)
    assert pixels.min() == INK


NOISE = np.random.default_rng(0).integers(0, 256, (64, 64, 3)).astype(np.uint8)


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "TIFF", "GIF", "WEBP", "BMP", "JPEG2000"])
@pytest.mark.parametrize("share", [0.5, 0.1])
def test_a_truncated_image_is_refused_naming_its_row(kind: str, share: float) -> None:
    content = encode(Image.fromarray(NOISE), kind)
    with pytest.raises(DataError, match=r"^spec.datasets\[d\]: row 7: .*; render or upload it again$"):
        read(content[: int(len(content) * share)])


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("kind", ["PNG", "JPEG", "TIFF", "GIF", "WEBP", "BMP", "JPEG2000"])
def test_a_damaged_image_raises_no_other_error(kind: str) -> None:
    content = encode(Image.fromarray(NOISE), kind)
    generator = np.random.default_rng(0)
    for _ in range(50):
        damaged = np.frombuffer(content, dtype=np.uint8).copy()
        damaged[generator.integers(0, len(damaged), 8)] = 255
        with contextlib.suppress(DataError):  # some decoders show what they can, as viewers do
            read(damaged.tobytes())


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "GIF", "TIFF", "BMP"])
def test_a_whole_image_is_checked_without_decoding_it(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    content = encode(Image.fromarray(NOISE), kind)
    monkeypatch.setattr(images, "read_page", None)
    images.check_page(content, WHERE)


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP"])
def test_a_truncated_image_is_found_by_the_check(kind: str) -> None:
    content = encode(Image.fromarray(NOISE), kind)
    for share in (0.99, 0.9, 0.5, 0.1):
        with pytest.raises(DataError, match=r"row 7: "):
            images.check_page(content[: int(len(content) * share)], WHERE)


def test_bytes_after_the_end_of_an_image_are_ignored_as_viewers_do() -> None:
    for kind in ("PNG", "JPEG", "WEBP"):
        images.check_page(encode(Image.fromarray(NOISE), kind) + b"trailing", WHERE)


@pytest.mark.parametrize("content", [b"", b"\0" * 100, b"<svg/>", b"%PDF-1.4"])
def test_bytes_that_are_not_an_image_are_refused(content: bytes) -> None:
    with pytest.raises(DataError, match=r"row 7: the page is not an image; render or upload it again$"):
        read(content)


def test_a_decompression_bomb_is_refused_before_its_pixels_are_read() -> None:
    with pytest.raises(DataError, match=r"row 7: cannot decode the page \(Image size \(40000000000 pixels\)"):
        read(build_png((8, 0), b"", size=(200_000, 200_000)))


def test_a_format_that_starts_a_program_is_refused() -> None:
    content = io.BytesIO()
    Image.new("L", (8, 8)).save(content, "EPS")
    with pytest.raises(DataError, match="row 7: EPS is not supported; the formats are AVIF, BMP"):
        read(content.getvalue())


def test_a_page_of_two_bits_keeps_its_four_levels() -> None:
    page = build_png((2, 0), bytes([0b00_01_10_11, 0b11_00_00_00]), size=(5, 1))
    assert read_row(page) == [0, 85, 170, 255, 255]
