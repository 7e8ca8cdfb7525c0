"""Pages that look like scans: repeatable, readable, and with all of their ink."""

import io
import math
from collections.abc import Mapping

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from deepsynth_api.v1alpha1.settings.augmentation_settings import AugmentationSettings
from deepsynth_render.page.augmentation import Augmenter, add_noise, limit_angle, rotate
from deepsynth_render.page.png import build_paper, encode_levels, encode_png, read_levels
from unit.deepsynth_render.page.page_images import PROSE, build_renderer, decode, measure_ink

CLEAN: dict[str, object] = {"skewDegrees": "0", "blurPx": "0", "paper": 0, "contrastPercent": 0, "noise": 0}
STRONGEST: dict[str, object] = {"skewDegrees": "3", "blurPx": "0.8", "paper": 64, "contrastPercent": 60, "noise": 32}


def build_augmenter(settings: Mapping[str, object] | None = None, seed: int = 0, size: int = 40) -> Augmenter:
    return Augmenter(AugmentationSettings.model_validate(settings or {}), seed, "fast", font_size_px=size)


def draw_square(left: int, top: int, size: int = 20) -> NDArray[np.uint8]:
    """A page of 160x120 with a black square."""
    page = np.full((120, 160), 255, np.uint8)
    page[top : top + size, left : left + size] = 0
    return page


def augment(
    page: NDArray[np.uint8], key: str, settings: Mapping[str, object] | None = None, seed: int = 0
) -> NDArray[np.uint8]:
    augmented = build_augmenter(settings, seed).augment(page, key)
    assert augmented is not None
    return decode(augmented.image)


def test_a_page_is_the_same_in_each_run_and_differs_from_all_others() -> None:
    page = draw_square(70, 50)
    first, again, other_page, other_document, other_seed = (
        augment(page, key, seed=seed).tobytes()
        for key, seed in [("a 0", 0), ("a 0", 0), ("a 1", 0), ("b 0", 0), ("a 0", 1)]
    )
    assert first == again
    assert len({first, other_page, other_document, other_seed}) == 4


def test_without_any_strength_a_page_stays_as_it_is() -> None:
    page = draw_square(70, 50)
    assert (augment(page, "a 0", CLEAN) == page).all()


@pytest.mark.parametrize(
    "setting", [{"skewDegrees": "3"}, {"blurPx": "2"}, {"paper": 60}, {"contrastPercent": 60}, {"noise": 20}]
)
def test_each_setting_changes_a_page(setting: dict[str, object]) -> None:
    page = draw_square(30, 20)
    assert any((augment(page, f"a {number}", CLEAN | setting) != page).any() for number in range(3))


def test_about_the_stated_share_of_pages_is_changed() -> None:
    augmenter, page = build_augmenter({"percent": 30, **CLEAN}), draw_square(70, 50)
    changed = sum(augmenter.augment(page, f"a {number}") is not None for number in range(400))
    assert 90 < changed < 150


@given(st.integers(0, 139), st.integers(0, 99), st.floats(-0.06, 0.06))
def test_a_rotation_keeps_all_ink_on_the_page(left: int, top: int, angle: float) -> None:
    page = draw_square(left, top)
    limited = limit_angle(page, angle)
    assert abs(limited) <= abs(angle)
    assert limited * angle >= 0
    before, after = (float((255 - image.astype(np.int64)).sum()) for image in (page, rotate(page, limited)))
    assert after == pytest.approx(before, rel=0.03)


def test_a_page_is_rotated_clockwise_around_its_center() -> None:
    page = draw_square(130, 50)
    angle = math.radians(3)
    rows = np.flatnonzero((rotate(page, angle) < 128).any(axis=1))
    # The square is 60 px to the right of the center, so it moves down by 60 sin 3 degrees.
    assert (rows[0] + rows[-1] + 1) / 2 == pytest.approx(60 + 60 * math.sin(angle), abs=0.6)


@pytest.mark.parametrize("number", range(20))
def test_letters_are_darker_than_the_paper_even_at_the_limits(number: int) -> None:
    page = augment(draw_square(70, 50), f"a {number}", STRONGEST).astype(np.int64)
    ink, paper = page[54:66, 74:86].mean(), np.concatenate([page[:30].ravel(), page[90:].ravel()]).mean()
    assert paper - ink > 50
    assert paper > 170


def test_noise_has_the_stated_deviation_and_no_bias() -> None:
    noisy = add_noise(np.full((300, 300), 128, np.uint8), 10, np.random.default_rng(1)).astype(np.int64)
    assert noisy.std() == pytest.approx(10, rel=0.03)
    assert noisy.mean() == pytest.approx(128, abs=0.6)


def test_pages_are_jpeg_where_that_is_chosen() -> None:
    augmented = build_augmenter({"jpegQuality": 40}).augment(draw_square(70, 50), "a 0")
    assert augmented is not None
    with Image.open(io.BytesIO(augmented.image)) as image:
        assert (image.format, image.mode, image.size) == ("JPEG", "L", (160, 120))


def test_pages_of_all_depths_have_the_levels_that_a_reader_sees() -> None:
    random = np.random.default_rng(3)
    for depth, width in [(2, 13), (4, 7), (4, 8)]:
        rows = build_paper(width, 5, depth)  # type: ignore[arg-type]
        rows[:, 1:] = random.integers(0, 256, rows[:, 1:].shape)
        levels = read_levels(rows, width, depth)  # type: ignore[arg-type]
        assert (levels == decode(encode_png(rows, width, depth, "fast"))).all()  # type: ignore[arg-type]
        assert (decode(encode_levels(levels, "small")) == levels).all()


def test_the_letters_of_a_page_that_fit_has_shrunk_are_blurred_less() -> None:
    blur = {**CLEAN, "blurPx": "4"}
    large, small = (build_augmenter(blur, size=size).augment(draw_square(70, 50, 2), "key") for size in (40, 6))
    assert large is not None
    assert small is not None
    assert decode(small.image).min() < decode(large.image).min()


@pytest.mark.parametrize("settings", [{"bitDepth": 2}, {"columns": 2}, {"format": "markdown"}, {"align": "justify"}])
def test_a_document_keeps_its_text_and_its_pages(settings: dict[str, object]) -> None:
    plain = build_renderer(**settings).render(PROSE, "key")
    pages = build_renderer(**settings, augmentation={"blurPx": "0.5"}).render(PROSE, "key")
    assert [page.text for page in pages] == [page.text for page in plain]
    assert all(page.augmented for page in pages)
    assert not any(page.augmented for page in plain)
    assert all(page.png != clean.png for page, clean in zip(pages, plain, strict=True))
    assert all(measure_ink(page) > 0 for page in pages)
