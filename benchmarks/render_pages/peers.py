"""The same documents with other libraries, a process each: `python -m benchmarks.render_pages.peers NAME IN OUT`.

Font, size, margins and line pitch are those of the shards. Prints a line of JSON: the CPU seconds before the first
document and after it, and the pages.
"""

import io
import json
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from functools import cache, partial
from pathlib import Path
from typing import Any, Final, NamedTuple

from benchmarks.render_pages import pango, skia
from benchmarks.render_pages.shards import PAGE, Result, Usage, run_process

from deepsynth_api.v1alpha1 import PageSettings
from deepsynth_render.page.fonts import load_font
from deepsynth_render.page.geometry import build_geometry
from deepsynth_render.page.png import encode_png

SETTINGS = PageSettings.model_validate(PAGE)
FONT = load_font(SETTINGS.font_families[0])
SIZE_PX = SETTINGS.font_sizes_px[0]
GEOMETRY = build_geometry(SETTINGS, FONT, SIZE_PX)


class Drawn(NamedTuple):
    """seconds: CPU time, before the first document and from there on."""

    start_up: float
    seconds: float
    pages: int
    size: int


def measure_peer(name: str, documents: Sequence[str], total: int) -> Result:
    """Draw a part of the shard's documents with a peer in a fresh process, and extrapolate to `total` documents."""
    with tempfile.TemporaryDirectory() as folder:
        source, output = Path(folder, "documents.json"), Path(folder, "pages.parquet")
        source.write_text(json.dumps(list(documents)))
        command = [sys.executable, "-m", "benchmarks.render_pages.peers", name, str(source), str(output)]
        usage = run_process(command, {})
        drawn = Drawn(*json.loads(Path(f"{output}.json").read_text()))
    factor = total / len(documents)
    words = sum(len(text.split()) for text in documents)
    seconds = drawn.start_up + factor * (usage.seconds - drawn.start_up)
    return Result(
        Usage(seconds, usage.peak), round(factor * drawn.pages), round(factor * words), round(factor * drawn.size)
    )


def render_with_pillow(documents: Sequence[str], path: Path, mode: str, *, remember_widths: bool) -> int:
    """The usual way: measure, wrap, ImageDraw, and pass Pillow images to `datasets`. Returns the number of pages."""
    import datasets
    from PIL import ImageFont

    datasets.disable_progress_bars()
    font = ImageFont.truetype(io.BytesIO(FONT.data), SIZE_PX)
    measure_text = cache(font.getlength) if remember_widths else font.getlength

    def generate() -> Iterator[dict[str, Any]]:
        for index, text in enumerate(documents):
            lines = [line for paragraph in text.split("\n") for line in wrap(paragraph, measure_text, remember_widths)]
            for first in range(0, len(lines), GEOMETRY.lines_per_page):
                shown = lines[first : first + GEOMETRY.lines_per_page]
                yield {"image": draw(shown, font, mode), "text": "\n".join(shown), "document_id": index}

    with tempfile.TemporaryDirectory() as folder:
        dataset = datasets.Dataset.from_generator(generate, cache_dir=folder)
        dataset.to_parquet(path)
        return len(dataset)


def render_with(library: type[pango.Pango] | type[skia.Skia], documents: Sequence[str], path: Path) -> int:
    """Returns the number of pages."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    drawer = library(SETTINGS.font_families[0], SIZE_PX, GEOMETRY)
    schema = pa.schema(
        [("image", pa.struct([("bytes", pa.binary()), ("path", pa.string())])), ("document_id", pa.int64())]
    )
    pages = 0
    with pq.ParquetWriter(path, schema, compression="none", use_dictionary=False) as writer:
        for index, text in enumerate(documents):
            files = [encode_png(page, GEOMETRY.width, 4, "fast") for page in drawer.draw(text)]
            rows = [{"image": {"bytes": file, "path": None}, "document_id": index} for file in files]
            writer.write_batch(pa.RecordBatch.from_pylist(rows, schema=schema))
            pages += len(files)
    return pages


def wrap(paragraph: str, measure_text: Callable[[str], float], add_widths: bool) -> Iterator[str]:
    """Lines that fit a column. Measures the whole line for each word, or (add_widths) adds the widths of its words."""
    line, width = "", 0.0
    for word in paragraph.split(" "):
        longer = f"{line} {word}" if line else word
        wider = width + measure_text(" ") + measure_text(word) if add_widths else measure_text(longer)
        if line and wider > GEOMETRY.column_width:
            yield line
            longer, wider = word, measure_text(word)
        line, width = longer, wider
    yield line


def draw(lines: list[str], font: Any, mode: str) -> Any:
    from PIL import Image, ImageDraw

    page = Image.new(mode, (GEOMETRY.width, GEOMETRY.height), "white")
    canvas = ImageDraw.Draw(page)
    for row, line in enumerate(lines):
        baseline = GEOMETRY.first_baseline + row * GEOMETRY.line_pitch
        canvas.text((GEOMETRY.column_lefts[0], baseline), line, fill="black", font=font, anchor="ls")
    return page


PEERS: Final[dict[str, Callable[[Sequence[str], Path], int]]] = {
    "Pillow as usual": partial(render_with_pillow, mode="RGB", remember_widths=False),
    "Pillow grey, tuned": partial(render_with_pillow, mode="L", remember_widths=True),
    "Pango": partial(render_with, pango.Pango),
    "Skia": partial(render_with, skia.Skia),
}
INSTALLED: Final = {"Pango": pango.is_installed, "Skia": skia.is_installed}


def list_peers() -> list[str]:
    """Those that are installed."""
    return [name for name in PEERS if name not in INSTALLED or INSTALLED[name]()]


def main() -> None:
    name, source, output = sys.argv[1:]
    documents: list[str] = json.loads(Path(source).read_text())
    PEERS[name](documents[:1], Path(output))  # its imports and caches
    start_up = time.process_time()
    pages = PEERS[name](documents, Path(output))
    drawn = Drawn(start_up, time.process_time() - start_up, pages, Path(output).stat().st_size)
    Path(f"{output}.json").write_text(json.dumps(drawn))


if __name__ == "__main__":
    main()
