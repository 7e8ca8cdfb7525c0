import pytest

from deepsynth_api.errors import ConfigurationError
from deepsynth_api.reasons import Reason
from deepsynth_api.v1alpha1 import Source
from deepsynth_render.sources import open_source


def test_docstrings_have_a_license_too() -> None:
    open_source(Source(uri="docstrings://", require_license=["other"]))
    with pytest.raises(ConfigurationError, match="has the license other") as caught:
        open_source(Source(uri="docstrings://", require_license=["mit"]))
    assert caught.value.reason == Reason.LICENSE_NOT_ALLOWED
