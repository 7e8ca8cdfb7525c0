"""Which layers get adapters: from the entries of spec.model.lora.targetModules to names that peft takes.

With `freeze: [vision]` and a model whose language part is model.language_model and lm_head:

    entry         layers that get adapters
    q_proj        model.language_model.layers.0.self_attn.q_proj, ...     not those of the vision part: it is frozen
    *.mlp.*       model.language_model.layers.0.mlp.gate_proj, ...        experts included
    language.*    all of the language part but lm_head, which only its own name selects
    experts       model.language_model.layers.1.mlp.experts, ...          its 3-D weights (experts, D_out, D_in)
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

from torch import nn

from deepsynth_api.errors import ConfigurationError
from deepsynth_api.v1alpha1 import LoraSettings
from deepsynth_train.models.interface.page_model import Family

_USUAL = frozenset(LoraSettings().target_modules)
"""The default names the attention layers of all supported models; a model need not have all of them."""


@dataclass(frozen=True)
class Targets:
    """Full names. layers: modules. experts: parameters that hold the weights of all experts of a layer."""

    layers: list[str]
    experts: list[str]


@dataclass(frozen=True)
class _Candidate:
    """A layer that can have adapters.

    names: its full name, and where it is within its part, such as language.layers.0.self_attn.q_proj. listed: only an
    entry without a wildcard selects it.
    """

    names: list[str]
    experts: list[str]
    frozen: bool
    listed: bool


def select_targets(module: Any, entries: Sequence[str], family: Family, freeze: Sequence[str]) -> Targets:
    """Layers that an entry matches and that are not in a frozen part.

    Raises ConfigurationError for an entry that matches no layer of the model, and if none is left.
    """
    candidates = list(_list_candidates(module, family, freeze))
    for entry in entries:
        if entry not in _USUAL and not any(_matches(candidate, entry) for candidate in candidates):
            raise ConfigurationError(
                f"spec.model.lora.targetModules: no layer of the model matches {entry!r}; its layers are "
                f"{', '.join(sorted({each.names[0].rpartition('.')[2] for each in candidates if not each.listed}))}"
            )
    chosen = [each for each in candidates if not each.frozen and any(_matches(each, entry) for entry in entries)]
    if not chosen:
        where = f" outside the parts that spec.model.freeze names ({', '.join(freeze)})" if freeze else ""
        raise ConfigurationError(f"spec.model.lora.targetModules: no layer{where} matches {', '.join(entries)}")
    return Targets(
        layers=[each.names[0] for each in chosen if not each.experts],
        experts=[name for each in chosen for name in each.experts],
    )


def list_expert_weights(module: nn.Module) -> list[str]:
    """Names of the module's own weights of shape (experts, D_out, D_in); empty for any other module."""
    if not hasattr(module, "num_experts"):
        return []
    return [name for name, weight in module.named_parameters(recurse=False) if weight.ndim == 3]


def _list_candidates(module: Any, family: Family, freeze: Sequence[str]) -> Iterator[_Candidate]:
    parts = list_parts(family)
    heads = (module.get_input_embeddings(), module.get_output_embeddings())
    for name, layer in module.named_modules():
        experts = list_expert_weights(layer)
        if not experts and not _is_leaf(layer):
            continue
        part, within = locate(name, parts)
        yield _Candidate(
            names=[name, f"{part}.{within}"] if part else [name],
            experts=[f"{name}.{weight}" for weight in experts],
            frozen=part in freeze or f"{name}.weight" in family.unused,
            listed=not experts and (not is_linear(layer) or any(layer is head for head in heads)),
        )


def _is_leaf(layer: nn.Module) -> bool:
    return any(True for _ in layer.parameters(recurse=False)) and not any(True for _ in layer.children())


def is_linear(layer: nn.Module) -> bool:
    """Also the layers of GPT-2, whose weights are stored transposed."""
    from transformers.pytorch_utils import Conv1D

    return isinstance(layer, nn.Linear | Conv1D)


def list_parts(family: Family) -> Mapping[str, Sequence[str]]:
    """The roots of the vision and of the language part."""
    return {"vision": family.vision, "language": family.language}


def locate(name: str, parts: Mapping[str, Sequence[str]]) -> tuple[str, str]:
    """Part of a layer and its name within it; empty for a layer between the parts."""
    for part, roots in parts.items():
        for root in roots:
            if name == root:
                return part, root.rpartition(".")[2]
            if name.startswith(f"{root}."):
                return part, name.removeprefix(f"{root}.")
    return "", ""


def _matches(candidate: _Candidate, entry: str) -> bool:
    if "*" in entry:
        return not candidate.listed and any(fnmatchcase(name, entry) for name in candidate.names)
    return any(name == entry or name.endswith(f".{entry}") for name in candidate.names)
