"""transformers' VisionEncoderDecoder (ViT with GPT-2, TrOCR and similar): one page in, its text out."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from deepsynth_api.errors import ConfigurationError
from deepsynth_api.v1alpha1 import TrainingSettings
from deepsynth_train.models.page_model import Batch, Inputs, PageModel, Prompt, Sample
from deepsynth_train.models.sequences import build_targets, count_pages, join_tensors
from deepsynth_train.models.square_pages import ImageRule, build_planes, check_positions, fit_inputs


class EncoderDecoderFamily:
    """The decoder sees the page by cross attention; there is no prompt. With a label of 3 tokens:

    decoder_input_ids   start  l1  l2  l3
    rows                |      |   |   |       every position predicts a label token
    targets             l1     l2  l3  EOS
    """

    max_pages = 1
    fixed_tokens = 1
    reads_sizes = False
    vision = ("encoder",)
    language = ("decoder",)
    unused = ("encoder.pooler.dense.weight", "encoder.pooler.dense.bias")

    def __init__(self, config: Any, tokenizer: Any, image: ImageRule) -> None:
        self.image = image
        self.image_tokens = (image.side // int(config.encoder.patch_size)) ** 2 + 1
        self.context_tokens = int(config.decoder.max_position_embeddings)
        self._start = int(config.decoder_start_token_id)
        self._pad = int(tokenizer.pad_token_id)
        self._eos = int(tokenizer.eos_token_id)

    def count_page_tokens(self, sizes: NDArray[np.int64]) -> NDArray[np.int64]:
        return np.zeros(len(sizes), dtype=np.int64)  # pages take no decoder positions

    def build_prompt(self, pages: Sequence[Image.Image]) -> Prompt:
        return Prompt(len(pages), [], {"pixel_values": build_planes(pages, self.image)})

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

    def prepare(self, inputs: Inputs) -> Inputs:
        return {**inputs, "pixel_values": self.image.scale.apply(inputs["pixel_values"])}

    def check(self, module: Any) -> None:
        inputs = self.prepare({"pixel_values": build_planes([Image.new("L", (64, 64))], self.image)})
        with torch.no_grad():
            features = module.get_encoder()(**fit_inputs(inputs, module)).last_hidden_state
        check_positions(int(features.shape[1]), self.image_tokens, self.image.side)  # of (1, N, D)


def build_encoder_decoder(module: Any, processor: Any, settings: TrainingSettings) -> PageModel:
    """Wrap a loaded model and its processor. Raises ConfigurationError for a page size that is not the encoder's, and
    for a prompt.
    """
    if settings.prompt is not None:
        raise ConfigurationError("spec.prompt: an encoder-decoder model takes no prompt; remove the field")
    if settings.image_processor.max_tiles:
        raise ConfigurationError("spec.imageProcessor.maxTiles: an encoder-decoder model takes no tiles; set it to 0")
    side = settings.image_processor.size
    own = int(module.config.encoder.image_size)
    if side not in {None, own}:
        raise ConfigurationError(f"spec.imageProcessor.size: must be {own} for this model, got {side}; remove it")
    images = processor.image_processor
    images.do_convert_rgb = True  # so that the published processor takes grey pages as the trainer does
    rule = ImageRule(
        side=own,
        fit="stretch",
        background=255,
        resample=int(images.resample),
        mean=tuple(images.image_mean),
        std=tuple(images.image_std),
    )
    family = EncoderDecoderFamily(module.config, processor.tokenizer, rule)
    return PageModel(module, processor, family, module.dtype)
