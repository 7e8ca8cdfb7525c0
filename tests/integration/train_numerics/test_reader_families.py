"""A reader writes what the evaluation writes, for every family that trains through the library's processors."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

import pytest
from PIL import Image

from support.training.page_dataset import draw_noise
from support.training.tiny_families import FAMILIES
from support.training.tiny_training import build_settings

if TYPE_CHECKING:
    from deepsynth_train.models.interface.page_model import PageModel

PAGES = [draw_noise(number, (100 + 20 * number, 90)) for number in range(3)]


def write_as_the_evaluation(model: PageModel, page: bytes) -> str:
    import torch

    from deepsynth_train.models.interface.page_model import Sample

    sample = Sample(model.family.build_prompt([Image.open(io.BytesIO(page))]), [])
    inputs = model.family.prepare(model.family.collate_prompts([sample]))
    with torch.no_grad():
        ids = model.module.generate(**inputs, max_new_tokens=6, do_sample=False, num_beams=1)
    return str(model.tokenizer.batch_decode(ids[:, inputs["input_ids"].shape[1] :], skip_special_tokens=True)[0])


@pytest.mark.parametrize("name", FAMILIES)
def test_a_reader_writes_what_the_evaluation_writes_alone_and_in_a_batch(name: str) -> None:
    import torch

    from deepsynth_train import Reader
    from deepsynth_train.models.families.registry import wrap_model
    from deepsynth_train.models.interface.inference import set_generation

    torch.manual_seed(0)
    module, processor = FAMILIES[name]()
    settings = build_settings(task="ocr", image_processor={}, prompt="Free OCR.")
    model = wrap_model(module.eval(), processor, settings)
    set_generation(module, model.tokenizer, 6)
    expected = [write_as_the_evaluation(model, page) for page in PAGES]
    reader: Any = Reader(module, processor, "Free OCR.")
    assert [reader.read([page])[0] for page in PAGES] == expected
    assert reader.read(PAGES) == expected
