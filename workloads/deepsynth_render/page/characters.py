"""The characters of a document: how text is normalised, and which scripts are drawn."""

import re
import unicodedata
from functools import cache

from deepsynth_api.reasons import Reason
from deepsynth_render.reporting.dropped import RefusedDocument

SCRIPTS = frozenset({"Latn", "Grek", "Cyrl", "Zyyy", "Zinh"})
"""ISO 15924 codes of the scripts that are drawn: Latin, Greek, Cyrillic, and characters that scripts share."""
_SCRIPT_NAMES = "Latin, Greek, Cyrillic and common characters"

_TAB = " " * 4
_ASCII = frozenset(map(chr, range(0x20, 0x7F))) | {"\n"}
_LINE_ENDS = re.compile("\r\n|[\r\v\f\x85\u2028\u2029]")
# Control characters and Unicode's default ignorables (joiners, soft hyphens, direction marks, variation selectors,
# tags) draw nothing in the scripts above, so a page cannot show whether the text contains them.
_INVISIBLE = re.compile(
    "[\x00-\x09\x0e-\x1f\x7f-\x9f\u00ad\u034f\u061c\u180b-\u180f\u200b-\u200f\u202a-\u202e"
    "\u2060-\u206f\ufe00-\ufe0f\ufeff\ufff9-\ufffb\U000e0000-\U000e0fff]"
)


def normalise(text: str) -> str:
    r"""The text as pages show it and as the plan step compares it. Normalising twice changes nothing more.

    Every line end becomes a line feed, every tab four spaces. Characters that draw nothing are removed, the rest is
    composed (NFC). Spaces at the ends of lines and empty lines at both ends of the text are removed. Lone surrogates
    stay, so hash with errors="surrogatepass".

    >>> normalise("\n\tcafe\u0301\u200b  \r\nnext")
    '    café\nnext'
    """
    text = _LINE_ENDS.sub("\n", text).replace("\t", _TAB)
    text = unicodedata.normalize("NFC", _INVISIBLE.sub("", text))
    return "\n".join(line.rstrip(" ") for line in text.split("\n")).strip("\n")


def check_scripts(text: str) -> None:
    """Raise RefusedDocument(Reason.UNSUPPORTED_SCRIPT) for the first character of another script. text: normalised."""
    unsupported = {character for character in set(text) - _ASCII if find_script(character) not in SCRIPTS}
    if unsupported:
        character = min(unsupported, key=text.index)
        script = find_script(character)
        raise RefusedDocument(
            Reason.UNSUPPORTED_SCRIPT, f"{describe(character)} is of script {script}; supported are {_SCRIPT_NAMES}"
        )


def describe(character: str) -> str:
    """A name for messages, such as U+00E9 LATIN SMALL LETTER E WITH ACUTE."""
    return f"U+{ord(character):04X} {unicodedata.name(character, '(no name)')}"


@cache
def find_script(character: str) -> str:
    """ISO 15924 code of a character's script; Zzzz for characters that are private or not assigned."""
    from fontTools.unicodedata import script

    return str(script(character))
