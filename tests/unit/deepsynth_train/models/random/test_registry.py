from __future__ import annotations

import pytest

from deepsynth_api.errors import ConfigurationError


def test_the_large_model_has_the_published_number_of_weights() -> None:
    from deepsynth_api.v1alpha1 import ModelSettings
    from deepsynth_train.models.loading import load_structure
    from deepsynth_train.models.random.published_size import WEIGHTS

    module, processor = load_structure(ModelSettings(uri="config://deepseek-ocr2"))
    assert sum(parameter.numel() for parameter in module.parameters()) == WEIGHTS
    assert str(module.dtype) == "torch.bfloat16"
    assert processor.tokenizer.convert_ids_to_tokens(module.config.image_token_id) == "<image>"


def test_an_unknown_name_is_refused_with_those_that_exist() -> None:
    import torch

    from deepsynth_train.models.random.registry import build_random_model

    with pytest.raises(ConfigurationError, match=r"m: unknown configuration 'x'; known are .*, deepseek-ocr2"):
        build_random_model("x", torch.device("cpu"), "m")


def test_every_name_that_a_resource_may_have_is_built() -> None:
    import re

    from deepsynth_api.v1alpha1.shared.patterns import RANDOM_MODEL
    from deepsynth_train.models.random.registry import LARGE, SMALL

    found = re.fullmatch(r"config://\((.*)\)", RANDOM_MODEL)
    assert found
    assert set(found[1].split("|")) == {*SMALL, *LARGE}
