"""Model families: how each builds its prompt, takes its pages and says where its parts are."""

from deepsynth_train.models.build import build_page_model
from deepsynth_train.models.page_model import Batch, ImageRule, PageModel, Sample

__all__ = ["Batch", "ImageRule", "PageModel", "Sample", "build_page_model"]
