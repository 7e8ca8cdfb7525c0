"""transformers' VisionEncoderDecoder (Donut, TrOCR, ViT with GPT-2 and similar): one page in, its text out."""

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from deepsynth_api.errors import ConfigurationError
from deepsynth_api.v1alpha1 import TrainingSettings
from deepsynth_train.models.families.graph import find_unused
from deepsynth_train.models.families.page_features import ModuleCut
from deepsynth_train.models.families.pixel_scale import RAW, find_scale
from deepsynth_train.models.families.sequences import build_targets, count_pages, join_tensors
from deepsynth_train.models.families.square_pages import ImageRule, build_planes, fit_inputs
from deepsynth_train.models.interface.page_model import Batch, Inputs, PageModel, Prompt, Sample, VisionCut

_PROBES: Final = ((96, 64), (64, 112))
"""Width and height of the pages on which our way to a square is compared with the processor's."""


class EncoderDecoderFamily:
    """The decoder sees the page by cross attention; there is no prompt. With a label of 3 tokens:

    decoder_input_ids   start  l1  l2  l3
    rows                |      |   |   |       every position predicts a label token
    targets             l1     l2  l3  EOS

    image: how pages become squares; None for a model whose pages are not simply scaled to a square (Donut), which are
    left to its image processor.
    """

    max_pages = 1
    fixed_tokens = 1
    reads_sizes = False
    vision = ("encoder",)
    language = ("decoder",)

    def __init__(self, config: Any, processor: Any, image: ImageRule | None) -> None:
        self.image = image
        self.image_tokens = 0
        self.unused: Sequence[str] = ("encoder.pooler.dense.weight", "encoder.pooler.dense.bias")  # until `check`
        self.context_tokens = int(config.decoder.max_position_embeddings)
        self._images = processor.image_processor
        self._scale = image.scale if image else find_scale(self._images)
        self._start = int(config.decoder_start_token_id)
        self._pad = int(processor.tokenizer.pad_token_id)
        self._eos = int(processor.tokenizer.eos_token_id)

    def count_page_tokens(self, sizes: NDArray[np.int64]) -> NDArray[np.int64]:
        return np.zeros(len(sizes), dtype=np.int64)  # pages take no decoder positions

    def build_prompt(self, pages: Sequence[Image.Image]) -> Prompt:
        return Prompt(len(pages), [], {"pixel_values": self._read(pages)})

    def _read(self, pages: Sequence[Image.Image]) -> torch.Tensor:
        """(P, 1 or 3, H, W)"""
        if self.image:
            return build_planes(pages, self.image)
        raw = RAW if self._scale else {}
        coloured = [page.convert("RGB") for page in pages]
        pixels: torch.Tensor = self._images(coloured, return_tensors="pt", **raw)["pixel_values"]
        return pixels.to(torch.uint8) if self._scale else pixels

    def collate(self, samples: Sequence[Sample]) -> Batch:
        width = 1 + max(len(sample.label) for sample in samples)
        decoder_input_ids = torch.full((len(samples), width), self._pad)  # (B, T), int64
        mask = torch.zeros_like(decoder_input_ids)  # (B, T)
        rows: list[int] = []
        for line, sample in enumerate(samples):
            length = len(sample.label) + 1
            decoder_input_ids[line, :length] = torch.tensor([self._start, *sample.label])
            mask[line, :length] = 1
            rows += range(line * width, line * width + length)
        inputs = {
            **join_tensors([sample.prompt for sample in samples]),
            "decoder_input_ids": decoder_input_ids,
            "decoder_attention_mask": mask,
        }
        targets = build_targets(samples, self._eos)
        return Batch(inputs, torch.tensor(rows), targets, len(samples), count_pages(samples))

    def collate_prompts(self, samples: Sequence[Sample]) -> Inputs:
        return join_tensors([sample.prompt for sample in samples])

    def prepare(self, inputs: Inputs) -> dict[str, Any]:
        if self._scale is None or inputs["pixel_values"].dtype != torch.uint8:
            return inputs
        return {**inputs, "pixel_values": self._scale.apply(inputs["pixel_values"])}

    def cut_vision(self, module: Any) -> VisionCut:
        return ModuleCut(module.encoder, ["pixel_values"])

    def check(self, module: Any) -> None:
        """Also counts the positions of a page, and finds the parameters without use, such as a pooler's."""
        if next(module.parameters()).is_meta:
            return  # weights without values, to estimate memory
        sample = Sample(self.build_prompt([Image.new("L", (64, 64))]), [self._eos])
        inputs = fit_inputs(self.prepare(self.collate([sample]).inputs), module)
        try:
            output = module(**inputs, use_cache=False)
        except (ValueError, RuntimeError) as error:
            raise ConfigurationError(
                f"spec.model.uri: the model does not take what its image processor makes of a page ({error}); check "
                "the size in its preprocessor_config.json"
            ) from error
        self.image_tokens = int(output.encoder_last_hidden_state.shape[1])  # of (1, N, D)
        self.unused = find_unused(module, output.logits, self.language)


def build_encoder_decoder(module: Any, processor: Any, settings: TrainingSettings) -> PageModel:
    """Wrap a loaded model and its processor. Raises ConfigurationError for a page size that is not the encoder's, for
    tiles, and for a prompt.
    """
    if settings.prompt is not None:
        raise ConfigurationError("spec.prompt: an encoder-decoder model takes no prompt; remove the field")
    if settings.image_processor.max_tiles:
        raise ConfigurationError("spec.imageProcessor.maxTiles: an encoder-decoder model takes no tiles; set it to 0")
    side, own = settings.image_processor.size, module.config.encoder.image_size
    if side not in {None, own if isinstance(own, int) else None}:
        raise ConfigurationError(f"spec.imageProcessor.size: must be {own} for this model, got {side}; remove it")
    processor.image_processor.do_convert_rgb = True  # so that it takes grey pages, as the trainer does
    image = find_stretch(processor.image_processor, own) if isinstance(own, int) else None
    family = EncoderDecoderFamily(module.config, processor, image)
    return PageModel(module, processor, family, module.dtype)


def find_stretch(images: Any, side: int) -> ImageRule | None:
    """The rule that scales pages to a square as this image processor does; None if it does more."""
    mean, std = (tuple(getattr(images, name, None) or ()) for name in ("image_mean", "image_std"))
    if len(mean) != 3 or len(std) != 3 or not (images.do_normalize and images.do_rescale):
        return None
    rule = ImageRule(side=side, fit="stretch", background=255, resample=int(images.resample), mean=mean, std=std)
    for width, height in _PROBES:
        noise = np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)
        page = Image.fromarray(noise)
        theirs = images(page, return_tensors="pt")["pixel_values"]
        ours = rule.scale.apply(build_planes([page], rule))
        if theirs.shape != ours.shape or (theirs - ours).abs().max() > 2 / 255 / min(std):
            return None
    return rule
