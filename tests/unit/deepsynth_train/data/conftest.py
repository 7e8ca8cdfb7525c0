from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from deepsynth_train.models.interface.page_model import PageModel


@pytest.fixture(scope="package")
def model() -> "PageModel":
    """The tiny DeepSeek-OCR-2."""
    from support.training.tiny_training import build_model

    model: PageModel = build_model()
    return model
