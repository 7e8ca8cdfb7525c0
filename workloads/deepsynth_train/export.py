"""The model as people want it: a folder of safetensors, tokenizer and processor that `from_pretrained` opens."""

import logging
import shutil
import tempfile
from pathlib import Path
from typing import Any

from deepsynth_api.errors import ConfigurationError
from deepsynth_api.v1alpha1 import TrainingSettings
from deepsynth_api.v1alpha1.training_run_status import ModelOutput
from deepsynth_store import publish_folder
from deepsynth_store.atomic import explain_full_disk, fsync_file, fsync_folder
from deepsynth_store.uri import HubLocation, parse_uri
from deepsynth_train.models.page_model import PageModel


def write_model(model: PageModel, folder: Path, tensors: dict[str, Any] | None = None) -> None:
    """Write weights (those of `tensors` where given), configuration, tokenizer and processor into a folder."""
    logging.getLogger("transformers.generation").setLevel(logging.ERROR)
    model.module.save_pretrained(folder, state_dict=tensors)
    model.processor.save_pretrained(folder)


def export_model(model: PageModel, tensors: dict[str, Any], settings: TrainingSettings, output_uri: str) -> ModelOutput:
    """Write the final model to `output_uri`, a folder, and publish it where the settings say. Rank 0 calls it.

    tensors: the whole state of the model on the CPU. Raises ConfigurationError (URI, token) and TemporaryError
    (disk, Hub).
    """
    final = _merge(model, tensors, settings)
    target = _replace_folder(final, tensors if final is model else None, output_uri, "spec.checkpoint.uri")
    if settings.publish is None:
        return ModelOutput(uri=output_uri)
    location = parse_uri(settings.publish.uri, "spec.publish.uri")
    if isinstance(location, HubLocation):
        private = settings.publish.private
        revision = publish_folder(target, settings.publish.uri, private=private, field="spec.publish.uri")
        return ModelOutput(uri=settings.publish.uri, revision=revision)
    _replace_folder(final, tensors if final is model else None, settings.publish.uri, "spec.publish.uri")
    return ModelOutput(uri=settings.publish.uri)


def _merge(model: PageModel, tensors: dict[str, Any], settings: TrainingSettings) -> PageModel:
    """With LoRA and unless the adapter alone is asked for: the weights with the adapters added in."""
    if settings.model.lora is None or (settings.publish and settings.publish.format == "adapter"):
        return model
    model.module.load_state_dict(tensors)
    merged = model.module.merge_and_unload()
    return PageModel(merged, model.processor, model.family, model.image)


def _replace_folder(model: PageModel, tensors: dict[str, Any] | None, uri: str, field: str) -> Path:
    """A reader sees the model before, or this one as a whole."""
    location = parse_uri(uri, field)
    if isinstance(location, HubLocation):
        raise ConfigurationError(f"{field}: {uri} must be a folder, file:// or pvc://")
    target = location.path
    with explain_full_disk(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        staging = Path(tempfile.mkdtemp(prefix=f".{target.name}-", dir=target.parent))
        staging.chmod(0o755)
        try:
            write_model(model, staging, tensors)
            for path in staging.iterdir():
                fsync_file(path)
            shutil.rmtree(target, ignore_errors=True)
            staging.rename(target)
        finally:
            shutil.rmtree(staging, ignore_errors=True)
    fsync_folder(target.parent)
    return target
