"""`deepsynth predict`: which pages of which file are read, and how the texts are printed."""

from __future__ import annotations

import io
import json
from typing import TYPE_CHECKING, Any

import pytest
from PIL import Image

from deepsynth.__main__ import main
from deepsynth_api.errors import ConfigurationError, DataError
from deepsynth_api.exit_codes import ExitCode
from deepsynth_local.prediction import list_items, read_pages
from support.training.page_dataset import draw_page

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

VIT = "config://vit-gpt2-tiny"


class Echo:
    """A reader that writes the number of pages, and what it was asked."""

    reads_documents = True

    def __init__(self, **options: Any) -> None:
        self.options = options

    def iter_readings(self, pages: Sequence[Any], **options: Any) -> Iterator[Any]:
        from deepsynth_train.reader import Reading

        for item in pages:
            yield Reading(f"{len(item)} pages, {options}", 7, is_complete=True, seconds=0.25)


@pytest.fixture
def echo(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Any, dict[str, Any]]]:
    opened: list[tuple[Any, dict[str, Any]]] = []

    def load(model: Any, **options: Any) -> Echo:
        opened.append((model, options))
        return Echo()

    monkeypatch.setattr("deepsynth_train.reader.load_model", load)
    return opened


def write_pdf(path: Path, pages: int) -> Path:
    pictures = [Image.new("L", (620, 877), 255 - 10 * number) for number in range(pages)]
    pictures[0].save(path, save_all=True, append_images=pictures[1:], resolution=75)
    return path


def write_image(path: Path) -> Path:
    path.write_bytes(draw_page("A"))
    return path


def test_an_image_is_read_as_it_is(tmp_path: Path) -> None:
    path = write_image(tmp_path / "a.png")
    assert read_pages(path) == [path]


def test_a_file_that_is_no_page_is_refused_before_the_model_is_loaded(
    tmp_path: Path, echo: list[Any], capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "a.py").write_text("print(1)")
    assert main(["predict", VIT, str(tmp_path / "a.py")]) == ExitCode.BAD_DATA
    assert f"error: {tmp_path}/a.py: must be an image, a PDF file or a text file (.csv" in capsys.readouterr().err
    assert not echo


def test_the_pages_of_a_pdf_are_drawn_at_150_dots_per_inch(tmp_path: Path) -> None:
    pytest.importorskip("pypdfium2")
    pages: Any = read_pages(write_pdf(tmp_path / "a.pdf", 3))
    assert len(pages) == 3
    first, _, third = (Image.open(io.BytesIO(page)) for page in pages)
    assert first.size == pytest.approx((1240, 1754), abs=1)
    assert first.convert("L").getpixel((600, 600)) == pytest.approx(255, abs=3)
    assert third.convert("L").getpixel((600, 600)) == pytest.approx(235, abs=3)


def test_a_poster_in_a_pdf_is_drawn_within_limits(tmp_path: Path) -> None:
    pytest.importorskip("pypdfium2")
    Image.new("L", (400, 100)).save(tmp_path / "a.pdf", resolution=4)
    (page,) = read_pages(tmp_path / "a.pdf")
    assert isinstance(page, bytes)
    assert max(Image.open(io.BytesIO(page)).size) == pytest.approx(5000, abs=1)


def test_a_damaged_pdf_is_named(tmp_path: Path) -> None:
    pytest.importorskip("pypdfium2")
    (tmp_path / "a.pdf").write_bytes(b"%PDF-1.7 nothing")
    with pytest.raises(DataError, match=r"a\.pdf: cannot be read as PDF"):
        read_pages(tmp_path / "a.pdf")


def test_without_its_package_a_pdf_is_refused_with_the_remedy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "pypdfium2", None)
    (tmp_path / "a.pdf").write_bytes(b"%PDF-1.7")
    with pytest.raises(ConfigurationError, match="pip install pypdfium2"):
        read_pages(tmp_path / "a.pdf")


def test_a_text_file_is_rendered_as_a_dataset_is(tmp_path: Path) -> None:
    path = tmp_path / "story.txt"
    path.write_text("Once upon a time. " * 2000)
    pages: Any = read_pages(path)
    assert len(pages) > 1
    assert all(page.startswith(b"\x89PNG") for page in pages)


@pytest.mark.parametrize(("content", "message"), [(b"\xff\xfe\x00", "not UTF-8 text"), (b" \n", "cannot be rendered")])
def test_a_text_file_that_cannot_be_rendered_is_named(content: bytes, message: str, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes(content)
    with pytest.raises(DataError, match=f"a.txt: .*{message}"):
        read_pages(tmp_path / "a.txt")


def test_pages_are_read_one_by_one_or_as_a_document(tmp_path: Path) -> None:
    path = tmp_path / "story.txt"
    path.write_text("Once upon a time. " * 2000)
    single = list(list_items(path, together=False))
    (whole,) = list_items(path, together=True)
    assert [item.page for item in single] == list(range(1, len(single) + 1))
    assert (whole.page, len(whole.pages)) == (None, len(single))


def test_the_text_of_one_page_is_printed_alone(
    echo: list[Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write_image(tmp_path / "a.png")
    assert main(["predict", "me/ocr", str(path), "--prompt", "Read.", "--device", "cpu"]) == ExitCode.DONE
    assert echo == [("me/ocr", {"revision": None, "device": "cpu"})]
    out = capsys.readouterr().out
    assert out.startswith("1 pages, {'prompt': 'Read.', 'max_new_tokens': None, 'batch_size': 8}")
    assert "==>" not in out


def test_the_texts_of_several_pages_have_lines_that_name_them(
    echo: list[Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    paths = [str(write_image(tmp_path / name)) for name in ("a.png", "b.png")]
    assert main(["predict", "me/ocr", *paths]) == ExitCode.DONE
    lines = capsys.readouterr().out.splitlines()
    assert [line for line in lines if line.startswith("==>")] == [f"==> {path} <==" for path in paths]
    (tmp_path / "story.txt").write_text("Once upon a time. " * 2000)
    assert main(["predict", "me/ocr", str(tmp_path / "story.txt")]) == ExitCode.DONE
    assert f"==> {tmp_path}/story.txt, page 2 <==" in capsys.readouterr().out


def test_json_has_an_object_for_each_text(echo: list[Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    image = write_image(tmp_path / "a.png")
    story = tmp_path / "b.md"
    story.write_text("Once upon a time. " * 2000)
    assert main(["predict", "me/ocr", str(image), str(story), "--json", "--document"]) == ExitCode.DONE
    first, second = (json.loads(line) for line in capsys.readouterr().out.splitlines())
    assert first == {
        "file": str(image),
        "pages": 1,
        "text": first["text"],
        "tokens": 7,
        "complete": True,
        "seconds": 0.25,
    }
    assert second["file"] == str(story)
    assert second["pages"] > 1


def test_a_model_on_a_volume_is_in_the_runs_folder(echo: list[Any], tmp_path: Path) -> None:
    arguments = ["predict", "pvc://demo/model", str(write_image(tmp_path / "a.png")), "--runs", str(tmp_path / "runs")]
    assert main(arguments) == ExitCode.DONE
    assert echo[0][0] == f"file://{tmp_path}/runs/volumes/demo/model"


def test_a_document_for_a_model_that_reads_one_page_is_refused_with_the_option_to_remove(
    echo: list[Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "story.txt").write_text("Once upon a time. " * 2000)
    monkeypatch.setattr(Echo, "reads_documents", False)
    assert main(["predict", "me/ocr", "--document", str(tmp_path / "story.txt")]) == ExitCode.BAD_CONFIGURATION
    assert "--document: me/ocr reads one page at a time; run the command without it" in capsys.readouterr().err
    assert main(["predict", "me/ocr", "--document", str(write_image(tmp_path / "a.png"))]) == ExitCode.DONE


def test_a_document_for_a_model_that_was_trained_on_pages_gets_a_note(
    echo: list[Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "story.txt").write_text("Once upon a time. " * 2000)
    for task in ("ocr", "summarize"):
        (tmp_path / task).mkdir()
        (tmp_path / task / "deepsynth.json").write_text(json.dumps({"task": task}))
        assert main(["predict", str(tmp_path / task), "--document", str(tmp_path / "story.txt")]) == ExitCode.DONE
        note = "was trained to read one page (task: ocr); without --document it reads page by page"
        assert (note in capsys.readouterr().err) == (task == "ocr")


def test_a_missing_file_is_refused_before_the_model_is_loaded(
    echo: list[Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["predict", "me/ocr", str(tmp_path / "gone.png")]) == ExitCode.BAD_CONFIGURATION
    assert "gone.png: no such file" in capsys.readouterr().err
    assert main(["predict", "me/ocr", str(tmp_path)]) == ExitCode.BAD_CONFIGURATION
    assert f"{tmp_path}: is a folder; name its files, such as {tmp_path}/*.png" in capsys.readouterr().err
    assert echo == []


def test_without_torch_the_package_to_install_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "deepsynth_train.reader", None)
    path = write_image(tmp_path / "a.png")
    assert main(["predict", "me/ocr", str(path)]) == ExitCode.BAD_CONFIGURATION
    assert "install deepsynth-operator[train]" in capsys.readouterr().err


def test_a_real_model_reads(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write_image(tmp_path / "a.png")
    arguments = ["predict", VIT, str(path), "--json", "--max-new-tokens", "3", "--runs", str(tmp_path / "runs")]
    assert main(arguments) == ExitCode.DONE
    reading = json.loads(capsys.readouterr().out)
    assert reading["tokens"] <= 3
    assert not (tmp_path / "runs").exists(), "reading creates nothing"


def test_an_error_is_one_line_and_warnings_of_libraries_are_not_shown(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "model").mkdir()
    (tmp_path / "model/adapter_config.json").write_text('{"base_model_name_or_path": "/nowhere"}')
    (tmp_path / "model/adapter_model.safetensors").write_bytes(b"")
    path = write_image(tmp_path / "a.png")
    assert main(["predict", str(tmp_path / "model"), str(path)]) == ExitCode.BAD_CONFIGURATION
    assert capsys.readouterr().err == (
        f"loading the model {tmp_path}/model\n"
        "error: model: no folder /nowhere; name one with a model, or a model on the Hub, hf://OWNER/NAME\n"
    )
    assert not caplog.records
