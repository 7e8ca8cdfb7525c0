"""`deepsynth predict`: what a model reads from images, pages of PDF files, and text files, which are rendered first."""

import io
import json
import logging
import sys
from argparse import Namespace
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from deepsynth_api.errors import ConfigurationError, DataError
from deepsynth_api.v1alpha1 import PageSettings
from deepsynth_local.runs.runs_folder import RunsFolder

if TYPE_CHECKING:
    from deepsynth_train.reader import Page, Reader, Reading

TEXT_SUFFIXES: Final = frozenset(
    {".csv", ".json", ".log", ".md", ".rst", ".tex", ".text", ".tsv", ".txt", ".xml", ".yaml"}
)
DPI: Final = 150
"""Of the pages of a PDF file: A4 gets 1240 x 1754 pixels."""
MAX_SIDE: Final = 5000
"""Pixels of the longer side of a drawn page."""
_POINTS_PER_INCH: Final = 72
_PDF: Final = b"%PDF-"


@dataclass(frozen=True)
class Item:
    """One text to read. page: its number in the file, from 1; None for all pages of the file together.

    is_alone: the file has no other page.
    """

    file: str
    page: int | None
    pages: "list[Page]"
    is_alone: bool = False


def predict_files(chosen: Namespace) -> None:
    """Print what the model writes, text by text. Files are opened before the model is loaded, to fail early."""
    model = RunsFolder(chosen.runs.resolve()).localize(chosen.model)
    _check_level(model, chosen.model)
    paths = [Path(name) for name in chosen.files]
    for path in paths:
        if not path.is_file():
            problem = f"is a folder; name its files, such as {path}/*.png" if path.is_dir() else "no such file"
            raise ConfigurationError(f"{path}: {problem}")
    items = [item for path in paths for item in list_items(path, together=chosen.document)]
    print(f"loading the model {chosen.model}", file=sys.stderr)
    with _quiet(debug=chosen.debug):
        reader = _load(chosen, model)
    if any(len(item.pages) > 1 for item in items):
        _check_document(chosen.model, model, reader)
    readings = reader.iter_readings(
        [item.pages for item in items],
        prompt=chosen.prompt,
        max_new_tokens=chosen.max_new_tokens,
        batch_size=chosen.batch_size,
    )
    for number, (item, reading) in enumerate(zip(items, readings, strict=True)):
        print(
            _format_json(item, reading) if chosen.json else _format_text(item, reading, number, len(items)), flush=True
        )


def _check_level(model: str, name: str) -> None:
    from deepsynth_train.models.files.model_folder import check_level

    check_level(Path(model.removeprefix("file://")).expanduser(), name)


def list_items(path: Path, *, together: bool) -> Iterator[Item]:
    """What to read of a file: each of its pages, or all of them together."""
    pages = read_pages(path)
    if together:
        yield Item(str(path), None, pages)
        return
    for number, page in enumerate(pages, start=1):
        yield Item(str(path), number, [page], is_alone=len(pages) == 1)


def read_pages(path: Path) -> "list[Page]":
    """Pages of a file, in order. Raises DataError when there are none that can be read."""
    content = path.read_bytes()
    if content.startswith(_PDF):
        return _draw_pdf(path, content)
    if path.suffix.lower() in TEXT_SUFFIXES:
        return _render_text(path, content)
    _check_image(path, content)
    return [path]


def _check_image(path: Path, content: bytes) -> None:
    """By its header: the model looks at the rest, after minutes of loading."""
    from PIL import Image, UnidentifiedImageError

    try:
        Image.open(io.BytesIO(content)).close()
    except UnidentifiedImageError as error:
        kinds = ", ".join(sorted(TEXT_SUFFIXES))
        raise DataError(f"{path}: must be an image, a PDF file or a text file ({kinds})") from error
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        return  # a damaged image is explained where it is read


def _draw_pdf(path: Path, content: bytes) -> "list[Page]":
    try:
        import pypdfium2
    except ModuleNotFoundError as error:
        raise ConfigurationError(
            f"{path}: PDF files need the package pypdfium2; run `pip install pypdfium2`"
        ) from error
    try:
        with pypdfium2.PdfDocument(content) as document:
            pages: list[Page] = [_draw_page(document[number]) for number in range(len(document))]
    except pypdfium2.PdfiumError as error:
        raise DataError(f"{path}: cannot be read as PDF ({error}); it may be damaged or need a password") from error
    if not pages:
        raise DataError(f"{path}: has no pages")
    return pages


def _draw_page(page: Any) -> bytes:
    """PNG, which takes less memory than pixels until the page's turn comes."""
    scale = min(DPI / _POINTS_PER_INCH, MAX_SIDE / max(page.get_size()))
    buffer = io.BytesIO()
    page.render(scale=scale).to_pil().save(buffer, "PNG", compress_level=1)
    return buffer.getvalue()


def _render_text(path: Path, content: bytes) -> "list[Page]":
    """Pages as a DatasetGeneration draws them by default."""
    from deepsynth_render.page.renderer import PageRenderer
    from deepsynth_render.reporting.dropped import RefusedDocument

    try:
        text = content.decode()
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: is not UTF-8 text (byte {error.start})") from error
    try:
        return [page.png for page in PageRenderer(PageSettings(), "fast").render(text, path.name)]
    except RefusedDocument as error:
        raise DataError(f"{path}: cannot be rendered: {error}") from error


@contextmanager
def _quiet(*, debug: bool) -> Iterator[None]:
    """Without the libraries' warnings while a model is loaded; errors say what is wrong."""
    level = logging.root.manager.disable
    logging.disable(level if debug else logging.WARNING)
    try:
        yield
    finally:
        logging.disable(level)


def _load(chosen: Namespace, model: str) -> "Reader":
    try:
        from deepsynth_train.reader import load_model
    except ModuleNotFoundError as error:
        raise ConfigurationError(
            f"reading needs the package {error.name}; install deepsynth-operator[train]"
        ) from error
    return load_model(model, revision=chosen.revision, device=chosen.device)


def _check_document(name: str, model: str, reader: "Reader") -> None:
    """Refuse several pages at once where the model takes one; warn where it was trained on one.

    name: of `model` for users.
    """
    from deepsynth_train.models.files.model_folder import read_trained

    if not reader.reads_documents:
        raise ConfigurationError(f"--document: {name} reads one page at a time; run the command without it")
    if read_trained(Path(model.removeprefix("file://"))).get("task") == "ocr":
        print(
            f"note: {name} was trained to read one page (task: ocr); without --document it reads page by page",
            file=sys.stderr,
        )


def _format_json(item: Item, reading: "Reading") -> str:
    place: dict[str, Any] = {"page": item.page} if item.page else {"pages": len(item.pages)}
    document = {
        "file": item.file,
        **place,
        "text": reading.text,
        "tokens": reading.tokens,
        "complete": reading.is_complete,
        "seconds": round(reading.seconds, 3),
    }
    return json.dumps(document, ensure_ascii=False)


def _format_text(item: Item, reading: "Reading", number: int, count: int) -> str:
    """The text alone, or with a line above it that names the page, as `head` does for several files."""
    if count == 1:
        return reading.text
    place = f"{item.file}, page {item.page}" if item.page and not item.is_alone else item.file
    return f"{'' if number == 0 else chr(10)}==> {place} <==\n{reading.text}"
