"""The library's image-text-to-text models: trained on the very inputs and loss that their own processors give."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image

from deepsynth_api.errors import ConfigurationError
from support.training.tiny_families import CHAT, FAMILIES
from support.training.tiny_training import build_settings, draw_noise

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from deepsynth_train.models.interface.page_model import PageModel, Sample

ALL = pytest.mark.parametrize("name", FAMILIES)
FAST = "idefics3"
SIZES = [(64, 90), (150, 64), (64, 64)]
LABELS = ["A line.", "<image> & </s>", "x"]
PROMPT = "Read the page."


def build(name: str, **changes: Any) -> PageModel:
    import torch

    from deepsynth_train.models.families.registry import wrap_model

    torch.manual_seed(0)
    module, processor = FAMILIES[name]()
    model = wrap_model(module, processor, build_settings(image_processor={}, prompt=PROMPT, **changes))
    model.family.check(module)
    return model


def draw_pages(count: int, seed: int = 0) -> list[Image.Image]:
    generator = np.random.default_rng(seed)
    return [draw_noise(generator, SIZES[number % len(SIZES)]) for number in range(count)]


def build_samples(model: PageModel) -> list[Sample]:
    """Documents of one, two and one pages of several sizes."""
    from deepsynth_train.models.interface.page_model import Sample

    return [
        Sample(model.family.build_prompt(draw_pages(pages, seed)), model.encode_label(LABELS[seed]))
        for seed, pages in enumerate([1, 2, 1])
    ]


def ask_library(model: PageModel, pages: Sequence[Image.Image]) -> dict[str, Any]:
    """What a user of the library gives the model for these pages."""
    content = [*({"type": "image", "image": page} for page in pages), {"type": "text", "text": PROMPT}]
    text = model.processor.apply_chat_template([{"role": "user", "content": content}], add_generation_prompt=True)
    return dict(model.processor(text=[text], images=list(pages), return_tensors="pt"))


def compute_library_loss(model: PageModel, pages: Sequence[Image.Image], label: Sequence[int], end: int) -> Any:
    """The model's own loss, as a sum over the label and the token after it."""
    import torch

    inputs = ask_library(model, pages)
    answer = torch.tensor([[*label, end]])
    prompt = inputs["input_ids"].shape[1]
    for name, fill in {"input_ids": answer, "attention_mask": torch.ones_like(answer)}.items():
        inputs[name] = torch.cat([inputs[name], fill], dim=1)
    if "mm_token_type_ids" in inputs:
        types = inputs["mm_token_type_ids"]
        inputs["mm_token_type_ids"] = torch.cat([types, torch.zeros_like(answer)], dim=1)
    labels = inputs["input_ids"].clone()
    labels[:, :prompt] = -100
    return model.module(**inputs, labels=labels).loss * answer.shape[1]


def read_gradients(model: PageModel) -> dict[str, Any]:
    gradients = {name: p.grad.clone() for name, p in model.module.named_parameters() if p.grad is not None}
    model.module.zero_grad()
    return gradients


@ALL
def test_loss_and_gradients_equal_those_of_the_library(name: str) -> None:
    import torch

    from deepsynth_train.optimization.loss import compute_loss_sum

    model = build(name)
    samples = build_samples(model)
    theirs = torch.zeros(())
    for seed, pages in enumerate([1, 2, 1]):
        label = model.encode_label(LABELS[seed])
        theirs = theirs + compute_library_loss(model, draw_pages(pages, seed), label, model.family.end)  # type: ignore[attr-defined]
    theirs.backward()  # type: ignore[no-untyped-call]
    expected = read_gradients(model)
    ours = compute_loss_sum(model, model.family.collate(samples), nullcontext)
    ours.backward()  # type: ignore[no-untyped-call]
    found = read_gradients(model)
    assert ours.item() == pytest.approx(theirs.item(), rel=1e-5)
    assert found.keys() == expected.keys()
    for key, gradient in expected.items():
        torch.testing.assert_close(found[key], gradient, atol=1e-4, rtol=1e-3, msg=key)


@ALL
def test_counted_positions_are_those_of_the_batch(name: str) -> None:
    model = build(name)
    for pages in ([(64, 90)], [(150, 64), (64, 64)], [(1000, 400)]):
        prompt = model.family.build_prompt([Image.new("L", size) for size in pages])
        counted = int(model.family.count_page_tokens(np.array(pages)).sum()) + model.family.fixed_tokens
        assert len(prompt.ids) + 1 == counted, pages


@ALL
def test_text_is_written_in_batches_as_for_each_sample_alone(name: str) -> None:
    import torch

    model = build(name)
    module = model.module.eval()
    settings = {"max_new_tokens": 4, "do_sample": False}
    with torch.no_grad():
        alone = [
            module.generate(**ask_library(model, draw_pages(pages, seed)), **settings)[0, -4:].tolist()
            for seed, pages in enumerate([1, 2, 1])
        ]
        inputs = model.family.prepare(model.family.collate_prompts(build_samples(model)))
        together = module.generate(**inputs, **settings)[:, inputs["input_ids"].shape[1] :].tolist()
    assert together == alone
    stops = module.generation_config.eos_token_id
    assert model.family.end in (stops if isinstance(stops, list) else [stops])  # type: ignore[attr-defined]


@ALL
def test_the_parts_of_a_model_are_found(name: str) -> None:
    model = build(name)
    parameters = [key for key, _ in model.module.named_parameters()]
    for part in (model.family.vision, model.family.language):
        assert any(key.startswith(tuple(part)) for key in parameters)
    assert not any(key.startswith(tuple(model.family.language)) for key in model.family.vision)
    assert model.family.unused == []


@ALL
def test_a_published_folder_trains_as_the_model_itself(name: str, tmp_path: Path) -> None:
    from deepsynth_train.models.build import build_page_model
    from deepsynth_train.models.export import write_model
    from deepsynth_train.optimization.loss import compute_loss_sum

    model = build(name)
    write_model(model, tmp_path)
    again = build_page_model(build_settings(model={"uri": f"file://{tmp_path}"}, image_processor={}, prompt=PROMPT))
    losses = [compute_loss_sum(m, m.family.collate(build_samples(m)), nullcontext).item() for m in (model, again)]
    assert losses[0] == losses[1]


def test_pixels_travel_as_bytes_where_the_device_can_scale_them() -> None:
    import torch

    kinds = {name: build_samples(build(name))[0].prompt.tensors["pixel_values"].dtype for name in FAMILIES}
    padded = {"idefics3", "lighton_ocr", "smolvlm"}
    assert {name for name, kind in kinds.items() if kind != torch.uint8} == padded, "black is not zero after scaling"


def test_prompts_and_labels_are_made_by_several_threads_at_once() -> None:
    model = build(FAST)
    expected = [list(sample.prompt.ids) for sample in build_samples(model)]
    with ThreadPoolExecutor(4) as pool:
        results = list(pool.map(lambda _: build_samples(model), range(24)))
    assert all([list(sample.prompt.ids) for sample in samples] == expected for samples in results)


def test_the_name_of_a_special_token_in_the_prompt_is_text() -> None:
    from deepsynth_train.models.families.registry import wrap_model

    module, processor = FAMILIES[FAST]()
    text = "Copy <image> and <|im_end|>."
    model = wrap_model(module, processor, build_settings(image_processor={}, prompt=text))
    ids = list(model.family.build_prompt(draw_pages(1)).ids)
    plain = build(FAST)
    usual = list(plain.family.build_prompt(draw_pages(1)).ids)
    image = module.config.image_token_id
    assert ids.count(image) == usual.count(image)
    assert text in model.tokenizer.decode(ids)
    assert len(ids) - len(text) == len(usual) - len(PROMPT), "one token for each letter"


def test_a_page_size_is_left_to_the_processor() -> None:
    from deepsynth_train.models.families.registry import wrap_model

    module, processor = FAMILIES[FAST]()
    with pytest.raises(ConfigurationError, match=r"spec.imageProcessor.size: .*preprocessor_config.json"):
        wrap_model(module, processor, build_settings(image_processor={"size": 64}))


def test_a_model_without_a_vision_part_cannot_freeze_it() -> None:
    from deepsynth_train.models.families.registry import wrap_model

    module, processor = FAMILIES[FAST]()
    module.model.eyes = module.model.vision_model
    del module.model.vision_model
    settings = build_settings(image_processor={}, model={"uri": "config://deepseek-ocr2-tiny", "freeze": ["vision"]})
    with pytest.raises(ConfigurationError, match=r"spec.model.freeze: .* no part that is known as vision"):
        wrap_model(module, processor, settings)


def test_a_model_that_sees_what_it_must_predict_is_refused() -> None:
    """As prefix language models do, where the library needs to know which tokens are the answer."""
    model = build(FAST)
    for layer in model.module.model.text_model.layers:
        layer.self_attn.is_causal = False
    model.module.config._attn_implementation = "sdpa"
    model.module.model.text_model.forward = _see_all(model.module.model.text_model.forward)
    with pytest.raises(ConfigurationError, match="see the tokens that they must predict"):
        model.family.check(model.module)


def _see_all(forward: Any) -> Any:
    def run(*arguments: Any, attention_mask: Any = None, inputs_embeds: Any = None, **others: Any) -> Any:
        import torch

        count = inputs_embeds.shape[1]
        everything = torch.ones(len(inputs_embeds), 1, count, count, dtype=torch.bool)
        return forward(*arguments, attention_mask=everything, inputs_embeds=inputs_embeds, **others)

    return run


def test_a_processor_that_does_not_fit_its_model_is_refused() -> None:
    from deepsynth_train.models.families.registry import wrap_model

    module, processor = FAMILIES[FAST]()
    processor.image_seq_len = 9
    model = wrap_model(module, processor, build_settings(image_processor={}))
    with pytest.raises(ConfigurationError, match="does not take what its processor makes of a page"):
        model.family.check(module)


@pytest.mark.parametrize(
    ("template", "message"),
    [
        (CHAT.replace("{{ part.text }}", ""), "drops the text"),
        ("{{ raise_exception('no images here') }}", "does not take a page and a text .no images here."),
    ],
)
def test_a_chat_template_without_text_or_pages_is_refused(template: str, message: str) -> None:
    from deepsynth_train.models.families.registry import wrap_model

    module, processor = FAMILIES[FAST]()
    processor.chat_template = template
    with pytest.raises(ConfigurationError, match=message):
        wrap_model(module, processor, build_settings(image_processor={}))
