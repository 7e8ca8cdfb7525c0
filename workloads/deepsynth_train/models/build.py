"""From spec.model to a PageModel: build or load it, check it, freeze parts, add adapters."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch

from deepsynth_api.errors import ConfigurationError
from deepsynth_api.v1alpha1 import TrainingSettings
from deepsynth_train.models.adapters import add_adapters
from deepsynth_train.models.base_weights import check_quantization, list_quantised, quantise_weights
from deepsynth_train.models.families.registry import wrap_model
from deepsynth_train.models.interface.inference import set_generation
from deepsynth_train.models.interface.page_model import PageModel
from deepsynth_train.models.loading import CPU, explain_model_errors, load_module, load_structure
from deepsynth_train.models.opening import find_adapters, open_adapters


def build_page_model(settings: TrainingSettings, device: torch.device = CPU) -> PageModel:
    """The model of spec.model on `device`, in the dtype that it is stored in, with the untrained parts frozen.

    Weights go from the file to the device one by one, so the host never holds the model; `place_module` then sets the
    dtypes to train in. Raises ConfigurationError (unknown model, unsupported page size, prompt and model disagree on
    the number of image positions) and TemporaryError (the Hub does not answer).
    """
    check_quantization(settings)
    quantised: list[str] = []
    if settings.model.quantize:
        structure, processor = load_structure(settings.model)
        quantised = list_quantised(structure, wrap_model(structure, processor, settings).family)
    torch.manual_seed(settings.seed)
    module, processor = load_module(settings.model, device, quantised)
    return prepare_page_model(module, processor, settings)


def build_page_structure(settings: TrainingSettings) -> PageModel:
    """The same on the meta device, where weights have sizes only. Reads no weights."""
    check_quantization(settings)
    module, processor = load_structure(settings.model)
    if settings.model.quantize:
        quantise_weights(module, list_quantised(module, wrap_model(module, processor, settings).family))
    return prepare_page_model(module, processor, settings)


def open_page_model(settings: TrainingSettings, device: torch.device = CPU) -> PageModel:
    """The model of spec.model to evaluate: as `build_page_model`, or adapters on the base that they name."""
    found, has_adapters = find_adapters(settings.model)
    if not has_adapters:
        return build_page_model(settings, device)
    module, processor, put_adapters = open_adapters(found, device)
    model = prepare_page_model(module, processor, settings)
    with explain_model_errors(settings.model.uri):
        return replace(model, module=put_adapters(model.module))


def prepare_page_model(module: Any, processor: Any, settings: TrainingSettings) -> PageModel:
    """Check a loaded model, freeze its untrained parts and add adapters. Raises ConfigurationError."""
    with explain_model_errors(settings.model.uri):
        model = wrap_model(module, processor, settings)
        model.family.check(module)
    set_generation(module, model.tokenizer, settings.evaluation.max_new_tokens)
    _freeze(model, settings.model.freeze)
    if settings.model.lora:
        model = replace(model, module=add_adapters(model.module, settings.model, model.family))
    if not any(parameter.requires_grad for parameter in model.module.parameters()):
        raise ConfigurationError("spec.model.freeze: no trainable parameters are left; freeze fewer parts")
    return model


def _freeze(model: PageModel, parts: Sequence[str]) -> None:
    names = {"vision": model.family.vision, "language": model.family.language}
    for part in parts:
        for name in names[part]:
            model.module.get_submodule(name).requires_grad_(False)
    parameters = dict(model.module.named_parameters())
    for name in model.family.unused:
        if name in parameters:
            parameters[name].requires_grad_(False)
