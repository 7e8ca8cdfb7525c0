"""DeepSeek-OCR-2 with local tiles: positions, inputs and loss as with the library's processor."""

from __future__ import annotations

from contextlib import nullcontext
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from deepsynth_api.errors import ConfigurationError
from support.training.tiny_training import OCR2, build_model, build_settings, draw_noise

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from PIL import Image

    from deepsynth_train.models.interface.page_model import PageModel, Sample

SMALL: dict[str, Any] = {"size": 64, "max_tiles": 6}
"""Squares and tiles of 64 px, which take as many positions as those of 768."""
SIZES = [(64, 60), (90, 130), (300, 80)]
"""No tiles, 2 x 3, 3 x 1 or more."""


def draw_pages(sizes: Sequence[tuple[int, int]], *, grey: bool = False) -> list[Image.Image]:
    generator = np.random.default_rng(0)
    pages = [draw_noise(generator, size) for size in sizes]
    return [page.convert("L") for page in pages] if grey else pages


def build_samples(model: PageModel) -> list[Sample]:
    from deepsynth_train.models.interface.page_model import Sample

    documents = [SIZES[:1], SIZES[1:], SIZES]
    return [
        Sample(model.family.build_prompt(draw_pages(sizes)), list(range(50, 53 + number)))
        for number, sizes in enumerate(documents)
    ]


@pytest.mark.parametrize(("side", "tile"), [(1024, 768), (768, 768), (64, 64)])
def test_positions_are_those_of_the_model(side: int, tile: int) -> None:
    """build_model runs a page with tiles through the model and compares."""
    from deepsynth_train.models.build import build_page_model
    from deepsynth_train.models.families.registry import wrap_model
    from deepsynth_train.models.loading import load_module

    settings = build_settings(image_processor={"size": side, "max_tiles": 6})
    if side == tile == 64:
        model = build_page_model(settings)
    else:
        module, processor = load_module(settings.model)
        processor.image_processor.tile_size = tile
        model = wrap_model(module, processor, settings)
        model.family.check(module)
    queries = {1024: 256, 768: 144, 64: 144}
    assert model.family.tiles.side == tile  # type: ignore[attr-defined]
    assert model.family.count_page_tokens(np.array([(1240, 1754), (tile, 10)])).tolist() == [
        6 * queries[tile] + queries[side] + 1,
        queries[side] + 1,
    ]
    unused = {1024: 0, 768: 1, 64: 1}
    assert len(model.family.unused) == unused[side], "with 1024 and 768, both tables of queries are used"


@pytest.mark.parametrize("size", [(64, 60), (90, 130), (300, 80), (65, 64), (1000, 70)])
@pytest.mark.parametrize("grey", [True, False])
@pytest.mark.parametrize("tiles", [1, 3, 6, 9])
def test_the_published_processor_feeds_what_the_trainer_feeds(
    size: tuple[int, int], grey: bool, tiles: int, published: dict[int, tuple[PageModel, Any, Any]]
) -> None:
    model, *processors = published[tiles]
    for processor, tolerance in zip(processors, (0.06, 0.02), strict=True):
        assert_feeds(processor, model, draw_pages([size], grey=grey)[0], tolerance)


def assert_feeds(processor: Any, model: PageModel, page: Image.Image, tolerance: float) -> None:
    content = [{"type": "image", "image": page}, {"type": "text"}]
    asked = [{"role": "user", "content": content}]
    given = processor.apply_chat_template(asked, tokenize=True, return_dict=True, return_tensors="pt")
    prompt = model.family.build_prompt([page])
    fed = model.family.prepare(dict(prompt.tensors))
    assert given["input_ids"][0].tolist() == prompt.ids
    assert [int(count) for count in given["num_local_patches"]] == fed["num_local_patches"].tolist()
    assert ("pixel_values_local" in given) == ("pixel_values_local" in fed)
    for name in ("pixel_values", "pixel_values_local"):
        if name in fed:
            assert given[name].shape == fed[name].shape
            assert (given[name] - fed[name]).abs().max() < tolerance


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> dict[int, tuple[PageModel, Any, Any]]:
    """By number of tiles: the model in training, and the processor that a user opens, with torchvision and with PIL."""
    from transformers import AutoProcessor

    from deepsynth_train.models.export import write_model

    processors: Any = AutoProcessor
    opened = {}
    for tiles in (1, 3, 6, 9):
        folder = tmp_path_factory.mktemp(f"tiles-{tiles}")
        model = build_model(image_processor={"size": 64, "max_tiles": tiles})
        write_model(model, folder)
        opened[tiles] = model, *(processors.from_pretrained(folder, backend=name) for name in (None, "pil"))
    return opened


def test_grey_pages_travel_as_one_plane_and_mixed_ones_as_three() -> None:
    model = build_model(image_processor=SMALL)
    grey, colour = draw_pages(SIZES[1:], grey=True), draw_pages(SIZES[1:])
    shapes = {
        "grey": model.family.build_prompt(grey).tensors,
        "mixed": model.family.build_prompt([grey[0], colour[1]]).tensors,
    }
    assert {name: tensors["pixel_values_local"].shape[1] for name, tensors in shapes.items()} == {"grey": 1, "mixed": 3}


def test_the_counted_length_is_that_of_the_prompt() -> None:
    model = build_model(image_processor=SMALL)
    for sample, sizes in zip(build_samples(model), [SIZES[:1], SIZES[1:], SIZES], strict=True):
        counted = int(model.family.count_page_tokens(np.array(sizes)).sum()) + model.family.fixed_tokens
        assert len(sample.prompt.ids) + 1 == counted


def test_loss_and_gradients_equal_those_of_the_library() -> None:
    import torch

    from deepsynth_train.optimization.loss import compute_loss_sum

    model = build_model(image_processor=SMALL)
    processor, module = model.processor, model.module
    theirs = torch.zeros(())
    for sample, sizes in zip(build_samples(model), [SIZES[:1], SIZES[1:], SIZES], strict=True):
        content = [*({"type": "image", "image": page} for page in draw_pages(sizes)), {"type": "text"}]
        asked = [{"role": "user", "content": content}]
        inputs = processor.apply_chat_template(asked, tokenize=True, return_dict=True, return_tensors="pt")
        answer = torch.tensor([[*sample.label, model.tokenizer.eos_token_id]])
        labels = torch.cat([torch.full_like(inputs["input_ids"], -100), answer], dim=1)
        inputs["input_ids"] = torch.cat([inputs["input_ids"], answer], dim=1)
        inputs["attention_mask"] = torch.ones_like(labels)
        theirs = theirs + module(**inputs, labels=labels).loss * answer.shape[1]
    theirs.backward()  # type: ignore[no-untyped-call]
    expected = {name: p.grad.clone() for name, p in module.named_parameters() if p.grad is not None}
    module.zero_grad()
    ours = compute_loss_sum(model, model.family.collate(build_samples(model)), nullcontext)
    ours.backward()  # type: ignore[no-untyped-call]
    assert ours.item() == pytest.approx(theirs.item(), rel=1e-4)
    for name, gradient in expected.items():
        torch.testing.assert_close(module.get_parameter(name).grad, gradient, atol=1e-2, rtol=1e-2, msg=name)


def test_tiles_reach_the_model() -> None:
    from dataclasses import replace

    from deepsynth_train.models.interface.page_model import Sample
    from deepsynth_train.optimization.loss import compute_loss_sum

    model = build_model(image_processor=SMALL)
    sample = build_samples(model)[1]
    tensors = sample.prompt.tensors
    changed = {**tensors, "pixel_values_local": 255 - tensors["pixel_values_local"]}
    inverted = Sample(replace(sample.prompt, tensors=changed), sample.label)
    losses = [compute_loss_sum(model, model.family.collate([each]), nullcontext).item() for each in (sample, inverted)]
    assert losses[0] != losses[1]


def test_text_is_written_in_batches_as_for_each_sample_alone() -> None:
    import torch

    model = build_model(image_processor=SMALL)
    samples = build_samples(model)
    written = []
    with torch.no_grad():
        for batch in ([samples[0]], [samples[1]], [samples[2]], samples):
            inputs = model.family.prepare(model.family.collate_prompts(batch))
            ids = model.module.eval().generate(**inputs, max_new_tokens=4, do_sample=False)
            written.append(ids[:, inputs["input_ids"].shape[1] :].tolist())
    assert written[3] == [written[0][0], written[1][0], written[2][0]]


def test_a_published_folder_trains_as_the_model_itself(tmp_path: Path) -> None:
    from deepsynth_train.models.build import build_page_model
    from deepsynth_train.models.export import write_model
    from deepsynth_train.optimization.loss import compute_loss_sum

    model = build_model(image_processor=SMALL)
    write_model(model, tmp_path)
    settings = build_settings(model={"uri": f"file://{tmp_path}"}, image_processor={"max_tiles": 6})
    again = build_page_model(settings)
    losses = [compute_loss_sum(m, m.family.collate(build_samples(m)), nullcontext).item() for m in (model, again)]
    assert losses[0] == losses[1]


def test_a_size_that_the_published_processor_cannot_count_is_refused() -> None:
    from deepsynth_train.models.families.registry import wrap_model
    from deepsynth_train.models.loading import load_module

    settings = build_settings(OCR2, image_processor={"size": 832, "max_tiles": 6})
    module, processor = load_module(settings.model)
    processor.image_processor.tile_size = 64
    with pytest.raises(ConfigurationError, match=r"imageProcessor.size: with maxTiles, must be 1024 or up to 64"):
        wrap_model(module, processor, settings)


def test_when_sharded_a_batch_without_tiles_runs_the_same_layers_as_one_with_tiles() -> None:
    import torch

    from deepsynth_train.models.interface.page_model import Sample
    from deepsynth_train.optimization.loss import compute_loss_sum

    usual = build_model(image_processor=SMALL)
    sharded = build_model(image_processor=SMALL, sharding="full")
    calls: list[int] = []
    layer = sharded.module.model.vision_tower.sam_encoder
    layer.register_forward_hook(lambda *_: calls.append(1))
    results = []
    for model in (usual, sharded):
        small = Sample(model.family.build_prompt(draw_pages(SIZES[:1])), [50, 51])
        loss = compute_loss_sum(model, model.family.collate([small]), nullcontext)
        loss.backward()  # type: ignore[no-untyped-call]
        results.append((loss.item(), {n: p.grad for n, p in model.module.named_parameters() if p.grad is not None}))
    assert len(calls) == 2
    assert results[0][0] == results[1][0]
    assert results[0][1].keys() == results[1][1].keys()
    for name, gradient in results[0][1].items():
        torch.testing.assert_close(results[1][1][name], gradient, msg=name)
    calls.clear()
    compute_loss_sum(sharded, sharded.family.collate(build_samples(sharded)), nullcontext)
    assert len(calls) == 2
