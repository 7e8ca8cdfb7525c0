"""Columns of a dataset of pages, and which of them holds the labels of a task."""

from typing import Final, Literal

Task = Literal["ocr", "summarize"]

PAGE_COLUMNS: Final = ("image", "text", "summary", "document_id", "page", "num_pages")
"""Columns that training may read; others are not copied."""

LABEL_COLUMNS: Final[dict[Task, str]] = {"ocr": "text", "summarize": "summary"}
