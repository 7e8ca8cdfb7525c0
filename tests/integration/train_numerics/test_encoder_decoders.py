"""Vision encoder-decoders (Donut, TrOCR): trained on the inputs and the loss that their own processors give."""

from __future__ import annotations

from contextlib import nullcontext
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from deepsynth_api.errors import ConfigurationError
from support.training.tiny_encoder_decoders import ENCODER_DECODERS
from support.training.tiny_training import build_settings, draw_noise

if TYPE_CHECKING:
    from pathlib import Path

    from PIL import Image

    from deepsynth_train.models.interface.page_model import PageModel, Sample

ALL = pytest.mark.parametrize("name", ENCODER_DECODERS)
SIZES = [(64, 90), (150, 64), (300, 300)]


def build(name: str, **changes: Any) -> PageModel:
    import torch

    from deepsynth_train.models.families.registry import wrap_model

    torch.manual_seed(0)
    module, processor = ENCODER_DECODERS[name]()
    module.eval()
    model = wrap_model(module, processor, build_settings(image_processor={}, **changes))
    model.family.check(module)
    return model


def draw_pages() -> list[Image.Image]:
    generator = np.random.default_rng(0)
    return [draw_noise(generator, size) for size in SIZES]


def build_samples(model: PageModel) -> list[Sample]:
    from deepsynth_train.models.interface.page_model import Sample

    pages = enumerate(draw_pages())
    return [Sample(model.family.build_prompt([page]), list(range(50, 53 + number))) for number, page in pages]


@ALL
def test_loss_and_gradients_equal_those_of_the_library(name: str) -> None:
    import torch

    from deepsynth_train.optimization.loss import compute_loss_sum

    model = build(name)
    samples, module = build_samples(model), model.module
    theirs = torch.zeros(())
    for page, sample in zip(draw_pages(), samples, strict=True):
        pixels = model.processor.image_processor(page, return_tensors="pt")["pixel_values"]
        labels = torch.tensor([[*sample.label, model.tokenizer.eos_token_id]])
        theirs = theirs + module(pixel_values=pixels, labels=labels).loss * labels.shape[1]
    theirs.backward()  # type: ignore[no-untyped-call]
    expected = {key: p.grad.clone() for key, p in module.named_parameters() if p.grad is not None}
    module.zero_grad()
    ours = compute_loss_sum(model, model.family.collate(samples), nullcontext)
    ours.backward()  # type: ignore[no-untyped-call]
    assert ours.item() == pytest.approx(theirs.item(), rel=1e-5)
    for key, gradient in expected.items():
        torch.testing.assert_close(module.get_parameter(key).grad, gradient, atol=1e-4, rtol=1e-3, msg=key)
    without = {key for key, parameter in module.named_parameters() if parameter.grad is None}
    assert without == set(model.family.unused)


@ALL
def test_text_is_written_in_batches_as_by_the_library_for_each_page(name: str) -> None:
    import torch

    model = build(name)
    settings = {"max_new_tokens": 4, "do_sample": False}
    with torch.no_grad():
        alone = [
            model.module.generate(
                model.processor.image_processor(page, return_tensors="pt")["pixel_values"], **settings
            )
            for page in draw_pages()
        ]
        together = model.module.generate(
            **model.family.prepare(model.family.collate_prompts(build_samples(model))), **settings
        )
    assert together.tolist() == [ids[0].tolist() for ids in alone]


@ALL
def test_a_published_folder_trains_as_the_model_itself(name: str, tmp_path: Path) -> None:
    from deepsynth_train.models.build import build_page_model
    from deepsynth_train.models.export import write_model
    from deepsynth_train.optimization.loss import compute_loss_sum

    model = build(name)
    write_model(model, tmp_path)
    again = build_page_model(build_settings(model={"uri": f"file://{tmp_path}"}, image_processor={}))
    again.module.eval()
    losses = [compute_loss_sum(m, m.family.collate(build_samples(m)), nullcontext).item() for m in (model, again)]
    assert losses[0] == losses[1]


def test_pages_are_scaled_to_a_square_only_where_the_processor_does_that() -> None:
    rules = {name: build(name).family.image for name in ENCODER_DECODERS}  # type: ignore[attr-defined]
    assert rules["donut"] is None, "Donut keeps the shape of a page and pads it"
    assert (rules["trocr"].side, rules["trocr"].fit) == (64, "stretch")


def test_an_image_processor_of_another_size_than_the_encoder_is_refused() -> None:
    from deepsynth_train.models.families.registry import wrap_model

    module, processor = ENCODER_DECODERS["trocr"]()
    processor.image_processor.size = {"height": 96, "width": 96}
    model = wrap_model(module, processor, build_settings(image_processor={}))
    with pytest.raises(ConfigurationError, match=r"check the size in its preprocessor_config.json"):
        model.family.check(module)
