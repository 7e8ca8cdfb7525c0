"""From spec.model to a PageModel: build or load it, check it, freeze parts, add adapters."""

import re
import warnings
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import torch

from deepsynth_api.errors import ConfigurationError, TemporaryError
from deepsynth_api.v1alpha1 import LoraSettings, ModelSettings, TrainingSettings
from deepsynth_store.core.uri import HubLocation, parse_uri
from deepsynth_train.models.families import wrap_model
from deepsynth_train.models.inference import set_generation
from deepsynth_train.models.page_model import PageModel
from deepsynth_train.models.tiny import build_tiny_deepseek_ocr2, build_tiny_vit_gpt2

_TINY: Final[dict[str, Callable[[], tuple[Any, Any]]]] = {
    "deepseek-ocr2-tiny": build_tiny_deepseek_ocr2,
    "vit-gpt2-tiny": build_tiny_vit_gpt2,
}
CPU: Final = torch.device("cpu")


def build_page_model(settings: TrainingSettings, device: torch.device = CPU) -> PageModel:
    """The model of spec.model on `device`, in the dtype that it is stored in, with the untrained parts frozen.

    Weights go from the file to the device one by one, so the host never holds the model; `place_module` then sets the
    dtypes to train in. Raises ConfigurationError (unknown model, unsupported page size, prompt and model disagree on
    the number of image positions) and TemporaryError (the Hub does not answer).
    """
    if settings.image_processor.max_tiles:
        raise ConfigurationError("spec.imageProcessor.maxTiles: local tiles are not supported yet; set it to 0")
    torch.manual_seed(settings.seed)
    module, processor = load_module(settings.model, device)
    model = wrap_model(module, processor, settings)
    model.family.check(module)
    set_generation(module, model.tokenizer, settings.evaluation.max_new_tokens)
    _freeze(model, settings.model.freeze)
    if settings.model.lora:
        model = _add_adapters(model, settings.model.lora)
    if not any(parameter.requires_grad for parameter in model.module.parameters()):
        raise ConfigurationError("spec.model.freeze: no trainable parameters are left; freeze fewer parts")
    return model


def load_module(settings: ModelSettings, device: torch.device = CPU) -> tuple[Any, Any]:
    """The bare model, on `device` and in the dtype that it is stored in, and its processor."""
    scheme, _, name = settings.uri.partition("://")
    if scheme == "config":
        if name not in _TINY:
            raise ConfigurationError(f"spec.model.uri: unknown configuration {name!r}; known are {', '.join(_TINY)}")
        module, processor = _TINY[name]()
        return module.to(device), processor
    location = parse_uri(settings.uri, "spec.model.uri")
    if isinstance(location, HubLocation):
        return _load_pretrained(location.repo_id, settings.revision, settings.uri, device)
    if not (location.path / "config.json").is_file():
        raise ConfigurationError(f"spec.model.uri: no config.json in {location.path}; name a folder with a model")
    return _load_pretrained(location.path, None, settings.uri, device)


def _load_pretrained(source: str | Path, revision: str | None, uri: str, device: torch.device) -> tuple[Any, Any]:
    from huggingface_hub.errors import HfHubHTTPError, OfflineModeIsEnabled
    from transformers import AutoModelForImageTextToText, AutoProcessor

    try:
        module = AutoModelForImageTextToText.from_pretrained(
            source, revision=revision, dtype="auto", device_map={"": device}
        )
        processors: Any = AutoProcessor
        return module, processors.from_pretrained(source, revision=revision)
    except (ConnectionError, OfflineModeIsEnabled) as error:
        raise TemporaryError(f"spec.model.uri: the Hub does not answer for {uri}: {_first_line(error)}") from error
    except (OSError, ValueError, KeyError, HfHubHTTPError) as error:
        raise ConfigurationError(
            f"spec.model.uri: cannot load {uri} ({_first_line(error)}); check the name, spec.model.revision and, "
            "for a private model, spec.model.secretRef"
        ) from error


def _freeze(model: PageModel, parts: Sequence[str]) -> None:
    names = {"vision": model.family.vision, "language": model.family.language}
    for part in parts:
        for name in names[part]:
            model.module.get_submodule(name).requires_grad_(False)
    parameters = dict(model.module.named_parameters())
    for name in model.family.unused:
        if name in parameters:
            parameters[name].requires_grad_(False)


def _add_adapters(model: PageModel, lora: LoraSettings) -> PageModel:
    from peft import LoraConfig, get_peft_model

    config = LoraConfig(
        r=lora.rank,
        lora_alpha=lora.alpha,
        lora_dropout=float(lora.dropout),
        target_modules=list(lora.target_modules),
    )
    try:
        with warnings.catch_warnings():  # peft still uses a name that transformers renamed
            warnings.filterwarnings("ignore", message="`is_gradient_checkpointing`", category=FutureWarning)
            adapted = get_peft_model(model.module, config)
    except ValueError as error:
        raise ConfigurationError(f"spec.model.lora.targetModules: {_first_line(error)}") from error
    return replace(model, module=adapted)


def _first_line(error: BaseException) -> str:
    text = str(error).strip().splitlines()
    return re.sub(r"\s+", " ", text[0]) if text else type(error).__name__
