"""The small model that learns to read: its patches are the characters of the pages that `make demo` renders."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import yaml
from PIL import Image

from deepsynth_api.v1alpha1 import ModelSettings, PageSettings, TrainingSettings
from deepsynth_render.page import PageRenderer

if TYPE_CHECKING:
    from deepsynth_train.models.interface.page_model import PageModel

URI = "config://page-reader-small"
DEMO = Path(__file__).parents[5] / "examples/demo.yaml"


@pytest.fixture(scope="module")
def model() -> PageModel:
    from deepsynth_train.models.build import build_page_model

    settings = {"model": {"uri": URI}, "precision": "fp32", "checkpoint": {"uri": "file:///nowhere"}}
    return build_page_model(TrainingSettings.model_validate(settings))


def render_demo_page(tmp_path: Path, text: str) -> Image.Image:
    generation, run = yaml.safe_load_all(DEMO.read_text())
    assert run["spec"]["model"]["uri"] == URI
    (page,) = PageRenderer(PageSettings.model_validate(generation["spec"]["page"]), "fast").render(text, "demo")
    (tmp_path / "page.png").write_bytes(page.png)
    return Image.open(tmp_path / "page.png").convert("L")


def test_a_patch_of_the_demos_pages_is_one_character(model: PageModel, tmp_path: Path) -> None:
    from deepsynth_train.models.random.page_reader import CELL

    lines = ["l   l   l l l l l l", "lllllllllllllllllllllllllll", " l  l"]
    page = render_demo_page(tmp_path, "\n".join(lines))
    pixels = model.family.build_prompt([page]).tensors["pixel_values"][0, 0].numpy()  # (168, 168)
    height, width = CELL
    rows, columns = pixels.shape[0] // height, pixels.shape[1] // width
    cells = pixels.reshape(rows, height, columns, width).transpose(0, 2, 1, 3)  # (3, 28, 56, 6)
    darkest = cells.reshape(rows, columns, -1).min(axis=2)  # the stem of an l is at the middle of its cell
    found = ["".join("l" if pixel < 100 else " " for pixel in row).rstrip() for row in darkest]
    assert found == lines


def test_empty_patches_are_zero(model: PageModel) -> None:
    prompt = model.family.build_prompt([Image.new("L", (338, 100), "white")])
    assert not model.family.prepare(dict(prompt.tensors))["pixel_values"].any()


def test_patches_are_near_each_other_as_their_characters_are_in_the_text(model: PageModel) -> None:
    positions = model.module.encoder.embeddings.position_embeddings[0, 1:].detach()  # (84, 128)
    nearness = (positions[9] @ positions.T).numpy()
    assert (np.diff(nearness[9:13]) < 0).all()
    assert nearness[9 + 28] == nearness[28:56].max()  # below it


def test_it_is_the_same_model_after_it_was_saved(model: PageModel, tmp_path: Path) -> None:
    import torch

    from deepsynth_train.models.loading import load_module

    module, processor = _save_and_load(model, tmp_path, load_module)
    page = render_demo_page(tmp_path, "Return a list.")
    inputs = {"decoder_input_ids": torch.tensor([[0, 5, 6]])}
    ours = model.family.prepare(dict(model.family.build_prompt([page]).tensors))["pixel_values"]
    theirs = processor.image_processor([page.convert("RGB")], return_tensors="pt")["pixel_values"]
    torch.testing.assert_close(ours, theirs, atol=0.01, rtol=0)  # a grey level is 1 / 127.5
    with torch.no_grad():
        logits = [each.eval()(pixel_values=ours, **inputs).logits for each in (model.module, module)]
    assert torch.equal(*logits)


def _save_and_load(model: PageModel, folder: Path, load_module: Any) -> Any:
    for part in (model.module, model.processor):
        part.save_pretrained(folder)
    return load_module(ModelSettings(uri=f"file://{folder}"))
