"""Models fed with cached features of pages, next to the same models fed with pixels."""

from __future__ import annotations

import io
from contextlib import nullcontext
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image

from deepsynth_api.errors import DataError
from support.training.page_dataset import build_document, build_documents, draw_noise, write_split
from support.training.tiny_encoder_decoders import ENCODER_DECODERS
from support.training.tiny_families import FAMILIES
from support.training.tiny_training import OCR2, VIT, build_model, build_settings
from unit.deepsynth_train.data.page_loading import load

if TYPE_CHECKING:
    from pathlib import Path

    from deepsynth_train.data.dataset import TrainingData
    from deepsynth_train.data.loader import BatchMaker
    from deepsynth_train.features.vision import StoredVision
    from deepsynth_train.models.interface.page_model import PageModel, Prompt

FROZEN: dict[str, Any] = {"freeze": ["vision"]}
SIZES = [(64, 90), (150, 64), (64, 64), (300, 210)]
TILES: dict[str, Any] = {"size": 128, "max_tiles": 6}


def build_from(module: Any, processor: Any, **changes: Any) -> PageModel:
    """A model that only its language part is trained of."""
    from deepsynth_train.models.families.registry import wrap_model

    settings = build_settings(image_processor={}, **changes)
    model = wrap_model(module, processor, settings)
    model.family.check(module)
    module.requires_grad_(False)
    for name in model.family.language:
        module.get_submodule(name).requires_grad_(True)
    for part in module.modules():
        for chance in ("p", "drop_prob"):  # of dropout, and of dropping a whole layer (Swin)
            if hasattr(part, chance):
                setattr(part, chance, 0.0)
    return model


def build(name: str) -> PageModel:
    import torch

    torch.manual_seed(0)
    if name in FAMILIES:
        return build_from(*FAMILIES[name]())
    if name in ENCODER_DECODERS:
        return build_from(*ENCODER_DECODERS[name]())
    if name == "vit-gpt2":
        return build_model(VIT, model={"uri": VIT, **FROZEN})
    changes = {"image_processor": TILES} if name == "ocr2, tiles" else {}
    return build_model(OCR2, model={"uri": OCR2, **FROZEN}, **changes)


ALL = [*FAMILIES, *ENCODER_DECODERS, "vit-gpt2", "ocr2", "ocr2, tiles"]
COMMON = {"qwen3_vl", "idefics3", "lighton_ocr", "trocr", "ocr2, tiles"}
"""One of each way to take features; the others are slow."""
FAST = "ocr2"


def cache(model: PageModel, folder: Path, limit: int = 2**30, **changes: Any) -> PageModel:
    """The same model with cached features."""
    from deepsynth_train.features.store import FeatureStore
    from deepsynth_train.features.vision import StoredVision, cut_constant_vision, name_vision

    settings = build_settings(**changes)
    cut, why = cut_constant_vision(model, settings, nullcontext)
    assert cut is not None, why
    store = FeatureStore(folder, name_vision(model, cut, settings), limit, pytest.fail)
    return replace(model, vision=StoredVision(model, cut, store, settings.precision, nullcontext))


def get_vision(model: PageModel) -> StoredVision:
    from deepsynth_train.features.vision import StoredVision

    assert isinstance(model.vision, StoredVision)
    return model.vision


def count(model: PageModel) -> dict[str, int]:
    """Waits until everything is written."""
    store = get_vision(model).store
    store.finish()
    return {name: number for name, number in store.counts.items() if number}


def write_documents(folder: Path, pages: int) -> None:
    """Four documents with pages of several sizes, alternately one page and `pages`."""
    rows = [
        row | {"image": {"bytes": draw_noise(10 * number + page, SIZES[(number + page) % 4]), "path": None}}
        for number in range(4)
        for page, row in enumerate(build_document(number, pages if number % 2 else 1))
    ]
    write_split(folder, "train", rows)


def make(data: TrainingData, model: PageModel) -> BatchMaker:
    from deepsynth_train.data.loader import BatchMaker

    return BatchMaker(data.train, model)


def compute(maker: BatchMaker, numbers: list[int]) -> tuple[Any, dict[str, Any]]:
    """Loss and gradients."""
    from deepsynth_train.optimization.loss import compute_loss_sum

    maker.model.module.zero_grad()
    loss = compute_loss_sum(maker.model, maker.make_batch(numbers), nullcontext)
    loss.backward()  # type: ignore[no-untyped-call]
    gradients = {n: p.grad.clone() for n, p in maker.model.module.named_parameters() if p.grad is not None}
    return loss.detach(), gradients


@pytest.mark.parametrize("name", [pytest.param(n, marks=[] if n in COMMON else pytest.mark.slow) for n in ALL])
def test_loss_gradients_and_texts_are_those_of_the_pixels(name: str, tmp_path: Path) -> None:
    import torch

    plain = build(name)
    write_documents(tmp_path / "data", 1 if plain.family.max_pages == 1 else 2)
    data = load(tmp_path / "data", plain)
    expected, gradients = compute(make(data, plain), [0, 1, 2, 3])
    texts = generate(make(data, plain))
    cached = cache(plain, tmp_path / "features")
    maker = make(data, cached)
    missed, _ = compute(maker, [0, 1, 2, 3])
    assert count(cached) == {"misses": 4, "stored": 4}
    torch.testing.assert_close(missed, expected, atol=1e-4, rtol=1e-5)
    hit, found = compute(maker, [0, 1, 2, 3])
    assert count(cached) == {"misses": 4, "stored": 4, "hits": 4}
    assert torch.equal(hit, missed), "stored features are those that were computed"
    assert found.keys() == gradients.keys()
    for key, gradient in gradients.items():
        torch.testing.assert_close(found[key], gradient, atol=1e-4, rtol=1e-3, msg=key)
    assert generate(maker) == texts


def generate(maker: BatchMaker) -> dict[int, str]:
    import torch

    from deepsynth_train.evaluation.generation import Generator
    from support.training.tiny_training import build_world

    maker.model.module.eval()
    with torch.no_grad():
        written = Generator(
            maker=maker,
            world=build_world(),
            autocast=nullcontext,
            beat=lambda: None,
            max_new_tokens=4,
            batch_pages=4,
            in_step=False,
            threads=1,
        ).write(range(4))
    maker.model.module.train()
    return written


@pytest.fixture(scope="module")
def plain() -> PageModel:
    return build(FAST)


@pytest.fixture
def data(tmp_path: Path, plain: PageModel) -> TrainingData:
    write_split(tmp_path / "data", "train", build_documents(4))
    return load(tmp_path / "data", plain)


def test_features_do_not_depend_on_the_batch_or_on_what_was_stored(
    data: TrainingData, plain: PageModel, tmp_path: Path
) -> None:
    import torch

    alone, together = (make(data, cache(plain, tmp_path / name)) for name in ("alone", "together"))
    for number in range(3):
        compute(alone, [number])
    count(alone.model)
    partly = compute(alone, [0, 1, 2, 3])
    whole = compute(together, [0, 1, 2, 3])
    assert torch.equal(partly[0], whole[0])
    assert all(torch.equal(partly[1][name], whole[1][name]) for name in whole[1])


def test_a_cached_page_is_neither_decoded_nor_encoded(
    data: TrainingData, plain: PageModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    maker = make(data, cache(plain, tmp_path / "features"))
    before = compute(maker, [0, 1])[0]
    count(maker.model)
    monkeypatch.setattr(type(data.train), "open_pages", lambda *_: pytest.fail("decoded"))
    monkeypatch.setattr(type(get_vision(maker.model)._cut), "encode", lambda *_: pytest.fail("encoded"))
    assert compute(maker, [0, 1])[0].equal(before)


def test_a_damaged_entry_is_computed_again(data: TrainingData, plain: PageModel, tmp_path: Path) -> None:
    maker = make(data, cache(plain, tmp_path / "features"))
    before = compute(maker, [0, 1])[0]
    count(maker.model)
    for path in (tmp_path / "features").rglob("*"):
        if path.is_file():
            path.write_bytes(path.read_bytes()[:-1] + b"?")
    assert compute(maker, [0, 1])[0].equal(before)
    assert count(maker.model)["damaged"] == 2
    assert compute(maker, [0, 1])[0].equal(before)
    assert count(maker.model)["hits"] == 2


def test_another_prompt_uses_the_features_with_its_own_ids(
    data: TrainingData, plain: PageModel, tmp_path: Path
) -> None:
    maker = make(data, cache(plain, tmp_path / "features"))
    compute(maker, [0, 1])
    count(maker.model)
    other = build_model(OCR2, model={"uri": OCR2, **FROZEN}, prompt="What is written here?")
    expected = compute(make(data, other), [0, 1])[0]
    again = make(data, cache(other, tmp_path / "features"))
    assert compute(again, [0, 1])[0].item() == pytest.approx(expected.item(), rel=1e-5)
    assert count(again.model) == {"hits": 2}


@pytest.mark.parametrize(
    "changes",
    [
        {"image_processor": {"size": 128}},
        {"precision": "bf16"},
        {"seed": 1},
        {"image_processor": {"size": 64, "max_tiles": 2}},
    ],
)
def test_other_pages_weights_and_precisions_have_entries_of_their_own(
    changes: dict[str, Any], plain: PageModel
) -> None:
    other = build_model(OCR2, model={"uri": OCR2, **FROZEN}, **changes)
    assert name(other, **changes) != name(plain)


def test_adapters_of_the_language_part_use_the_same_entries(plain: PageModel) -> None:
    adapted = build_model(OCR2, model={"uri": OCR2, "lora": {}, **FROZEN})
    assert name(adapted) == name(plain)


def name(model: PageModel, **changes: Any) -> str:
    from deepsynth_train.features.vision import find_library_module, name_vision

    cut = model.family.cut_vision(find_library_module(model.module))
    assert cut is not None
    return name_vision(model, cut, build_settings(**changes))


def test_black_pages_are_not_stored(data: TrainingData, plain: PageModel, tmp_path: Path) -> None:
    from deepsynth_train.optimization.loss import compute_loss_sum

    expected = compute_loss_sum(plain, make(data, plain).make_black_batch([0, 1]), nullcontext)
    maker = make(data, cache(plain, tmp_path / "features"))
    found = compute_loss_sum(maker.model, maker.make_black_batch([0, 1]), nullcontext)
    assert found.item() == pytest.approx(expected.item(), rel=1e-5)
    assert count(maker.model) == {}


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"model": {"uri": OCR2}}, "the vision part is trained"),
        ({"model": {"uri": OCR2, "lora": {"targetModules": ["qkv"]}}}, "the vision part is trained"),
    ],
)
def test_a_trained_vision_part_is_not_cached(changes: dict[str, Any], why: str) -> None:
    from deepsynth_train.features.vision import cut_constant_vision

    cut, reason = cut_constant_vision(build_model(OCR2, **changes), build_settings(**changes), nullcontext)
    assert cut is None
    assert why in reason


@pytest.mark.parametrize("lora", [None, {"rank": 4}])
def test_a_frozen_vision_part_is_cached_and_left_out_of_the_backward_pass_when_activations_are_recomputed(
    lora: dict[str, Any] | None,
) -> None:
    from deepsynth_train.coordination.world import join_world
    from deepsynth_train.features.vision import cut_constant_vision
    from deepsynth_train.optimization.sharding import place_module

    changes: dict[str, Any] = {"model": {"uri": OCR2, "lora": lora, **FROZEN}, "gradient_checkpointing": True}
    model, settings = build_model(OCR2, **changes), build_settings(**changes)
    place_module(model.module, settings, join_world())
    cut, reason = cut_constant_vision(model, settings, nullcontext)
    assert cut is not None, reason


def test_a_vision_part_with_dropout_is_not_cached() -> None:
    import torch

    from deepsynth_train.features.vision import cut_constant_vision

    model = build(FAST)
    tower = model.module.model.vision_tower
    tower.register_forward_hook(
        lambda part, _, output: setattr(
            output, "last_hidden_state", torch.dropout(output.last_hidden_state, 0.5, part.training)
        )
    )
    cut, reason = cut_constant_vision(model, build_settings(), nullcontext)
    assert cut is None
    assert "dropout" in reason


def test_a_model_that_makes_something_else_of_features_stays_as_it_was() -> None:
    from deepsynth_train.features.vision import cut_constant_vision

    model = build("idefics3")
    prompt = model.family.build_prompt([_draw()])
    before = run(model, prompt)
    hook = model.module.model.register_forward_hook(look_at_pixels, with_kwargs=True)
    cut, reason = cut_constant_vision(model, build_settings(), nullcontext)
    hook.remove()
    assert cut is None
    assert "something else of features" in reason
    assert run(model, prompt).equal(before)


def look_at_pixels(_: Any, __: Any, inputs: dict[str, Any], output: Any) -> None:
    output.last_hidden_state = output.last_hidden_state + inputs["pixel_values"].ndim


def _draw() -> Any:
    from PIL import Image

    return Image.fromarray(np.random.default_rng(0).integers(0, 256, (90, 64), dtype=np.uint8))


def run(model: PageModel, prompt: Prompt) -> Any:
    from deepsynth_train.models.interface.page_model import Sample

    batch = model.family.collate([Sample(prompt, [40, 41])])
    return model.module(**model.prepare(batch)).logits.detach()


def test_a_page_that_cannot_be_decoded_is_named(tmp_path: Path, plain: PageModel) -> None:
    cut = io.BytesIO()
    Image.new("L", (32, 32)).save(cut, "BMP")  # checked by its header alone when files are indexed
    rows = [*build_document(0), *build_document(1, image={"bytes": cut.getvalue()[:-100], "path": None})]
    write_split(tmp_path / "data", "train", rows)
    maker = make(load(tmp_path / "data", plain), cache(plain, tmp_path / "features"))
    with pytest.raises(DataError, match="row 1 of the train split"):
        maker.make_batch([0, 1])


def test_features_that_were_stored_after_a_batch_was_made_are_not_computed_again(
    data: TrainingData, plain: PageModel, tmp_path: Path
) -> None:
    import torch

    from deepsynth_train.optimization.loss import compute_loss_sum

    maker = make(data, cache(plain, tmp_path / "features"))
    ahead = [maker.make_batch([0, 1]) for _ in range(3)]
    losses = []
    for batch in ahead:
        losses.append(compute_loss_sum(maker.model, batch, nullcontext).detach())
        count(maker.model)
    assert all(torch.equal(loss, losses[0]) for loss in losses)
    assert count(maker.model) == {"misses": 2, "stored": 2, "hits": 4}
