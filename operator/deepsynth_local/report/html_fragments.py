"""Small pieces of HTML. Every text is escaped here; nothing else in the report builds tags from data."""

import base64
from collections.abc import Mapping, Sequence
from datetime import datetime
from html import escape

from deepsynth_local.columns import format_age
from deepsynth_local.report.data import SamplePage

_CAPTION_CHARS = 150


def build_figures(figures: Mapping[str, str]) -> str:
    """The numbers that matter, label by label; empty ones are left out."""
    items = "".join(
        f"<div><dt>{escape(name)}</dt><dd>{escape(value)}</dd></div>" for name, value in figures.items() if value
    )
    return f'<dl class="figures">{items}</dl>'


def build_table(
    caption: str, header: Sequence[str], rows: Sequence[Sequence[str]], *, states: int | None = None
) -> str:
    """states: index of a column whose cells are coloured by their word."""
    if not rows:
        return ""
    head = "".join(f'<th scope="col">{escape(cell)}</th>' for cell in header)
    body = "".join(
        "<tr>" + "".join(_build_cell(cell, coloured=index == states) for index, cell in enumerate(row)) + "</tr>"
        for row in rows
    )
    return (
        f'<h3>{escape(caption)}</h3><div class="scroll"><table><thead><tr>{head}</tr></thead>'
        f"<tbody>{body}</tbody></table></div>"
    )


def build_state(state: str) -> str:
    return f'<span class="state {escape(state, quote=True)}">{escape(state)}</span>'


def build_pages(pages: Sequence[SamplePage]) -> str:
    """Thumbnails as data URIs, so that the report stays one file."""
    return f'<h3>Sample pages</h3><div class="pages">{"".join(map(_build_page, pages))}</div>' if pages else ""


def build_details(summary: str, text: str) -> str:
    return f"<details><summary>{escape(summary)}</summary><pre>{escape(text)}</pre></details>"


def format_bytes(count: int) -> str:
    """Decimal units, as disks are sold: 4.2 MB."""
    value, units = float(count), ["B", "kB", "MB", "GB", "TB"]
    while value >= 1000 and len(units) > 1:
        value, units = value / 1000, units[1:]
    return f"{value:.3g} {units[0]}"


def format_span(start: datetime | None, end: datetime | None) -> str:
    return format_age((end - start).total_seconds()) if start and end else ""


def _build_cell(text: str, *, coloured: bool) -> str:
    if coloured and text:
        return f'<td><strong class="{escape(text, quote=True)}">{escape(text)}</strong></td>'
    number = ' class="number"' if text[:1].isdigit() and len(text) < 24 else ""
    return f"<td{number}>{escape(text)}</td>"


def _build_page(page: SamplePage) -> str:
    source = f"data:image/png;base64,{base64.b64encode(page.png).decode()}"
    text = escape(f"Page {page.page + 1} of {page.pages}: {_clip(page.text)}", quote=True)
    return (
        f'<figure><img loading="lazy" src="{source}" alt="{text}"><figcaption>Page {page.page + 1} of {page.pages}. '
        f"Summary: {escape(_clip(page.summary))}</figcaption></figure>"
    )


def _clip(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= _CAPTION_CHARS else f"{line[: _CAPTION_CHARS - 1].rstrip()}\u2026"
