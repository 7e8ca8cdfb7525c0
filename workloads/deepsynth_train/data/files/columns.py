"""Columns of a dataset of pages, and which of them holds the labels of a task."""

import re
from collections.abc import Collection, Mapping
from typing import Final, Literal

Task = Literal["ocr", "summarize"]

PAGE_COLUMNS: Final = ("image", "text", "summary", "document_id", "page", "num_pages")
"""Columns that training may read; others are not copied."""

LABEL_COLUMNS: Final[dict[Task, str]] = {"ocr": "text", "summarize": "summary"}

_USUAL_NAMES: Final[Mapping[str, str]] = {
    "image": r"im|pic|page|png|file",
    "text": r"text|transcri|label|ocr|gt|truth|caption|content",
    "summary": r"summ|abstr|highl|text",
}
"""What names of columns contain that hold the same as ours."""


def list_likely(missing: str, columns: Collection[str]) -> list[str]:
    """Columns that may be meant by image, text or summary, to propose them: none is ever taken silently.

    >>> list_likely("text", ["file_name", "transcription"])
    ['transcription']
    """
    return [name for name in columns if re.search(_USUAL_NAMES[missing], name, re.IGNORECASE)]


def find_other_task(task: Task, columns: Collection[str]) -> Task | None:
    """A task whose labels are among these columns, when those of `task` are not."""
    return next((other for other, label in LABEL_COLUMNS.items() if other != task and label in columns), None)
