"""Text is written in batches, as the model writes it for each sample alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from support.training.tiny_training import OCR2, VIT, build_model, build_samples
from unit.deepsynth_train.evaluation.chatty_model import MAX_NEW_TOKENS, build_chatty_model, build_maker, write

if TYPE_CHECKING:
    from deepsynth_train.models.interface.page_model import PageModel, Sample


def write_alone(model: PageModel, sample: Sample) -> list[int]:
    """As a user of the library would: one sample, no padding."""
    import torch

    inputs = model.family.prepare(model.family.collate_prompts([sample]))
    prompt = inputs["input_ids"].shape[1] if "input_ids" in inputs else 0
    with torch.no_grad():
        ids = model.module.eval().generate(**inputs, max_new_tokens=MAX_NEW_TOKENS, do_sample=False)
    return [int(token) for token in ids[0, prompt:]]


@pytest.mark.parametrize("uri", [OCR2, VIT])
def test_texts_written_in_batches_equal_those_written_one_by_one(uri: str) -> None:
    model = build_chatty_model(uri)
    most = model.family.max_pages or 3
    samples = [build_samples(model, 1, seed=seed, pages=1 + seed % most)[0] for seed in range(7)]
    alone = [write_alone(model, sample) for sample in samples]
    assert len({len(ids) for ids in alone}) > 1, "texts of different lengths"
    assert len({tuple(ids) for ids in alone}) > 1, "texts of different pages"
    expected = {n: model.tokenizer.decode(ids, skip_special_tokens=True) for n, ids in enumerate(alone)}
    maker = build_maker(model, samples)
    assert write(maker, list(range(7)), batch_pages=4) == expected
    assert write(maker, [5, 2], batch_pages=100) == {5: expected[5], 2: expected[2]}


def test_no_text_is_longer_than_the_context_has_room_for(monkeypatch: pytest.MonkeyPatch) -> None:
    model = build_model(VIT)
    model.module.generation_config.eos_token_id = None
    model.family.context_tokens = 6  # type: ignore[misc]  # what is tested
    monkeypatch.setattr("deepsynth_train.evaluation.generation.TOKENS_PER_BEAT", 1)
    beats: list[None] = []
    write(build_maker(model, build_samples(model, 1)), [0], max_new_tokens=40, beat=lambda: beats.append(None))
    assert len(beats) == 5 + 1, "a beat per token, and one after the batch"


def test_long_texts_beat_while_they_are_written() -> None:
    model = build_model(VIT)
    model.module.generation_config.eos_token_id = None
    beats: list[None] = []
    write(build_maker(model, build_samples(model, 1)), [0], max_new_tokens=40, beat=lambda: beats.append(None))
    assert len(beats) == 3, "after 16 and 32 tokens, and after the batch"


@pytest.mark.parametrize(
    ("pages", "limit", "expected"),
    [
        ([1, 1, 1, 1, 1], 2, [[0, 1], [2, 3], [4]]),
        ([1, 2, 5, 1], 3, [[0, 1], [2], [3]]),
        ([], 3, []),
    ],
)
def test_batches_are_cut_by_pages(pages: list[int], limit: int, expected: list[list[int]]) -> None:
    from deepsynth_train.evaluation.generation import chunk_by_pages

    assert chunk_by_pages(range(len(pages)), pages, limit) == expected
