"""Pages per second and core, from text to parquet, compared with Pillow on the same documents: `make bench-render`.

All pipelines draw the same font, size, margins and line pitch, and write a parquet file that `datasets` opens. The time
is the CPU time of this process and its threads: the median of interleaved repeats. Compare words per second where the
pages of two pipelines hold different amounts of text.
"""

import argparse
import io
import itertools
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import cache, partial
from operator import attrgetter
from pathlib import Path
from typing import Any, NamedTuple

import datasets
from PIL import Image, ImageDraw, ImageFont

from deepsynth_api.v1alpha1 import PageSettings
from deepsynth_render.page import PageRenderer
from deepsynth_render.page.characters import normalise
from deepsynth_render.page.fonts import load_font
from deepsynth_render.page.geometry import build_geometry
from deepsynth_render.page.png import Compression
from deepsynth_render.page.raster import PAGES_BEFORE_COMPILING
from deepsynth_render.render.shard_writer import Document, ShardWriter
from deepsynth_render.sources.docstrings import DocstringSource

PAGE = PageSettings(size="1024", font_families=["DejaVu Sans"], font_sizes_px=[18], margin_px=32, line_height="1.25")
FONT = load_font(PAGE.font_families[0])
GEOMETRY = build_geometry(PAGE, FONT, PAGE.font_sizes_px[0])
WORDS_PER_DOCUMENT = 600


class Pipeline(NamedTuple):
    """run writes one parquet file for the documents and returns how many pages it drew."""

    name: str
    run: Callable[[list[str], Path], int]


class Result(NamedTuple):
    """One pass. seconds: CPU time. size: bytes of parquet."""

    name: str
    seconds: float
    pages: int
    size: int


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--documents", type=int, default=40, help="documents of some 600 words (default %(default)s)")
    parser.add_argument("--repeats", type=int, default=5, help="passes of each pipeline (default %(default)s)")
    arguments = parser.parse_args()
    documents = build_documents(arguments.documents)
    datasets.disable_progress_bars()
    warm_up(documents)
    pipelines = [
        Pipeline("DeepSynth fast", partial(render_with_deepsynth, compression="fast")),
        Pipeline("DeepSynth small", partial(render_with_deepsynth, compression="small")),
        Pipeline("Pillow as usual", partial(render_with_pillow, mode="RGB", remember_widths=False)),
        Pipeline("Pillow grey, tuned", partial(render_with_pillow, mode="L", remember_widths=True)),
    ]
    results = measure(pipelines, documents, arguments.repeats)
    words = sum(len(text.split()) for text in documents)
    report(results, words, best="DeepSynth fast", usual="Pillow as usual")


def build_documents(count: int) -> list[str]:
    """Docstrings of the standard library, in the order of its files, joined into documents as long as an article."""
    documents: list[str] = []
    parts: list[str] = []
    for group in DocstringSource().read("train"):
        for text, summary in group.rows:
            parts += [summary or "", text or ""]
            if sum(len(part.split()) for part in parts) >= WORDS_PER_DOCUMENT:
                documents.append(normalise("\n\n".join(parts)))
                parts = []
            if len(documents) == count:
                return documents
    return documents


def warm_up(documents: list[str]) -> None:
    """Draw until the drawing loop is compiled. Caches of words still start empty: each pass has its own."""
    started, pages = time.process_time(), 0
    renderer = PageRenderer(PAGE, "fast")
    while pages <= PAGES_BEFORE_COMPILING:
        pages += sum(len(renderer.render(text, "")) for text in documents)
    print(f"start-up and the first {pages} pages: {time.process_time() - started:.1f} s of CPU")


def measure(pipelines: list[Pipeline], documents: list[str], repeats: int) -> list[Result]:
    """The median pass of each pipeline."""
    passes: dict[str, list[Result]] = {pipeline.name: [] for pipeline in pipelines}
    for _, pipeline in itertools.product(range(repeats), pipelines):
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, "pages.parquet")
            started = time.process_time()
            pages = pipeline.run(documents, path)
            seconds = time.process_time() - started
            passes[pipeline.name].append(Result(pipeline.name, seconds, pages, path.stat().st_size))
    return [sorted(results, key=attrgetter("seconds"))[len(results) // 2] for results in passes.values()]


def report(results: list[Result], words: int, *, best: str, usual: str) -> None:
    seconds = {result.name: result.seconds for result in results}
    print(f"{'':22}{'pages/s/core':>14}{'words/s/core':>14}{'ms/page':>10}{'KB/page':>10}{'pages':>8}{'ratio':>8}")
    for name, spent, pages, size in results:
        print(
            f"{name:22}{pages / spent:14,.0f}{words / spent:14,.0f}{1000 * spent / pages:10.2f}"
            f"{size / pages / 1000:10.1f}{pages:8}{seconds[usual] / spent:8.1f}"
        )
    print(f"{best} takes 1/{seconds[usual] / seconds[best]:.1f} of the time of {usual}, text to parquet")


def render_with_deepsynth(documents: list[str], path: Path, compression: Compression) -> int:
    renderer = PageRenderer(PAGE, compression)
    pages = 0
    with ShardWriter(lambda _: path, max_bytes=5_000_000_000, on_file=lambda _: None) as writer:
        for index, text in enumerate(documents):
            drawn = renderer.render(text, str(index))
            writer.add(Document(str(index), "", "en", "docstrings", "train", index), drawn)
            pages += len(drawn)
    return pages


def render_with_pillow(documents: list[str], path: Path, mode: str, *, remember_widths: bool) -> int:
    """The usual way: measure, wrap, ImageDraw, and pass Pillow images to `datasets`."""
    font = ImageFont.truetype(io.BytesIO(FONT.data), PAGE.font_sizes_px[0])
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


def draw(lines: list[str], font: ImageFont.FreeTypeFont, mode: str) -> Image.Image:
    page = Image.new(mode, (GEOMETRY.width, GEOMETRY.height), "white")
    canvas = ImageDraw.Draw(page)
    for row, line in enumerate(lines):
        baseline = GEOMETRY.first_baseline + row * GEOMETRY.line_pitch
        canvas.text((GEOMETRY.column_lefts[0], baseline), line, fill="black", font=font, anchor="ls")
    return page


if __name__ == "__main__":
    main()
