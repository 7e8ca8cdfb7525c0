"""From a URI to a model and its processor, to read pages with: any supported model, or adapters on their base.

A folder with adapters has adapter_config.json, which names the base, and no config.json.
"""

import json
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from deepsynth_api.errors import ConfigurationError
from deepsynth_api.v1alpha1 import ModelSettings
from deepsynth_store import OnWait, fetch_folder
from deepsynth_store.core.uri import is_remote
from deepsynth_train.models.files.adapter_file import ADAPTER_CONFIG, ADAPTER_FILE
from deepsynth_train.models.files.model_folder import CONFIG, FILES, GENERATION, PROCESSORS, RUN_FILE, read_trained
from deepsynth_train.models.loading import (
    CPU,
    FIELD,
    explain_model_errors,
    fetch_model,
    load_module,
    pin_commit,
)

AddAdapters = Callable[[Any], Any]


def find_adapters(settings: ModelSettings, on_wait: OnWait | None = None) -> tuple[ModelSettings, bool]:
    """The settings at one commit, and whether the folder or repository holds adapters without their base."""
    if settings.uri.startswith("config://"):
        return settings, False
    folder = fetch_folder(settings.uri, settings.revision, (CONFIG, ADAPTER_CONFIG), field=FIELD, on_wait=on_wait)
    has_adapters = (folder / ADAPTER_CONFIG).is_file() and not (folder / CONFIG).is_file()
    return pin_commit(settings, folder), has_adapters


def fetch_any_model(
    settings: ModelSettings, *, on_wait: OnWait | None = None, on_progress: Callable[[], None] | None = None
) -> None:
    """Fetch a model, or adapters and their base, so that `open_model` finds the files on this machine."""
    with explain_model_errors(settings.uri):
        settings, has_adapters = find_adapters(settings, on_wait)
        if has_adapters:
            patterns = (*FILES, ADAPTER_FILE)
            folder = fetch_folder(
                settings.uri, settings.revision, patterns, field=FIELD, on_wait=on_wait, on_progress=on_progress
            )
            settings = _find_base(folder, settings.uri)
        fetch_model(settings, on_wait=on_wait, on_progress=on_progress)


def open_adapters(settings: ModelSettings, device: torch.device = CPU) -> tuple[Any, Any, AddAdapters]:
    """The base that adapters name, its processor, and a function that puts the adapters on the base."""
    folder = fetch_folder(settings.uri, settings.revision, (*FILES, ADAPTER_FILE), field=FIELD)
    with explain_model_errors(settings.uri):
        module, processor = _open_base(folder, settings.uri, device)
    return module, processor, lambda base: _add_adapters(base, folder, device)


def open_model(settings: ModelSettings, device: torch.device = CPU) -> tuple[Any, Any, str | None]:
    """The model in evaluation mode, its processor, and the prompt that it was trained with, None if that is unknown.

    Raises ConfigurationError and TemporaryError, as `load_module` does.
    """
    if settings.uri.startswith("config://"):
        module, processor = load_module(settings, device)
        return module.eval(), processor, None
    settings, has_adapters = find_adapters(settings)
    if has_adapters:
        base, processor, add_adapters = open_adapters(settings, device)
        with explain_model_errors(settings.uri):
            module = add_adapters(base)
    else:
        module, processor = load_module(settings, device)
    folder = fetch_folder(settings.uri, settings.revision, (CONFIG, ADAPTER_CONFIG, RUN_FILE), field=FIELD)
    return module.eval(), processor, read_trained(folder).get("prompt")


def _open_base(folder: Path, uri: str, device: torch.device) -> tuple[Any, Any]:
    from transformers import AutoProcessor, GenerationConfig

    if not (folder / ADAPTER_FILE).is_file():
        raise ConfigurationError(f"{FIELD}: {uri} has no {ADAPTER_FILE}; pickle files are never read")
    module, processor = load_module(_find_base(folder, uri), device)
    if (folder / GENERATION).is_file():
        module.generation_config = GenerationConfig.from_pretrained(folder)
    if any((folder / name).is_file() for name in PROCESSORS):
        processors: Any = AutoProcessor
        processor = processors.from_pretrained(folder, trust_remote_code=False)
    return module, processor


def _add_adapters(module: Any, folder: Path, device: torch.device) -> Any:
    from peft import PeftModel

    with warnings.catch_warnings():  # peft still uses a name that transformers renamed
        warnings.filterwarnings("ignore", message="`is_gradient_checkpointing`", category=FutureWarning)
        warnings.filterwarnings("ignore", message="fan_in_fan_out is set to", category=UserWarning)
        warnings.filterwarnings("error", message="Found missing adapter keys", category=UserWarning)
        return PeftModel.from_pretrained(module, str(folder), torch_device=str(device))


def _find_base(folder: Path, uri: str) -> ModelSettings:
    document = json.loads((folder / ADAPTER_CONFIG).read_text())
    name, revision = document.get("base_model_name_or_path"), document.get("revision")
    if not isinstance(name, str) or not name:
        raise ConfigurationError(
            f"{FIELD}: {uri} holds adapters of a model that its {ADAPTER_CONFIG} does not name; the random weights of "
            "a config:// model are not kept, so name a merged model instead"
        )
    is_folder = Path(name).is_dir() or Path(name).is_absolute()
    base = name if is_remote(name) else f"file://{Path(name).absolute()}" if is_folder else f"hf://{name}"
    return ModelSettings(uri=base, revision=revision)
