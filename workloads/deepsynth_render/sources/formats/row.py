"""A row of a source: what all formats give."""

Row = tuple[str | None, str | None]
"""(text, summary) as the source has them; None for a missing value."""
