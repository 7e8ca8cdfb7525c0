"""Numbers of things in messages: 1 document, 2 documents."""


def counted(number: int, noun: str) -> str:
    """noun: in the singular, its plural ends with s. 1234, "page" -> "1,234 pages"."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"
