"""The files of trained adapters: tensors under names that peft reads on the base, and the commit of that base.

peft renames what it reads as transformers renames the weights of a published model. With DeepSeek-OCR-2, whose
`model.layers.` becomes `model.language_model.layers.`, a name that has its new form already is renamed again, to one
that the model lacks, and its tensor is lost without an error. So adapters get the names of the published weights:

    in the module     base_model.model.model.language_model.layers.0.self_attn.q_proj.lora_A.weight
    in the file       base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import torch

from deepsynth_api.errors import InternalError

ADAPTER_FILE: Final = "adapter_model.safetensors"
ADAPTER_CONFIG: Final = "adapter_config.json"
_WRAPPER: Final = "base_model.model."
_ADAPTER: Final = "default"


def complete_adapters(module: Any, folder: Path) -> None:
    """Rename the tensors in the file that peft wrote to `folder`, so that it reads all of them, and add to its
    configuration the commit of a base from the Hub. module: peft's wrapper of the model.

    Layers are named in order, not in that of a set, so that each process writes the same bytes.
    """
    from safetensors.torch import load_file, save_file

    document = json.loads((folder / ADAPTER_CONFIG).read_text())
    if isinstance(document["target_modules"], list):
        document["target_modules"].sort()
    if commit := getattr(module.config, "_commit_hash", None):
        document["revision"] = commit
    (folder / ADAPTER_CONFIG).write_text(json.dumps(document, indent=2) + "\n")
    written = load_file(folder / ADAPTER_FILE)
    named = choose_names(module, written)
    if named.keys() != written.keys():
        save_file(named, folder / ADAPTER_FILE, metadata={"format": "pt"})


def choose_names(module: Any, tensors: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The adapters under names that peft reads back as those of `tensors`, which are the module's.

    Raises InternalError if it reads neither the module's own names nor those of the published weights.
    """
    own = dict(tensors)
    for names in (own, _use_published_names(module, own)):
        if _read_names(module, names) == own.keys():
            return names
    raise InternalError("peft reads back none of the names that adapters of this model can have; publish it merged")


def _use_published_names(module: Any, tensors: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    from transformers.core_model_loading import revert_weight_conversion

    inner = {name.removeprefix(_WRAPPER): tensor for name, tensor in tensors.items()}
    reverted: dict[str, torch.Tensor] = revert_weight_conversion(module.get_base_model(), inner)
    return {f"{_WRAPPER}{name}": tensor for name, tensor in reverted.items()}


def _read_names(module: Any, tensors: Mapping[str, torch.Tensor]) -> Any:
    """The names that peft's loader gives to these tensors. Older versions of peft leave them as they are."""
    try:
        from peft.utils.transformers_weight_conversion import convert_peft_adapter_state_dict_for_transformers
    except ImportError:
        return tensors.keys()
    return convert_peft_adapter_state_dict_for_transformers(
        model=module,
        peft_config=module.peft_config[_ADAPTER],
        adapter_state_dict=dict(tensors),
        adapter_name=_ADAPTER,
    ).keys()
