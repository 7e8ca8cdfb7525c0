"""From a PageModel to a folder of safetensors, tokenizer and processor that `from_pretrained` opens."""

import json
import shutil
import tempfile
from collections import defaultdict
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from deepsynth_api.errors import ConfigurationError
from deepsynth_api.v1alpha1 import TrainingSettings
from deepsynth_api.v1alpha1.training_run_status import ModelOutput
from deepsynth_store import README, OnWait, publish_folder
from deepsynth_store.core.atomic import explain_full_disk, fsync_file, fsync_folder
from deepsynth_store.core.uri import FolderLocation, parse_uri
from deepsynth_train.models.adapters import merge_adapters, merge_into_stored_base
from deepsynth_train.models.files.adapter_file import complete_adapters
from deepsynth_train.models.files.model_folder import RUN_FILE
from deepsynth_train.models.interface.page_model import PageModel


def write_model(
    model: PageModel, folder: Path, tensors: dict[str, Any] | None = None, documents: Mapping[str, str] | None = None
) -> None:
    """Write weights, configuration, tokenizer and processor, or adapters alone for a model with adapters.

    tensors: weights to write instead of the module's own; cast in place. documents: further text files, by name.
    Weights get the dtype that the base model is stored in; adapters stay as they were trained.
    """
    if hasattr(model.module, "peft_config"):
        # Embeddings are never trained; to find out, peft would ask the Hub for the base.
        model.module.save_pretrained(folder, state_dict=tensors, save_embedding_layers=False)
        complete_adapters(model.module, folder)
        (folder / README).unlink()  # peft's card is a form to fill in
        model.module.generation_config.save_pretrained(folder)
    else:
        weights = model.module.state_dict() if tensors is None else tensors
        cast_weights(weights, model.stored_dtype)
        # a copy, because the library empties it
        model.module.save_pretrained(folder, state_dict=dict(weights))
        _write_dtype(folder / "config.json", model.stored_dtype)
    model.processor.save_pretrained(folder)
    for name, text in (documents or {}).items():
        (folder / name).write_text(text)
    _open_to_all(folder)


def _open_to_all(folder: Path) -> None:
    """Let other users read the folder, such as a pod that serves the model. safetensors writes files with mode 0600."""
    for path in (folder, *folder.rglob("*")):
        path.chmod(0o755 if path.is_dir() else 0o644)


def cast_weights(weights: dict[str, torch.Tensor], dtype: torch.dtype) -> None:
    """Replace each weight in another dtype, one after the other, so that no second copy of all of them is needed.

    Weights that share memory, such as an output layer with its embedding, share it afterwards; the library writes them
    to the file once.
    """
    names = defaultdict[Any, list[str]](list)
    for name, weight in weights.items():
        if weight.is_floating_point() and weight.dtype != dtype:
            names[weight.data_ptr(), weight.shape, weight.stride()].append(name)
    for shared in names.values():
        cast = weights[shared[0]].to(dtype)
        weights.update(dict.fromkeys(shared, cast))


def _write_dtype(config: Path, dtype: torch.dtype) -> None:
    """The library writes the dtype in which the module was trained, and would load the weights in it."""
    document = json.loads(config.read_text())
    document["dtype"] = str(dtype).removeprefix("torch.")
    config.write_text(json.dumps(document, indent=2, sort_keys=True) + "\n")


def check_publish_format(settings: TrainingSettings) -> None:
    """Refuse to publish adapters that could never be opened again."""
    if settings.publish and settings.publish.format == "adapter" and settings.model.uri.startswith("config://"):
        raise ConfigurationError(
            f"spec.publish.format: adapters need their base, and the random weights of {settings.model.uri} are not "
            "kept; set it to merged"
        )


def check_publish_folder(settings: TrainingSettings) -> None:
    """Publishing replaces a folder with all that is in it, so refuse one that holds anything but a published model."""
    if settings.publish is None:
        return
    field = "spec.publish.uri"
    location = parse_uri(settings.publish.uri, field)
    if not isinstance(location, FolderLocation):
        return
    path = location.path.resolve()
    checkpoints = parse_uri(settings.checkpoint.uri, "spec.checkpoint.uri")
    if isinstance(checkpoints, FolderLocation) and checkpoints.path.resolve().is_relative_to(path):
        raise ConfigurationError(f"{field}: must not contain the folder of spec.checkpoint.uri; choose another folder")
    if path.is_mount():
        raise ConfigurationError(f"{field}: {path} is the root of a volume; add a folder to the path")
    if path.is_dir() and ((path / RUN_FILE).is_file() or not any(path.iterdir())):
        return
    if path.exists():
        raise ConfigurationError(
            f"{field}: {path} must be new, empty or a model that DeepSynth published, because publishing deletes what "
            "is there; choose another folder"
        )


def export_model(
    model: PageModel,
    tensors: dict[str, Any],
    settings: TrainingSettings,
    output_uri: str,
    documents: Mapping[str, str],
    *,
    on_wait: OnWait | None = None,
) -> ModelOutput:
    """Write the final model to `output_uri`, a folder or an object store, and publish it to spec.publish.uri. Called on
    rank 0.

    tensors: the full state of the model on the CPU. documents: text files, by name. on_wait: see OnWait. A store that
    does not answer is waited for as in an outage: the model is all that the training has left. Raises
    ConfigurationError (URI, token) and TemporaryError (disk, Hub, object store).
    """
    final = _merge(model, tensors, settings)
    weights = tensors if final is model else None
    with ExitStack() as stack:
        if isinstance(parse_uri(output_uri, "spec.checkpoint.uri"), FolderLocation):
            target = _replace_folder(final, weights, documents, output_uri, "spec.checkpoint.uri")
            output = ModelOutput(uri=output_uri)
        else:
            target = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="deepsynth-model-")))
            with explain_full_disk(target):
                write_model(final, target, weights, documents)
            revision = publish_folder(
                target, output_uri, field="spec.checkpoint.uri", on_wait=on_wait, has_answered=True
            )
            output = ModelOutput(uri=output_uri, revision=revision)
        if settings.publish is None:
            return output
        location = parse_uri(settings.publish.uri, "spec.publish.uri")
        if not isinstance(location, FolderLocation):
            private = settings.publish.private
            uri, field = settings.publish.uri, "spec.publish.uri"
            revision = publish_folder(target, uri, private=private, field=field, on_wait=on_wait, has_answered=True)
            return ModelOutput(uri=settings.publish.uri, revision=revision)
    check_publish_folder(settings)  # again: it may have been filled since the start
    _replace_folder(final, weights, documents, settings.publish.uri, "spec.publish.uri")
    return ModelOutput(uri=settings.publish.uri)


def _merge(model: PageModel, tensors: dict[str, Any], settings: TrainingSettings) -> PageModel:
    """With LoRA: a model with the adapters merged in, unless spec.publish.format is adapter. Empties `tensors` then."""
    if settings.model.lora is None or (settings.publish and settings.publish.format == "adapter"):
        return model
    if settings.model.quantize:
        return replace(model, module=merge_into_stored_base(model.module, tensors, settings))
    return replace(model, module=merge_adapters(model.module, tensors))


def _replace_folder(
    model: PageModel, tensors: dict[str, Any] | None, documents: Mapping[str, str], uri: str, field: str
) -> Path:
    """Write to a staging folder and rename it, so that readers see the old model or the new one."""
    location = parse_uri(uri, field)
    if not isinstance(location, FolderLocation):
        raise ConfigurationError(f"{field}: must be a folder (file:// or pvc://), got {uri}")
    target = location.path.resolve()  # a rename would not follow a link
    with explain_full_disk(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        staging = Path(tempfile.mkdtemp(prefix=f".{target.name}-", dir=target.parent))
        try:
            write_model(model, staging, tensors, documents)
            for path in staging.iterdir():
                fsync_file(path)
            shutil.rmtree(target, ignore_errors=True)
            staging.rename(target)
        finally:
            shutil.rmtree(staging, ignore_errors=True)
    fsync_folder(target.parent)
    return target
