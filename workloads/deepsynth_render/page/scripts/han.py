"""Which country's forms of the Chinese characters a text is drawn in: Unicode has one code point for all of them."""

import re
from functools import cache
from typing import Literal

Han = Literal["JP", "KR", "SC", "TC"]

_KANA = re.compile("[\u3041-\u3096\u30a1-\u30fa]")
_HANGUL = re.compile("[\u1100-\u11ff\u3131-\u318e\uac00-\ud7a3]")
_IDEOGRAPH = re.compile("[\u3400-\u4dbf\u4e00-\u9fff]")


def find_han(characters: str) -> Han:
    """Japanese with kana, Korean with hangul, else traditional or simplified Chinese by the characters used.

    characters: the distinct ones of a document. A few foreign ones, such as the kana of a name, decide nothing.
    """
    ideographs = _IDEOGRAPH.findall(characters)
    if len(_KANA.findall(characters)) * 8 > len(ideographs):
        return "JP"
    if len(_HANGUL.findall(characters)) * 8 > len(ideographs):
        return "KR"
    return "TC" if sum(map(_weigh, ideographs)) > 0 else "SC"


@cache
def _weigh(ideograph: str) -> int:
    """1 for a character that only the traditional character set has, -1 for one that only the simplified set has."""
    return _is_in(ideograph, "big5") - _is_in(ideograph, "gb2312")


def _is_in(character: str, charset: str) -> bool:
    return bool(character.encode(charset, errors="ignore"))
