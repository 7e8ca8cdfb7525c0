"""Both families: the prompt fits the model, pages reach it, parts freeze, adapters train, folders reload."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image
from pydantic import ValidationError

from deepsynth_api.errors import ConfigurationError
from support.training.tiny_training import OCR2, VIT, build_model, build_samples, build_settings

if TYPE_CHECKING:
    from pathlib import Path

    from deepsynth_train.models.interface.page_model import PageModel, Sample

BOTH = pytest.mark.parametrize("uri", [OCR2, VIT])


def compute_loss(model: PageModel, samples: list[Sample]) -> float:
    import torch

    from deepsynth_train.optimization.loss import compute_loss_sum

    model.module.eval()
    with torch.no_grad():
        return float(compute_loss_sum(model, model.family.collate(samples), nullcontext))


@pytest.mark.parametrize(("side", "tokens"), [(64, 145), (512, 145), (768, 145), (1024, 257)])
def test_the_prompt_reserves_as_many_positions_as_the_model_makes_of_a_page(side: int, tokens: int) -> None:
    assert build_model(image_processor={"size": side}).family.image_tokens == tokens


def test_a_prompt_that_names_special_tokens_is_text() -> None:
    import torch

    model = build_model(prompt="Read </s> the <image>.")
    inputs = model.family.prepare(model.family.collate_prompts(build_samples(model, 1)))
    ids = inputs["input_ids"][0].tolist()
    assert model.tokenizer.decode(ids, skip_special_tokens=True) == "\nRead </s> the <image>."
    assert ids.count(model.module.config.image_token_id) == 145
    with torch.no_grad():
        model.module(**inputs)


def test_the_prompt_is_encoded_as_by_the_library() -> None:
    model = build_model(prompt="Free OCR.")
    ids = build_samples(model, 1)[0].prompt.ids
    image = model.module.config.image_token_id
    assert [n for n in ids if n != image] == [n for n in model.tokenizer("<image>\nFree OCR.").input_ids if n != image]


def test_a_prompt_with_another_number_of_image_positions_is_refused() -> None:
    model = build_model()
    model.family._count = lambda *_: 65  # type: ignore[attr-defined]  # what is tested
    with pytest.raises(ConfigurationError, match=r"the model turns .* 145 positions, the prompt reserves 65"):
        model.family.check(model.module)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"model": {"uri": "file:///nowhere"}}, "no folder /nowhere"),
        ({"image_processor": {"size": 100}}, "spec.imageProcessor.size: DeepSeek-OCR-2 needs .* got 100"),
        ({"model": {"uri": VIT}, "image_processor": {"max_tiles": 2}}, "spec.imageProcessor.maxTiles"),
        ({"model": {"uri": VIT}, "image_processor": {"size": 64}}, "must be 256 for this model, got 64"),
        ({"model": {"uri": VIT}, "prompt": "Read.", "image_processor": {}}, "spec.prompt"),
        (
            {"model": {"uri": OCR2, "freeze": ["vision", "language"], "lora": {"target_modules": ["x"]}}},
            "targetModules",
        ),
    ],
)
def test_an_invalid_model_is_refused_with_the_field(changes: dict[str, Any], message: str) -> None:
    from deepsynth_train.models.build import build_page_model

    with pytest.raises(ConfigurationError, match=message):
        build_page_model(build_settings(**changes))


def test_an_unknown_configuration_is_refused_by_its_field() -> None:
    with pytest.raises(ValidationError, match=r"model\.uri"):
        build_settings(model={"uri": "config://gpt-9"})


@BOTH
def test_the_loss_of_a_sample_depends_on_its_own_page(uri: str) -> None:
    from deepsynth_train.models.interface.page_model import Sample

    model = build_model(uri)
    samples = build_samples(model, 3)
    other = build_samples(model, 3, seed=1)
    alone = [compute_loss(model, [sample]) for sample in samples]
    assert compute_loss(model, samples) == pytest.approx(sum(alone), abs=1e-3)
    changed = [samples[0], Sample(other[1].prompt, samples[1].label), samples[2]]
    assert compute_loss(model, [changed[1]]) != alone[1]
    assert compute_loss(model, changed) - compute_loss(model, [changed[1]]) == pytest.approx(
        alone[0] + alone[2], abs=1e-3
    )


def test_a_document_of_several_pages_keeps_their_order() -> None:
    from deepsynth_train.models.interface.page_model import Sample

    model = build_model()
    document = build_samples(model, 1, pages=3)[0]
    pixels = document.prompt.tensors["pixel_values"]
    turned = Sample(replace(document.prompt, tensors={"pixel_values": pixels.flip(0)}), document.label)
    assert compute_loss(model, [document]) != compute_loss(model, [turned])


@BOTH
def test_only_label_rows_are_scored_and_the_end_of_text_is_one_of_them(uri: str) -> None:
    import torch

    from deepsynth_train.optimization.loss import score_rows

    model = build_model(uri)
    samples = build_samples(model, 3)
    batch = model.family.collate(samples)
    assert len(batch.targets) == sum(len(sample.label) + 1 for sample in samples)
    assert len(batch.rows) == len(batch.targets)
    ends = np.cumsum([len(sample.label) + 1 for sample in samples]) - 1
    assert (batch.targets[ends] == model.tokenizer.eos_token_id).all()
    inputs = model.family.prepare(batch.inputs)
    with torch.no_grad(), score_rows(model.module, batch.rows):
        few = model.module(**inputs).logits
    with torch.no_grad():
        whole = model.module(**inputs).logits
    assert few.shape == (len(batch.targets), whole.shape[-1])
    torch.testing.assert_close(few, whole.flatten(0, 1)[batch.rows], atol=1e-5, rtol=1e-5)


@BOTH
def test_every_trainable_weight_gets_a_gradient(uri: str) -> None:
    from deepsynth_train.optimization.loss import compute_loss_sum

    model = build_model(uri)
    compute_loss_sum(model, model.family.collate(build_samples(model, 4)), nullcontext).backward()  # type: ignore[no-untyped-call]  # torch
    assert [n for n, p in model.module.named_parameters() if p.requires_grad and p.grad is None] == []


@BOTH
@pytest.mark.parametrize("part", ["vision", "language"])
def test_a_frozen_part_gets_no_gradient_and_the_rest_does(uri: str, part: str) -> None:
    from deepsynth_train.optimization.loss import compute_loss_sum

    model = build_model(uri, model={"uri": uri, "freeze": [part]})
    compute_loss_sum(model, model.family.collate(build_samples(model, 2)), nullcontext).backward()  # type: ignore[no-untyped-call]  # torch
    frozen = getattr(model.family, part)
    for name, parameter in model.module.named_parameters():
        if name.startswith(frozen):
            assert parameter.grad is None
    assert any(parameter.grad is not None for parameter in model.module.parameters())


def test_with_adapters_only_the_adapters_are_trained() -> None:
    model = build_model(model={"uri": OCR2, "lora": {"rank": 2, "alpha": 4}})
    names = {name for name, parameter in model.module.named_parameters() if parameter.requires_grad}
    assert names
    assert all("lora_" in name for name in names)
    assert compute_loss(model, build_samples(model, 1)) > 0


@BOTH
def test_a_written_folder_opens_as_the_same_model_and_processor(uri: str, tmp_path: Path) -> None:
    from deepsynth_train.models.build import build_page_model
    from deepsynth_train.models.export import write_model

    model = build_model(uri)
    write_model(model, tmp_path, dict(model.module.state_dict()))
    again = build_page_model(build_settings(uri, model={"uri": f"file://{tmp_path}"}, image_processor={}))
    assert again.family.image == model.family.image  # type: ignore[attr-defined]  # both families are square
    samples = build_samples(model, 2)
    assert compute_loss(again, samples) == compute_loss(model, samples)


@pytest.mark.parametrize("size", [(64, 64), (40, 90), (300, 120)])
@BOTH
def test_pages_of_any_size_are_scaled_like_the_published_processor_does(uri: str, size: tuple[int, int]) -> None:
    model = build_model(uri)
    noise = np.random.default_rng(0).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    page = Image.fromarray(noise).convert("L").convert("RGB")
    prompt = model.family.build_prompt([page.convert("L")])
    mine = model.family.prepare(dict(prompt.tensors))["pixel_values"]
    theirs = model.processor.image_processor(page, return_tensors="pt")
    assert mine.shape == theirs["pixel_values"].shape
    assert (mine - theirs["pixel_values"]).abs().max() < 0.02


def test_micro_batches_hold_every_sample_once() -> None:
    from deepsynth_train.evaluation.evaluator import chunk

    assert chunk(list(range(7)), 3) == [[0, 1, 2], [3, 4, 5], [6]]
    assert chunk([], 3) == []
