"""LoRA: adding adapters to a model, and merging trained ones into its weights. peft does both.

Which layers get adapters is in adapter_targets.py.
"""

import copy
import warnings
from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch.distributed.fsdp import FSDPModule

from deepsynth_api.counted import counted
from deepsynth_api.errors import ConfigurationError
from deepsynth_api.v1alpha1 import ModelSettings, TrainingSettings
from deepsynth_train.checkpoint.base import compute_checksum
from deepsynth_train.checkpoint.state.parts import locate as locate_part
from deepsynth_train.models.adapter_targets import is_linear, list_parts, locate, select_targets
from deepsynth_train.models.interface.page_model import Family, PageModel
from deepsynth_train.models.loading import CPU, FIELD, describe_first_line, load_module
from deepsynth_train.models.quantization.four_bit import FourBitTensor


def add_adapters(module: Any, settings: ModelSettings, family: Family) -> Any:
    """The model in the wrapper of peft; only the adapters are trainable.

    Raises ConfigurationError for targets that the model lacks or peft cannot adapt.
    """
    from peft import LoraConfig, get_peft_model

    lora = settings.lora
    assert lora is not None  # noqa: S101 - the caller's condition
    targets = select_targets(module, lora.target_modules, family, settings.freeze)
    if targets.experts and lora.use_dora:
        raise ConfigurationError(
            "spec.model.lora.useDora: must be false with adapters on routed experts, which "
            "spec.model.lora.targetModules names"
        )
    dropout = float(lora.dropout)
    config = LoraConfig(
        r=lora.rank,
        lora_alpha=lora.alpha,
        lora_dropout=0.0 if targets.experts else dropout,  # peft refuses experts with dropout
        target_modules=targets.layers,
        target_parameters=targets.experts,
        use_rslora=lora.use_rslora,
        use_dora=lora.use_dora,
    )
    try:
        with _without_library_warnings():
            adapted = get_peft_model(module, config)
    except ValueError as error:
        raise ConfigurationError(f"spec.model.lora.targetModules: {describe_first_line(error)}") from error
    if targets.experts and dropout:
        _drop_out_of_layers(adapted, dropout)
    return adapted


def _drop_out_of_layers(adapted: Any, dropout: float) -> None:
    """Of all adapters but those of routed experts, whose weights are not applied to an input by themselves."""
    from peft.tuners.lora.layer import LoraLayer, ParamWrapper

    for layer in adapted.modules():
        if isinstance(layer, LoraLayer) and not isinstance(layer, ParamWrapper):
            layer.lora_dropout["default"] = torch.nn.Dropout(dropout)


def describe_adapters(model: PageModel, settings: ModelSettings) -> Iterator[str]:
    """Notes for users: how many weights are trained in which part, and warnings if the language part has none or if
    dropout does not apply to all.

    Nothing for a model without adapters. Called before the model is sharded.
    """
    if settings.lora is None:
        return
    from peft.tuners.lora.layer import ParamWrapper

    base, parts = model.module.get_base_model(), list_parts(model.family)
    weights, layers = Counter[str](), defaultdict[str, set[str]](set)
    for name, parameter in base.named_parameters():
        layer, is_adapter, _ = name.partition(".lora_")
        if is_adapter and parameter.requires_grad:
            part = locate(layer, parts)[0] or "other"
            weights[part] += parameter.numel()
            layers[part].add(layer.replace(".base_layer", ""))
    if float(settings.lora.dropout) and any(isinstance(part, ParamWrapper) for part in base.modules()):
        yield "spec.model.lora.dropout: applies to all adapters but those of routed experts, which have none"
    empty = [part for part in parts if not weights[part] and part not in settings.freeze]
    counts = [f"{part} {weights[part]:,} in {counted(len(layers[part]), 'layer')}" for part in layers]
    counts += [f"{part} none" for part in empty]
    yield f"adapters have {weights.total():,} weights to train: {', '.join(counts)}"
    if "language" in empty:
        head = base.get_output_embeddings()
        names = {
            name.rpartition(".")[2]
            for name, layer in base.named_modules()
            if is_linear(layer) and layer is not head and locate(name, parts)[0] == "language"
        }
        yield (
            "spec.model.lora.targetModules: the language part gets no adapters, so it is not trained; to train it, add "
            f"some of its layers: {', '.join(sorted(names))}"
        )


def merge_adapters(adapted: Any, tensors: dict[str, Any]) -> Any:
    """The model on the CPU with the adapters merged into its weights.

    tensors: full state of `adapted` on the CPU, taken over and empty afterwards. So next to it only one weight at a
    time exists twice. `adapted` itself is not used or changed: it may be sharded over ranks, or compiled.
    """
    merged = build_empty_copy(adapted)
    merged.load_state_dict(tensors, assign=True)
    tensors.clear()
    return merged.merge_and_unload(safe_merge=True)  # safe: the sums are new tensors, the trained ones stay


def merge_into_stored_base(adapted: Any, tensors: dict[str, Any], settings: TrainingSettings) -> Any:
    """The same for a model whose base was in 4 bits: merged into the weights that it was made from, read again.

    tensors: the adapters. Raises ConfigurationError if the base has changed since.
    """
    from peft import PeftModel

    base = adapted.get_base_model()
    torch.manual_seed(settings.seed)
    device = base.device if settings.model.uri.startswith("config://") else CPU  # each device draws other numbers
    stored, _ = load_module(settings.model, device)
    stored.to(CPU).generation_config = copy.deepcopy(base.generation_config)
    for name, weight in base.named_parameters():
        if isinstance(weight, FourBitTensor):
            own = stored.get_parameter(name.replace(".base_layer", ""))
            if weight.content.base_checksum != compute_checksum(locate_part(name, own)):
                raise ConfigurationError(
                    f"{FIELD}: {name} of {settings.model.uri} has changed since the start, so adapters cannot be "
                    "merged into it; bring the model back and run again, or set spec.publish.format: adapter"
                )
    with _without_library_warnings():
        merged = PeftModel(stored, copy.deepcopy(adapted.peft_config["default"]))
    merged.load_state_dict(tensors, strict=False, assign=True)
    tensors.clear()
    return merged.merge_and_unload(safe_merge=True)


def build_empty_copy(adapted: Any) -> Any:
    """A model with the same adapters, whose weights have shapes but no memory."""
    from peft import PeftModel

    base = adapted.get_base_model()
    library_class: Any = next(cls for cls in type(base).__mro__ if not issubclass(cls, FSDPModule))
    with torch.device("meta"), _without_library_warnings():
        empty = library_class(copy.deepcopy(base.config))
        empty.generation_config = copy.deepcopy(base.generation_config)
        return PeftModel(empty, copy.deepcopy(adapted.peft_config["default"]))


@contextmanager
def _without_library_warnings() -> Iterator[None]:
    """About a name that transformers renamed, and about layers of the GPT-2 kind, which peft detects by itself."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="`is_gradient_checkpointing`", category=FutureWarning)
        warnings.filterwarnings("ignore", message="fan_in_fan_out is set to", category=UserWarning)
        yield
