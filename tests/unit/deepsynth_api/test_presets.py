import pytest

from deepsynth_api.presets import PRESETS, resolve_source
from deepsynth_api.v1alpha1 import Source


def test_every_preset_says_where_its_text_and_summary_are() -> None:
    for name, source in PRESETS.items():
        assert source.columns.text, name
        assert source.columns.summary, name


def test_exactly_one_of_preset_and_source_is_taken() -> None:
    source = Source(uri="docstrings://")
    assert resolve_source(None, source) is source
    assert resolve_source("xsum", None).uri == "hf://datasets/EdinburghNLP/xsum"
    with pytest.raises(ValueError, match="exactly one of preset and source"):
        resolve_source("xsum", source)
