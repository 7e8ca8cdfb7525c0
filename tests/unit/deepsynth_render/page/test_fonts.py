"""The font files."""

import itertools
from typing import get_args

from deepsynth_api.v1alpha1.settings.rendering_settings import FontFamily
from deepsynth_render.page.fonts import FAMILIES, gather_digests, load_font


def test_fonts_are_files_of_an_installed_package_with_known_digests() -> None:
    digests = gather_digests()
    assert list(digests) == ["DejaVu Sans", "DejaVu Serif", "DejaVu Sans Mono"]
    assert len(set(digests.values())) == 3
    for first, second in itertools.pairwise(FAMILIES):
        assert load_font(first).data != load_font(second).data


def test_a_spec_may_name_every_family_and_no_other() -> None:
    assert set(get_args(FontFamily)) == set(FAMILIES)
