"""The published processor and generation settings feed and write, without an argument, what the trainer does."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from support.training.page_dataset import draw_noise
from support.training.tiny_training import OCR2, VIT, build_model

if TYPE_CHECKING:
    from pathlib import Path

    from PIL import Image


def open_page(size: tuple[int, int]) -> Image.Image:
    import io

    from PIL import Image

    return Image.open(io.BytesIO(draw_noise(1, size)))


def publish(folder: Path, uri: str = OCR2, **changes: Any) -> tuple[Any, Any]:
    """The model in training, and the processor that a user opens."""
    from transformers import AutoProcessor

    from deepsynth_train.models.export import write_model

    model = build_model(uri, **changes)
    write_model(model, folder)
    processors: Any = AutoProcessor
    return model, processors.from_pretrained(folder)


def ask(processor: Any, *pages: Image.Image, **text: str) -> Any:
    content = [*({"type": "image", "image": page} for page in pages), {"type": "text", **text}]
    messages = [{"role": "user", "content": content}]
    return processor.apply_chat_template(messages, tokenize=True, return_dict=True, return_tensors="pt")


@pytest.mark.parametrize("side", [64, 512, 704, 768, 832, 1024])
def test_the_published_processor_feeds_pages_of_any_size_as_the_trainer_does(side: int, tmp_path: Path) -> None:
    import torch

    from deepsynth_train.models.interface.page_model import Sample

    model, processor = publish(tmp_path, image_processor={"size": side})
    for size in [(64, 64), (512, 512), (1024, 1024), (620, 877), (1500, 90)]:
        given = ask(processor, open_page(size))
        trained = model.family.collate_prompts([Sample(model.family.build_prompt([open_page(size)]), [])])
        assert torch.equal(given["input_ids"], trained["input_ids"]), size
        fed = model.family.prepare(trained)["pixel_values"]
        assert given["pixel_values"].shape == fed.shape == (1, 3, side, side)
        assert (given["pixel_values"] - fed).abs().max() < 0.02, size


def test_several_pages_of_a_document_come_before_the_prompt(tmp_path: Path) -> None:
    model, processor = publish(tmp_path)
    pages = [open_page((64, 64)), open_page((80, 30))]
    given = ask(processor, *pages)
    assert given["input_ids"][0].tolist() == model.family.build_prompt(pages).ids
    assert len(given["pixel_values"]) == 2


@pytest.mark.parametrize("prompt", ["Free OCR.", 'Lies "das" {{ hier }} {% x %}\n\\n ä 😀', ""])
def test_the_trained_prompt_is_the_text_of_a_message_without_text(prompt: str, tmp_path: Path) -> None:
    _, processor = publish(tmp_path, prompt=prompt)
    written = processor.tokenizer.decode(ask(processor, open_page((64, 64)))["input_ids"][0])
    assert written.split("<image>")[-1] == f"\n{prompt}"


def test_a_text_in_the_message_replaces_the_prompt(tmp_path: Path) -> None:
    _, processor = publish(tmp_path)
    written = processor.tokenizer.decode(ask(processor, open_page((64, 64)), text="What is this?")["input_ids"][0])
    assert written.split("<image>")[-1] == "\nWhat is this?"


def test_a_prompt_that_no_template_can_express_gets_none(tmp_path: Path) -> None:
    _, processor = publish(tmp_path, prompt="Copy <image> as text.")
    with pytest.raises(ValueError, match="does not have a chat template"):
        ask(processor, open_page((64, 64)))


@pytest.mark.parametrize("mode", ["L", "RGB"])
def test_an_encoder_decoder_takes_grey_and_coloured_pages(mode: str, tmp_path: Path) -> None:
    _, processor = publish(tmp_path, VIT)
    given = processor(images=open_page((300, 90)).convert(mode), return_tensors="pt")
    assert given["pixel_values"].shape == (1, 3, 256, 256)


@pytest.mark.parametrize("uri", [OCR2, VIT])
def test_generation_without_arguments_is_greedy_and_ends_where_the_evaluation_ends(uri: str, tmp_path: Path) -> None:
    from transformers import GenerationConfig

    model, _ = publish(tmp_path, uri, evaluation={"max_new_tokens": 7})
    settings = GenerationConfig.from_pretrained(tmp_path)
    assert (settings.do_sample, settings.num_beams, settings.max_new_tokens) == (False, 1, 7)
    assert settings.eos_token_id == model.tokenizer.eos_token_id
    assert settings.pad_token_id == model.tokenizer.pad_token_id


@pytest.mark.parametrize("lora", [None, {"rank": 2, "alpha": 4}])
def test_other_users_can_read_every_file(lora: dict[str, int] | None, tmp_path: Path) -> None:
    from deepsynth_train.models.export import write_model

    folder = tmp_path / "model"
    folder.mkdir(mode=0o700)
    write_model(build_model(model={"uri": OCR2, "lora": lora}), folder)
    modes = {path.name: oct(path.stat().st_mode & 0o777) for path in folder.iterdir()}
    assert set(modes.values()) == {"0o644"}, modes
    assert oct(folder.stat().st_mode & 0o777) == "0o755"
