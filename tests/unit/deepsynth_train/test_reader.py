"""load_model: pages in, their texts out, for every form of model and page."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

import pytest
from PIL import Image

from deepsynth_api.errors import ConfigurationError, DataError, WorkloadError
from support.training.page_dataset import draw_noise
from support.training.tiny_training import OCR2, VIT, build_model

if TYPE_CHECKING:
    from pathlib import Path

    from deepsynth_train import Reader
    from deepsynth_train.reader import Page


def publish(folder: Path, uri: str = OCR2, **changes: Any) -> Path:
    from deepsynth_train.models.export import write_model

    write_model(build_model(uri, evaluation={"max_new_tokens": 6}, **changes), folder)
    return folder


@pytest.fixture(scope="module")
def ocr2(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return publish(tmp_path_factory.mktemp("ocr2"))


@pytest.fixture(scope="module")
def reader(ocr2: Path) -> Reader:
    from deepsynth_train import load_model

    return load_model(ocr2)


@pytest.fixture(scope="module")
def vit(tmp_path_factory: pytest.TempPathFactory) -> Reader:
    from deepsynth_train import load_model

    return load_model(publish(tmp_path_factory.mktemp("vit"), VIT))


def draw_pages(count: int) -> list[bytes]:
    return [draw_noise(number, (64 + 10 * number, 70)) for number in range(count)]


def test_paths_images_and_bytes_of_a_page_give_the_same_text(reader: Reader, tmp_path: Path) -> None:
    content = draw_pages(1)[0]
    (tmp_path / "page.png").write_bytes(content)
    forms: list[Page] = [content, tmp_path / "page.png", str(tmp_path / "page.png"), Image.open(io.BytesIO(content))]
    texts = reader.read(forms)
    assert len(texts) == 4
    assert len(set(texts)) == 1
    assert [reader.read(form) for form in forms] == [texts[:1]] * 4, "a single page needs no list"


@pytest.mark.parametrize("name", ["reader", "vit"])
def test_a_page_has_the_same_text_alone_and_in_a_batch(name: str, request: pytest.FixtureRequest) -> None:
    model: Reader = request.getfixturevalue(name)
    pages = draw_pages(5)
    alone = [model.read([page])[0] for page in pages]
    assert model.read(pages, batch_size=2) == alone
    assert model.read(pages) == alone


def test_a_list_of_pages_is_one_document_and_may_be_read_next_to_single_pages(reader: Reader) -> None:
    pages = draw_pages(3)
    texts = reader.read([pages, pages[0], pages[:2]])
    assert len(texts) == 3
    assert texts == [reader.read([item])[0] for item in (pages, pages[0], pages[:2])]


def test_the_model_is_asked_what_it_was_trained_with_by_default(reader: Reader) -> None:
    assert reader._render(1, None) == "<image>\nSummarize the document."
    assert reader._render(2, "What?") == "<image><image>\nWhat?"


def test_the_prompt_in_the_run_file_comes_before_that_of_the_template(tmp_path: Path) -> None:
    from deepsynth_train import load_model

    publish(tmp_path)
    (tmp_path / "deepsynth.json").write_text('{"prompt": "Read it."}')
    assert load_model(tmp_path)._render(1, None) == "<image>\nRead it."


def test_readings_say_how_many_tokens_were_written_and_whether_the_text_is_whole(reader: Reader) -> None:
    (reading,) = reader.iter_readings(draw_pages(1), max_new_tokens=3)
    assert reading.tokens == 3
    assert not reading.is_complete
    assert reading.seconds > 0


def test_a_text_ends_at_the_first_token_that_ends_it() -> None:
    from deepsynth_train.reader import _count_tokens

    assert _count_tokens([5, 6, 1, 2, 2], {1}) == (2, True)
    assert _count_tokens([5, 6], {1}) == (2, False)


def test_without_a_limit_the_models_own_holds(reader: Reader) -> None:
    (reading,) = reader.iter_readings(draw_pages(1))
    assert reading.tokens <= 6


@pytest.mark.parametrize("size", [(3000, 1), (1, 3000), (1, 1)])
def test_the_narrowest_strips_are_read(size: tuple[int, int], reader: Reader) -> None:
    assert len(reader.read([Image.new("L", size)], max_new_tokens=1)) == 1


def test_transparent_pages_are_read_on_white(reader: Reader) -> None:
    ink = Image.new("RGBA", (64, 64), (0, 0, 0, 0))
    seen = []
    original = reader.processor.image_processor.__class__.__call__

    def note(self: Any, images: Any, *arguments: Any, **options: Any) -> Any:
        seen.append(images)
        return original(self, images, *arguments, **options)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(reader.processor.image_processor.__class__, "__call__", note)
        reader.read([ink], max_new_tokens=1)
    (images,) = seen
    while isinstance(images, list):
        (images,) = images
    assert images.getpixel((3, 3)) == (255, 255, 255)


@pytest.mark.parametrize("uri", [OCR2, VIT])
def test_a_model_stored_in_bf16_reads_in_bf16(uri: str, tmp_path: Path) -> None:
    from dataclasses import replace

    import torch

    from deepsynth_train import load_model
    from deepsynth_train.models.export import write_model

    write_model(replace(build_model(uri), stored_dtype=torch.bfloat16), tmp_path)
    reader = load_model(tmp_path)
    assert reader.module.dtype == torch.bfloat16
    assert len(reader.read(draw_pages(2), max_new_tokens=2)) == 2


def test_adapters_are_read_on_the_base_that_they_name(tmp_path: Path) -> None:
    import torch

    from deepsynth_train import load_model
    from deepsynth_train.models.export import write_model

    base = publish(tmp_path / "base")
    lora = {"rank": 2, "alpha": 64}
    model = build_model(model={"uri": f"file://{base}", "lora": lora}, evaluation={"max_new_tokens": 4})
    for name, parameter in model.module.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(parameter)
    write_model(model, tmp_path / "adapter")
    adapted = load_model(tmp_path / "adapter")
    trained = {name: value for name, value in model.module.state_dict().items() if "lora_" in name}
    assert all(torch.equal(adapted.module.state_dict()[name], value) for name, value in trained.items())
    (reading,) = adapted.iter_readings(draw_pages(1))
    assert reading.tokens <= 4, "the limit of the adapters, not of the base"
    assert reading.text != load_model(base).read(draw_pages(1), max_new_tokens=4)[0]


def test_adapters_whose_base_is_gone_are_refused_by_its_name(tmp_path: Path) -> None:
    import shutil

    from deepsynth_train import load_model

    base = publish(tmp_path / "base")
    publish(tmp_path / "adapter", model={"uri": f"file://{base}", "lora": {"rank": 2, "alpha": 4}})
    shutil.rmtree(base)
    with pytest.raises(ConfigurationError, match=f"^model: .*{base}"):
        load_model(tmp_path / "adapter")
    (tmp_path / "adapter/adapter_model.safetensors").unlink()
    with pytest.raises(ConfigurationError, match=r"has no adapter_model.safetensors; pickle files are never read"):
        load_model(tmp_path / "adapter")


def test_adapters_of_a_model_with_random_weights_are_refused_where_they_are_opened(tmp_path: Path) -> None:
    from deepsynth_train import load_model

    publish(tmp_path / "adapter", model={"uri": OCR2, "lora": {"rank": 2, "alpha": 4}})
    with pytest.raises(ConfigurationError, match="the random weights of a config:// model are not kept, so name a m"):
        load_model(tmp_path / "adapter")


def test_a_name_that_may_be_a_folder_is_refused_as_both(monkeypatch: pytest.MonkeyPatch) -> None:
    from huggingface_hub import constants

    from deepsynth_train import load_model

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(WorkloadError, match=r"^model: hf://runs/first .*; there is no folder runs/first either$"):
        load_model("runs/first")


def test_a_model_that_does_not_exist_is_refused(tmp_path: Path) -> None:
    from deepsynth_train import load_model

    with pytest.raises(ConfigurationError, match=r"^model: no folder .*nothing"):
        load_model(tmp_path / "nothing")


@pytest.mark.parametrize(
    ("page", "message"), [(b"no picture", r"^pages\[1\]: the page is not an image"), ("gone.png", "^gone.png: cannot")]
)
def test_a_page_that_cannot_be_read_is_named(page: Any, message: str, reader: Reader) -> None:
    with pytest.raises(DataError, match=message):
        reader.read([draw_pages(1)[0], page])


def test_an_encoder_decoder_takes_no_prompt_and_one_page_at_a_time(vit: Reader) -> None:
    with pytest.raises(ConfigurationError, match="takes none"):
        vit.read(draw_pages(1), prompt="Read.")
    with pytest.raises(ConfigurationError, match="one page at a time"):
        vit.read([draw_pages(2)])


def test_an_untrained_model_of_a_configuration_can_be_tried() -> None:
    from deepsynth_train import load_model

    assert len(load_model(VIT).read(draw_pages(2), max_new_tokens=2)) == 2


def test_the_sample_of_the_readme_runs_as_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import re
    from pathlib import Path

    publish(tmp_path / "runs/first/model")
    for number, page in enumerate(draw_pages(2), start=1):
        (tmp_path / f"page-{number}.png").write_bytes(page)
    monkeypatch.chdir(tmp_path)
    readme = (Path(__file__).parents[3] / "README.md").read_text()
    (sample,) = (code for code in re.findall(r"```python\n(.*?)```", readme, re.DOTALL) if "load_model" in code)
    names: dict[str, Any] = {}
    exec(sample, names)  # noqa: S102 - what is tested
    assert len(names["texts"]) == 2
    assert len(names["summary"]) == 1


@pytest.mark.parametrize(
    ("model", "options", "field"),
    [
        ("config://nope", {}, "model: must be hf://"),
        ("hf://only-an-owner", {}, "model: must be hf://"),
        ("me/ocr", {"revision": "a b"}, "revision: must be a branch"),
        (OCR2, {"device": "gpu"}, "device: must be cpu"),
        (OCR2, {"device": "cuda:99"}, "device: no GPU 'cuda:99'"),
    ],
)
def test_wrong_arguments_are_refused_by_name(model: str, options: dict[str, Any], field: str) -> None:
    from deepsynth_train import load_model

    with pytest.raises(ConfigurationError, match=field):
        load_model(model, **options)
