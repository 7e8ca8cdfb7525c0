"""Random Markdown: pieces of marks and text in any order, most of it broken."""

import string

from hypothesis import strategies as st

from deepsynth_render.page.markdown.blocks import Block
from deepsynth_render.page.markdown.parsing import parse

MARKS = [
    *(
        "# ",
        "###### ",
        "- ",
        "* ",
        "+ ",
        "1. ",
        "20) ",
        "> ",
        "    ",
        "  ",
        "`",
        "``",
        "```",
        "~~~",
        "```py\n",
        "**",
        "*",
    ),
    *("_", "~~", "[", "]", "(", ")", "](u)", "[x] ", "[ ]", "[ref]", "[ref]: u 't'", "![", "|", "|-|", "| a | b |\n"),
    *(
        "|:-:|--|\n",
        "|a|b|c|\n",
        "\\",
        "\\|",
        "&amp;",
        "<b>",
        "</b>",
        "<!--",
        "-->",
        "<http://x.y>",
        "---",
        "***",
        "===",
    ),
    *("<div>", "title: x\n", "!", "\n", "\n", "\n\n", "\n\n"),
]
WORDS = [
    *("word ", "two words ", "verylongword" * 6, "na\u00efve ", "\u05e9\u05dc\u05d5\u05dd ", "\u0628\u0640\u0628 12 "),
    *(
        "\u6587\u5b57\u3002",
        "\u0e01\u0e32\u0e23\u0e17\u0e14",
        "\u0939\u093f\u0928\u094d ",
        "\U0001f468\u200d\U0001f469",
    ),
    *("\u00a0", "several words that fill lines " * 3),
]
sources = st.lists(st.sampled_from(MARKS + WORDS), max_size=50).map("".join)

_SIGNS = frozenset(string.punctuation + string.whitespace + "\u2022")


def list_letters(text: str) -> str:
    """All characters but ASCII punctuation, blanks and bullets, which marks may consist of."""
    return "".join(character for character in text if character not in _SIGNS)


def parse_blocks(source: str) -> list[Block]:
    return parse(source, 10**6)


def list_texts(blocks: list[Block]) -> list[str]:
    """What is drawn, in reading order."""
    return [text for block in blocks for text in _list_block(block)]


def _list_block(block: Block) -> list[str]:
    cells = [cell.text for row in block.rows for cell in row.cells]
    return [*(marker.content.text for marker in block.markers), *(cells or [block.content.text])]
