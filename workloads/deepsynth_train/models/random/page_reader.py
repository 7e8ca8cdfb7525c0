"""The model of `config://page-reader-small`: learns to read small pages of one font, from nothing, on two CPU cores.

It is a ViT with GPT-2 that is helped in three ways, without which it learns the language of its labels for thousands of
steps before it looks at a page:

- A patch is exactly one character of DejaVu Sans Mono. At 20 px its advance is 12.04 px, and a page of 338 x 100 px has
  3 lines of 28 characters. The processor stretches it to a square, as that of TrOCR does:

        338 x 100 px                      168 x 168 px, 3 x 28 patches of 56 x 6 px

                                          +--+--+--+--+--+--+--+--+--+--+--+--+--+--   --+
        The following                     |T |h |e |  |f |o |l |l |o |w |i |n |g |  ...  |
        chunk types are                   +--+--+--+--+--+--+--+--+--+--+--+--+--+--   --+
        recognized.                ->     |c |h |u |n |k |  |t |y |p |e |s |  |a |r ...  |
                                          +--+--+--+--+--+--+--+--+--+--+--+--+--+--   --+
                                          |r |e |c |o |g |n |i |z |e |d |. |  |  |  ...  |
                                          +--+--+--+--+--+--+--+--+--+--+--+--+--+--   --+

- White is 0, so an empty patch says only where it is.
- Positions start as sines and cosines (arXiv 1706.03762) of a patch's column and its place in reading order, and not
  as noise that the ink drowns. So the decoder learns "one further to the right" once, not once for each place.
"""

from typing import Any, Final

import torch

from deepsynth_train.models.random.tiny import build_byte_tokenizer, join_encoder_decoder

PAGE_SIDE: Final = 168
CELL: Final = (56, 6)
"""Height and width of a patch: a third of the page, and one 28th of it."""
WIDTH: Final = 128
MAX_LABEL_TOKENS: Final = 512
SPREAD: Final = 0.08
"""About 1 / sqrt(WIDTH). With the library's 0.02 the model needs thousands of steps to use a page."""
TEXT_POSITIONS: Final = 0.1
"""As large as the embeddings of tokens, to which they are added."""
MAX_WAVE: Final = 30.0
"""Its period is 2 pi times this number of characters, more than a page holds."""


def build_page_reader_small() -> tuple[Any, Any]:
    """0.9 M random weights, byte tokens, pages of three lines. The caller seeds torch."""
    from transformers import GPT2Config, ViTConfig
    from transformers.models.vit.image_processing_pil_vit import ViTImageProcessorPil

    tokenizer = build_byte_tokenizer()
    encoder = ViTConfig(
        hidden_size=WIDTH,
        num_hidden_layers=2,
        num_attention_heads=4,
        intermediate_size=2 * WIDTH,
        image_size=PAGE_SIDE,
        patch_size=CELL,
        initializer_range=SPREAD,
    )
    decoder = GPT2Config(
        vocab_size=len(tokenizer),
        n_positions=MAX_LABEL_TOKENS,
        n_embd=WIDTH,
        n_layer=2,
        n_head=4,
        n_inner=2 * WIDTH,
        add_cross_attention=True,
        initializer_range=SPREAD,
        resid_pdrop=0.0,
        embd_pdrop=0.0,
        attn_pdrop=0.0,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    images = ViTImageProcessorPil(
        size={"height": PAGE_SIDE, "width": PAGE_SIDE}, image_mean=[1.0, 1.0, 1.0], image_std=[0.5, 0.5, 0.5]
    )
    module, processor = join_encoder_decoder(encoder, decoder, tokenizer, images)
    _set_positions(module)
    return module, processor


def _set_positions(module: Any) -> None:
    """Both positions of a patch have half of the width, so that their waves are among those of the text."""
    lines, columns = (PAGE_SIDE // side for side in CELL)
    places = torch.arange(lines * columns)  # (patches,) in reading order
    waves = torch.cat([build_waves(places % columns, WIDTH // 2), build_waves(places, WIDTH // 2)], dim=1)
    with torch.no_grad():
        module.encoder.embeddings.position_embeddings[0, 1:] = waves  # the first position is the class token's
        module.decoder.transformer.wpe.weight.copy_(TEXT_POSITIONS * build_waves(torch.arange(MAX_LABEL_TOKENS), WIDTH))


def build_waves(places: torch.Tensor, width: int) -> torch.Tensor:
    """(N,) places -> (N, width): sines in the first half, cosines in the second."""
    frequencies = MAX_WAVE ** -(torch.arange(width // 2) / (width // 2))  # (width / 2,)
    angles = places[:, None] * frequencies
    return torch.cat([angles.sin(), angles.cos()], dim=1)
