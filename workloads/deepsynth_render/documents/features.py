"""The columns of a published page."""

from typing import Final

FEATURES: Final[dict[str, str]] = {
    "image": "image",
    "text": "string",
    "summary": "string",
    "document_id": "string",
    "page": "int32",
    "num_pages": "int32",
    "language": "string",
    "source_dataset": "string",
    "original_split": "string",
    "original_index": "int64",
    "char_start": "int64",
    "char_end": "int64",
}
"""Columns in order, by the names of types that `datasets` uses. page counts from 0; text is what the page shows,
document text [char_start:char_end]; summary is the document's."""
