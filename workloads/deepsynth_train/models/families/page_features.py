"""Where the features of pages enter a model: at the placeholders of its sequences, and in the place of its pixels.

pixels (P, 3, S, S) ── vision part ──▶ features (P, n, D) ── projector ──▶ (N, D) ──▶ embeddings at the placeholders
                                           ▲
                       a cut: cached features are fed here, under the name of the pixels
"""

import functools
import inspect
from collections.abc import Callable, Sequence
from typing import Any, Final

import torch

from deepsynth_train.models.interface.page_model import Inputs

PLACES: Final = "image_places"
"""Input of a training batch: int64, (N,), the positions of image tokens, counted over all sequences: t + T * b."""
_PIXELS: Final = "pixel_values"


def find_places(lines: Sequence[Sequence[int]], width: int, image_token: int) -> torch.Tensor:
    """PLACES of sequences that are padded on the right to `width`."""
    return torch.tensor(
        [
            width * line + position
            for line, ids in enumerate(lines)
            for position, token in enumerate(ids)
            if token == image_token
        ],
        dtype=torch.int64,
    )


def embed_at_places(model: Any) -> None:
    """Make `model`, the one below the output layer, put features at PLACES if it is given them.

    The library waits for the device three times in each forward pass: it counts the placeholders, writes their number
    into a message, and looks whether the mask hides anything. In training the mask hides the padding on the right,
    which no label token of a causal model sees, so it is dropped, and `_NoCache` says that no sequences are packed.
    """
    from transformers.modeling_layers import GradientCheckpointingLayer

    no_cache = _build_no_cache()
    for layer in model.language_model.modules():
        if isinstance(layer, GradientCheckpointingLayer):
            layer._can_checkpoint_with_cache = True  # noqa: SLF001 - nothing is written to it
    model.register_forward_pre_hook(functools.partial(_embed, no_cache), with_kwargs=True)


def _build_no_cache() -> Any:
    """A cache of keys and values that keeps none. With a cache, the library does not look for packed sequences."""
    from transformers import DynamicCache

    class _NoCache(DynamicCache):
        def update(
            self, key_states: torch.Tensor, value_states: torch.Tensor, *_: Any, **__: Any
        ) -> tuple[torch.Tensor, torch.Tensor]:
            return key_states, value_states

    return _NoCache()


def _embed(no_cache: Any, model: Any, arguments: tuple[Any, ...], inputs: dict[str, Any]) -> Any:
    if PLACES not in inputs:
        return None
    views = {
        name: inputs.pop(name) for name in inspect.signature(model.get_image_features).parameters if name in inputs
    }
    places, ids = inputs.pop(PLACES), inputs.pop("input_ids")
    features = torch.cat(list(model.get_image_features(**views, return_dict=True).pooler_output))  # (N, D)
    if len(features) != len(places):
        raise ValueError(f"the prompts have {len(places)} image tokens, the model made {len(features)} features")
    embedded = model.get_input_embeddings()(ids)  # (B, T, D)
    filled = embedded.flatten(0, 1).index_copy(0, places, features.to(embedded.dtype)).view_as(embedded)
    return arguments, {**inputs, "inputs_embeds": filled, "attention_mask": None, "past_key_values": no_cache}


class ModuleCut:
    """Behind a part of the model: it returns features, (P, n, D), as they are, and makes them of pixels, (P, 3, H, W).

    names: inputs of the model that go through the part.
    """

    is_fed = False

    def __init__(self, part: Any, names: Sequence[str]) -> None:
        self._part = part
        self._run = part.forward
        self._names = names
        part.forward = _wrap(self._run, self._pass)

    def encode(self, inputs: Inputs) -> Inputs:
        return {name: self._part(inputs[name]).last_hidden_state for name in self._names if name in inputs}

    def list_weights(self) -> dict[str, torch.Tensor]:
        return {**dict(self._part.named_parameters()), **dict(self._part.named_buffers())}

    def _pass(self, pixel_values: torch.Tensor, *rest: Any, **settings: Any) -> Any:
        from transformers.modeling_outputs import BaseModelOutput

        if pixel_values.ndim == 3:
            return BaseModelOutput(last_hidden_state=pixel_values)
        return self._run(pixel_values, *rest, **settings)


class OutputCut:
    """Behind `get_image_features` of any model of the library: while `is_fed`, it takes `pixel_values` for features.

    Features for several layers (deepstack) follow each other in the last dimension: (N, D + D + ...).
    """

    def __init__(self, model: Any, language: Sequence[str]) -> None:
        """language: names of the parts behind the cut, as the whole model has them."""
        self.is_fed = False
        self._model = model
        self._behind = tuple(name.removeprefix("model.") for name in language)
        self._run = model.get_image_features
        self._widths: list[int] = []
        self._is_list: list[bool] = []
        self._output: Any = None
        model.get_image_features = _wrap(self._run, self._pass)

    def encode(self, inputs: Inputs) -> Inputs:
        taken = {name: inputs[name] for name in inspect.signature(self._run).parameters if name in inputs}
        output = self._run(**taken, return_dict=True)
        made = [output.pooler_output, *(getattr(output, "deepstack_features", None) or [])]
        parts = [part if isinstance(part, torch.Tensor) else torch.cat(list(part)) for part in made]
        self._widths = [part.shape[-1] for part in parts]
        self._is_list = [not isinstance(part, torch.Tensor) for part in made]
        self._output = type(output)
        return {_PIXELS: torch.cat(parts, dim=-1)}

    def list_weights(self) -> dict[str, torch.Tensor]:
        weights = {**dict(self._model.named_parameters()), **dict(self._model.named_buffers())}
        return {name: weight for name, weight in weights.items() if not name.startswith(self._behind)}

    def _pass(self, pixel_values: torch.Tensor, *rest: Any, **settings: Any) -> Any:
        if not self.is_fed:
            return self._run(pixel_values, *rest, **settings)
        parts = torch.split(pixel_values, self._widths, dim=-1)
        first, *others = [[part] if is_list else part for part, is_list in zip(parts, self._is_list, strict=True)]
        output = self._output()
        output.pooler_output = first
        if others:
            output.deepstack_features = others
        return output


def _wrap(method: Callable[..., Any], instead: Callable[..., Any]) -> Callable[..., Any]:
    """A function that shows the signature of `method`, which the library looks at."""

    @functools.wraps(method)
    def call(*given: Any, **named: Any) -> Any:
        return instead(*given, **named)

    return call
