"""Columns of a dataset of pages, and which of them holds the labels of a task."""

from collections.abc import Collection
from typing import Final, Literal

Task = Literal["ocr", "summarize"]

PAGE_COLUMNS: Final = ("image", "text", "summary", "document_id", "page", "num_pages")
"""Columns that training may read; others are not copied."""

LABEL_COLUMNS: Final[dict[Task, str]] = {"ocr": "text", "summarize": "summary"}


def find_other_task(task: Task, columns: Collection[str]) -> Task | None:
    """A task whose labels are among these columns, when those of `task` are not."""
    return next((other for other, label in LABEL_COLUMNS.items() if other != task and label in columns), None)
