"""The measures of a page."""

import pytest

from deepsynth_api.errors import ConfigurationError
from deepsynth_render.page.geometry import parse_size
from unit.deepsynth_render.page.page_images import build_renderer, decode


@pytest.mark.parametrize("settings", [{"marginPx": 60}, {"lineHeight": "0.5"}, {"fontSizesPx": [96]}])
def test_a_page_without_room_for_text_is_a_configuration_error(settings: dict[str, object]) -> None:
    with pytest.raises(ConfigurationError, match=r"spec\.page: no text fits 160x120 px"):
        build_renderer(**settings)


@pytest.mark.parametrize(
    ("size", "pixels"),
    [("512", (512, 512)), ("a4@72", (595, 842)), ("a4@96", (794, 1123)), ("640x480", (640, 480))],
)
def test_pages_have_the_size_of_the_settings(size: str, pixels: tuple[int, int]) -> None:
    assert parse_size(size) == pixels
    page = build_renderer(size=size).render("text", "key")[0]
    assert decode(page.png).shape == pixels[::-1]
