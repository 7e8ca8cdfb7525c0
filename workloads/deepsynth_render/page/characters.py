"""The characters of a document: how text is normalised."""

import re
import unicodedata

from deepsynth_render.page.fallback import has_variant
from deepsynth_render.page.scripts.invisible import CONTEXTUAL, drop_unseen
from deepsynth_render.page.scripts.properties import list_characters

_TAB = " " * 4
_BLANKS = re.compile("  +|^ ", re.MULTILINE)
_ALIGNED = re.compile(r"\S {3,}\S")
_LINE_ENDS = ("\r\n", "\r", "\v", "\f", "\x85", "\u2028", "\u2029")
_ASCII_CONTROLS = re.compile("[\x00-\x08\x0b-\x1f\x7f]")
# Control characters and Unicode's default ignorables (soft hyphens, zero-width spaces, fillers, deprecated formats)
# draw nothing, so a page cannot show whether the text contains them. Some others do so in some texts: CONTEXTUAL.
_INVISIBLE = (
    "\x00-\x08\x0e-\x1f\x7f-\x9f\u00ad\u034f\u115f\u1160\u17b4\u17b5\u200b\u2060-\u2065\u206a-\u206f"
    "\u3164\ufeff\uffa0\ufff9-\ufffc\U0001bca0-\U0001bca3\U0001d173-\U0001d17a"
    "\U000e0000-\U000e001f\U000e0080-\U000e00ff\U000e01f0-\U000e0fff"
)
_ALWAYS_DROPPED = re.compile(f"[{_INVISIBLE}]")
_SUSPICIOUS = re.compile(f"[{_INVISIBLE}{CONTEXTUAL}]")


def normalise(text: str, *, keep_tabs: bool = False) -> str:
    r"""The text as pages show it and as the plan step compares it. Normalising twice changes nothing more.

    Every line end becomes a line feed, every tab four spaces unless keep_tabs. Characters that draw nothing and change
    nothing that is drawn are removed, the rest is composed (NFC). Spaces at the ends of lines and empty lines at both
    ends of the text are removed. Lone surrogates stay, so hash with errors="surrogatepass".

    >>> normalise("\n\tcafe\u0301\u200b  \r\nnext")
    '    café\nnext'
    """
    for end in _LINE_ENDS:
        text = text.replace(end, "\n")
    if not keep_tabs:
        text = text.replace("\t", _TAB)
    if _ASCII_CONTROLS.search(text) if text.isascii() else _SUSPICIOUS.search(list_characters(text)):
        text = _drop_unseen(_ALWAYS_DROPPED.sub("", text))
    text = unicodedata.normalize("NFC", text)
    if " \n" in text or "\t\n" in text:
        text = "\n".join(line.rstrip(" \t") for line in text.split("\n"))
    return text.rstrip(" \t\n").lstrip("\n")


def collapse_blanks(text: str) -> str:
    r"""A normalised text with one blank for each run of them, and none at the beginning of a line.

    >>> collapse_blanks("  name     value\nx  1")
    'name value\nx 1'
    """
    return _BLANKS.sub(lambda run: " " if run.start() and text[run.start() - 1] != "\n" else "", text)


def is_aligned(text: str) -> bool:
    """Whether a normalised text puts words below each other by three or more blanks, as tables do."""
    return _ALIGNED.search(text) is not None


def _drop_unseen(text: str) -> str:
    """Repeated until nothing changes: what is composed, or loses a neighbour, may make another character unseen."""
    while True:
        text, before = unicodedata.normalize("NFC", drop_unseen(text, has_variant)), text
        if text == before:
            return text
