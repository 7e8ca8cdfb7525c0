"""Which weights of a model `spec.model.quantize` quantises, and how: one by one, as they are read from their files."""

from collections.abc import Collection
from functools import cache
from typing import Any, Final

import torch
from torch import nn

from deepsynth_api.errors import ConfigurationError
from deepsynth_api.v1alpha1 import TrainingSettings
from deepsynth_train.models.adapter_targets import is_linear, list_expert_weights
from deepsynth_train.models.interface.page_model import Family
from deepsynth_train.models.quantization.four_bit import FIELD, quantise
from deepsynth_train.models.quantization.library import import_bitsandbytes

_METHOD: Final = "deepsynth_nf4"


def check_quantization(settings: TrainingSettings) -> None:
    """Refuse 4-bit weights with settings that rule them out. Raises ConfigurationError."""
    if settings.model.quantize is None:
        return
    if settings.model.lora is None:
        raise ConfigurationError(f"{FIELD}: requires spec.model.lora, since 4-bit weights are not trained; set it")
    if settings.sharding == "full":
        raise ConfigurationError(f"{FIELD}: must not be set with spec.sharding full; set spec.sharding: none")
    if settings.compile:
        raise ConfigurationError(f"{FIELD}: must not be set with spec.compile; set spec.compile: false")
    import_bitsandbytes(FIELD, settings.model.quantize, "only spec.model.lora")


def list_quantised(module: Any, family: Family) -> list[str]:
    """Names of the weights to quantise: linear layers and routed experts of the language part.

    Embeddings, norms, routers and the output layer hold few weights and are sensitive. The vision part is left alone
    because pages are read worse when it is rounded.
    """
    head = module.get_output_embeddings()
    names = []
    for root in family.language:
        for name, layer in module.get_submodule(root).named_modules(prefix=root):
            names += [f"{name}.{weight}" for weight in list_expert_weights(layer)]
            if is_linear(layer) and layer is not head:
                names.append(f"{name}.weight")
    return names


def quantise_weights(module: nn.Module, names: Collection[str]) -> None:
    """Replace weights of a built model one by one."""
    for name in names:
        part, _, own = name.rpartition(".")
        setattr(module.get_submodule(part), own, _quantise_parameter(module.get_parameter(name)))


def build_loading_arguments(names: Collection[str]) -> dict[str, Any]:
    """Arguments of `from_pretrained` that quantise the named weights as they are read; {} for none."""
    return {"quantization_config": _register()(names)} if names else {}


def forget_quantization(module: Any) -> None:
    """Remove what the library notes in a model that it has quantised: its files would name a format that is ours."""
    quantizer = getattr(module, "hf_quantizer", None)
    if quantizer is None:
        return
    quantizer.remove_quantization_config(module)
    for part in module.modules():
        if hasattr(part, "config") and hasattr(part.config, "_is_quantized"):
            del part.config._is_quantized  # noqa: SLF001 - the library's name for it


def _quantise_parameter(weight: torch.Tensor) -> nn.Parameter:
    return nn.Parameter(quantise(weight), requires_grad=False)


@cache
def _register() -> Any:
    """Make our format known to the library. Returns the class of its configuration, which takes the names."""
    from transformers.core_model_loading import ConversionOps
    from transformers.quantizers.auto import register_quantization_config, register_quantizer
    from transformers.quantizers.base import HfQuantizer
    from transformers.utils.quantization_config import QuantizationConfigMixin

    @register_quantization_config(_METHOD)
    class Configuration(QuantizationConfigMixin):
        def __init__(self, names: Collection[str]) -> None:
            self.quant_method: Any = _METHOD
            self.names = sorted(names)

    class Quantise(ConversionOps):
        def convert(self, input_dict: dict[str, Any], *_: Any, **__: Any) -> Any:
            first = {name: value[0] if isinstance(value, list) else value for name, value in input_dict.items()}
            return {name: _quantise_parameter(value) for name, value in first.items()}

    @register_quantizer(_METHOD)
    class Quantizer(HfQuantizer):
        def __init__(self, quantization_config: Any, **options: Any) -> None:
            super().__init__(quantization_config, **options)
            self._names = frozenset(quantization_config.names)

        @property
        def quantized_element_size(self) -> float:
            return 0.5625

        def param_needs_quantization(self, model: Any, param_name: str, **_: Any) -> bool:  # noqa: ARG002
            return param_name in self._names

        def get_quantize_ops(self) -> Any:
            return Quantise()

        def is_serializable(self, **_: Any) -> bool:
            return False

        @property
        def is_trainable(self) -> bool:
            return True

    return Configuration
