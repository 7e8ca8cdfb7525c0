"""Rendering the documents of one shard into staged files."""

import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from itertools import groupby
from pathlib import Path
from typing import NamedTuple

from deepsynth_api.counted import counted
from deepsynth_api.errors import DataError
from deepsynth_api.report import RenderReport
from deepsynth_api.v1alpha1 import Source
from deepsynth_render.documents.dataset_manifest import ManifestFile, ManifestStyle, list_columns
from deepsynth_render.documents.dropped_rows import DroppedRow, DroppedRowWriter, shard_dropped_path
from deepsynth_render.documents.page_text import PageText
from deepsynth_render.documents.plan_rows import PlanRow, read_plan_rows
from deepsynth_render.documents.receipt import Receipt, data_path, receipt_path
from deepsynth_render.documents.render_plan import PageInputs, PlannedShard
from deepsynth_render.page import Page, PageRenderer, PageStyle
from deepsynth_render.page.characters import normalise
from deepsynth_render.page.density import estimate_image_tokens, estimate_tokens, measure_text
from deepsynth_render.page.fallback import replace_undrawable
from deepsynth_render.render.shard_writer import Document, ShardFile, ShardWriter
from deepsynth_render.render.style_order import draw_in_style_order
from deepsynth_render.reporting.dropped import RefusedDocument, list_dropped
from deepsynth_render.reporting.report import Reporter
from deepsynth_render.sources import Row, TextSource, open_source
from deepsynth_store import DatasetTarget


class _Text(NamedTuple):
    row: PlanRow
    text: str
    summary: str


class _Drawn(NamedTuple):
    """undrawable: how many characters were replaced. refusal: why there are no pages."""

    pages: list[Page]
    undrawable: int
    refusal: RefusedDocument | None = None


class ShardRenderer:
    """Renders one shard into `folder` and stages its files; the receipt is staged together with the last file.

    inputs: the plan or, while it is being made, its draft. staging: the digest that names the staging area. rows: the
    file of the shard's rows.

    At any time it writes at most two files to `folder`: the current one and the one before it, not staged yet.
    """

    def __init__(
        self,
        inputs: PageInputs,
        planned: PlannedShard,
        *,
        staging: str,
        shard: int,
        rows: Path,
        target: DatasetTarget,
        folder: Path,
        reporter: Reporter,
        build_renderer: Callable[..., PageRenderer] = PageRenderer,
    ) -> None:
        self._inputs = inputs
        self._planned = planned
        self._staging = staging
        self._shard = shard
        self._rows = rows
        self._target = target
        self._folder = folder
        self._reporter = reporter
        self._build_renderer = build_renderer
        self._files: list[ManifestFile] = []
        self._unstaged: dict[str, Path] = {}
        self._documents = self._pages = self._bytes = 0
        self._replaced = 0
        self._page_text = PageText()
        self._styles: defaultdict[PageStyle, list[int]] = defaultdict(list)  # style -> pages of each document
        self._refused = DroppedRowWriter(folder / "dropped.parquet", reporter.log)
        self._started = time.monotonic()

    def run(self) -> None:
        self._show()
        renderer = self._build_renderer(self._inputs.look.page, self._inputs.look.compression)
        self._started = time.monotonic()
        columns = list_columns(self._inputs.look.page, has_configs=self._inputs.source.configs is not None)
        with ShardWriter(self._build_path, self._inputs.look.max_shard_bytes, self._take_file, columns) as writer:
            for document, drawn in draw_in_style_order(
                self._read_documents(),
                lambda document: self._draw(renderer, document),
                find_style=self._find_style_by(renderer),
                measure=lambda document: len(document.text),
            ):
                self._take(writer, document, drawn)
                self._show()
        self._bytes = sum(file.size for file in self._files)
        dropped_sha256 = self._refused.close()
        dropped = {shard_dropped_path(self._shard): self._refused.path} if dropped_sha256 else {}
        receipt = self._build_receipt(dropped_sha256).to_json()
        self._target.put({**self._unstaged, **dropped, receipt_path(self._shard): receipt})
        self._show()
        self._reporter.log(
            f"shard {self._shard}: {counted(self._documents, 'document')}, {counted(self._pages, 'page')}"
        )

    def _find_style_by(self, renderer: PageRenderer) -> Callable[[_Text], int] | None:
        return (lambda document: renderer.find_style(self._name(document))) if renderer.has_several_styles else None

    def _name(self, document: _Text) -> str:
        return f"{self._planned.split}-{document.row.index}"

    def _draw(self, renderer: PageRenderer, document: _Text) -> _Drawn:
        text, undrawable = document.text, 0
        if self._inputs.filters.undrawable == "replace":
            text, undrawable = replace_undrawable(text)
        try:
            return _Drawn(renderer.render(text, self._name(document), is_normalised=not undrawable), undrawable)
        except RefusedDocument as refusal:
            return _Drawn([], undrawable, refusal)

    def _take(self, writer: ShardWriter, document: _Text, drawn: _Drawn) -> None:
        source, split, row, pages = self._inputs.source, self._source_split, document.row, drawn.pages
        config, index = source.locate(split, row.index)
        if drawn.refusal:
            place = DroppedRow(split, index, row.file, row.group, row.row, drawn.refusal.reason)
            self._refused.add(place, drawn.refusal.message)
            return
        language, config_name = (config.language, config.name) if config else (source.language, "")
        name, summary = self._name(document), document.summary
        writer.add(Document(name, summary, language, source.name, split, index, config_name), pages)
        self._documents += 1
        self._replaced += row.replaced + drawn.undrawable
        self._pages += len(pages)
        self._bytes += sum(len(page.png) for page in pages)
        self._page_text += _measure_text(pages)
        self._styles[pages[0].style].append(len(pages))

    def _read_documents(self) -> Iterator[_Text]:
        """Each planned row with its text and summary, normalised. A row group of the source is read once."""
        for (file, group), rows in groupby(read_plan_rows(self._rows), key=lambda row: (row.file, row.group)):
            if group is None:
                yield from (_Text(row, row.text or "", row.summary or "") for row in rows)
            else:
                keep_tabs = self._inputs.look.page.tab_stop_ems is not None
                yield from _pick(rows, self._source.read_again(file, group), file, keep_tabs=keep_tabs)

    @cached_property
    def _source(self) -> TextSource:
        """Opened only if the plan does not hold the texts."""
        pinned, split = self._inputs.source, self._source_split
        asked = Source(
            uri=pinned.uri,
            config=pinned.config,
            configs=[config.name for config in pinned.configs or () if config.rows.get(split)],
            splits=[split],
            columns=pinned.columns,
        )
        return open_source(asked, pinned.revision, self._reporter.on_wait)

    @property
    def _source_split(self) -> str:
        return self._planned.source_split or self._planned.split

    def _build_path(self, number: int) -> Path:
        return self._folder / Path(data_path(self._planned.split, self._shard, number)).name

    def _take_file(self, file: ShardFile) -> None:
        if self._unstaged:
            self._target.put(self._unstaged)
            for path in self._unstaged.values():
                path.unlink()
        staged = data_path(self._planned.split, self._shard, len(self._files))
        self._unstaged = {staged: file.path}
        self._files.append(
            ManifestFile(path=staged, size=file.size, sha256=file.sha256, split=self._planned.split, rows=file.rows)
        )

    def _build_receipt(self, dropped_sha256: str | None) -> Receipt:
        return Receipt(
            plan=self._staging,
            shard=self._shard,
            split=self._planned.split,
            rows_sha256=self._planned.rows_sha256,
            documents=self._documents,
            pages=self._pages,
            size=self._bytes,
            dropped=list_dropped(self._refused.counts),
            dropped_sha256=dropped_sha256,
            replaced_characters=self._replaced,
            page_text=self._page_text,
            styles=[
                ManifestStyle(
                    style=style.index,
                    font_family=style.font_family,
                    font_size_px=style.font_size_px,
                    text_columns=style.columns,
                    documents=len(pages),
                    pages=sum(pages),
                )
                for style, pages in sorted(self._styles.items(), key=lambda item: item[0].index)
            ],
            files=self._files,
        )

    def _show(self) -> None:
        seconds = time.monotonic() - self._started
        self._reporter.show(
            RenderReport(
                shard=self._shard,
                documents_total=self._planned.documents,
                documents=self._documents,
                pages=self._pages,
                bytes=self._bytes,
                pages_per_second=round(self._pages / seconds, 1) if self._pages else 0.0,
                dropped=list_dropped(self._refused.counts),
                replaced_characters=self._replaced,
            )
        )


def _measure_text(pages: Sequence[Page]) -> PageText:
    measured = [measure_text(page.text) for page in pages]
    return PageText(
        words=sum(words for words, _ in measured),
        characters=sum(len(page.text) for page in pages),
        text_tokens=sum(estimate_tokens(size) for _, size in measured),
        image_tokens=sum(estimate_image_tokens(page.width, page.height) for page in pages),
    )


def _pick(wanted: Iterator[PlanRow], rows: Iterator[Row], file: str, *, keep_tabs: bool) -> Iterator[_Text]:
    """The wanted rows of a row group with their texts. `wanted` and `rows` are in the order of the file."""
    numbered = enumerate(rows)
    for row in wanted:
        text, summary = next((found for number, found in numbered if number == row.row), (None, None))
        if text is None or summary is None:
            raise DataError(
                f"row {row.row} of row group {row.group} of {file} is missing, but was there when it was planned; "
                "delete and re-apply the resource"
            )
        yield _Text(row, normalise(text, keep_tabs=keep_tabs), normalise(summary))
