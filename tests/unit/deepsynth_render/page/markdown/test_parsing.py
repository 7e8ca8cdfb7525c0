"""Markdown to blocks: no letter of the source is lost, drawn twice or moved."""

import pytest
from hypothesis import example, given, settings

from deepsynth_render.page.characters import normalise
from deepsynth_render.page.markdown.blocks import NOWHERE, Block, Content
from deepsynth_render.page.markdown.parsing import parse
from deepsynth_render.reporting.dropped import RefusedDocument
from unit.deepsynth_render.page.markdown.sources import list_letters, list_texts, parse_blocks, sources


@settings(max_examples=400)
@given(sources)
@example("- [x] task\n- \n1. [a]: b\n")
@example("> [ref]: url 'title'\n\n[ref]\n")
@example("|a|\n|-|\n|b|too many|\n")
@example("[text\n> more](url\n'title') `code\nspan`")
def test_all_letters_of_the_source_are_drawn_once_and_in_order(source: str) -> None:
    source = normalise(source)
    assert list_letters("".join(list_texts(parse_blocks(source)))) == list_letters(source)


@settings(max_examples=200)
@given(sources)
def test_each_drawn_character_is_the_one_at_its_origin(source: str) -> None:
    source = normalise(source)
    for block in parse_blocks(source):
        contents = [block.content, *(marker.content for marker in block.markers)]
        for content in [*contents, *(cell for row in block.rows for cell in row.cells)]:
            assert len(content.text) == len(content.origins)
            known = [origin for origin in content.origins if origin != NOWHERE]
            assert known == sorted(known)
            for character, origin in zip(content.text, content.origins, strict=True):
                stands_for = source[origin] if origin != NOWHERE and origin < len(source) else None
                assert stands_for == character or character in " \n\u2022"


@settings(max_examples=200)
@given(sources)
def test_blocks_begin_one_after_another(source: str) -> None:
    source = normalise(source)
    starts = [start for block in parse_blocks(source) for start in (block.start, *(row.start for row in block.rows))]
    assert starts == sorted(starts)


def describe(block: Block) -> str:
    containers = "".join(container.kind[0] for container in block.containers)
    return f"{containers}:{block.kind}{block.level or ''} {block.content.text}"


@pytest.mark.parametrize(
    ("source", "blocks"),
    [
        ("# A *b*\n\nB\n===\n", [":heading1 A b", ":heading1 B"]),
        ("> a\n> b\n>\n> > c", ["q:paragraph a b", "qq:paragraph c"]),
        ("- a\n  b\n  1. c\n\nd", ["l:paragraph a b", "ll:paragraph c", ":paragraph d"]),
        ("```py\nx  =  1\n\n  y\n```", [":code py\nx  =  1\n\n  y"]),
        ("    x\n      y", [":code x\n  y"]),
        ("a\\\nb\nc", [":paragraph a\nb c"]),
        ("<div>\n<b>x</b>\n</div>\n\na <br> b", [":code <div>\n<b>x</b>\n</div>", ":paragraph a <br> b"]),
        ("![alt *text*](a.png 'title')", [":paragraph ![alt *text*](a.png 'title')"]),
        ("[a](b 'c') [d][e] <http://f>\n\n[e]: g", [":paragraph a(b 'c') d[e] http://f", ":code [e]: g"]),
        ("&copy; \\* ~~s~~", [":paragraph &copy; * s"]),
        ("---\ntitle: x\n---\n\ntext", [":code ---\ntitle: x\n---", ":paragraph text"]),
        ("text\n\n***\n", [":paragraph text", ":rule "]),
        ("- [x] done\n- [ ] open", ["l:paragraph [x] done", "l:paragraph [ ] open"]),
        ("|a|\n|-|\n|b|c|\n", [":code |a|\n|-|\n|b|c|"]),
        ("`` a`b ``", [":paragraph a`b"]),
    ],
)
def test_marks_become_blocks(source: str, blocks: list[str]) -> None:
    assert [describe(block) for block in parse_blocks(normalise(source))] == blocks


def test_a_table_has_rows_of_cells_and_alignments() -> None:
    (table,) = parse_blocks("| a | **b** |\n|:-:|--:|\n| `x\\|y` | 2 \\| 3 |")
    assert [[cell.text for cell in row.cells] for row in table.rows] == [["a", "b"], ["x|y", "2 | 3"]]
    assert table.alignments == [1, 2]
    assert table.content.text == "| a | **b** |\n|:-:|--:|\n| `x\\|y` | 2 \\| 3 |"


def test_looks_follow_the_marks() -> None:
    (block,) = parse_blocks("a **b *c*** `d` [e](f) ~~g~~")
    looks = {block.content.text[start]: look for start, look in block.content.spans}
    assert looks["b"].bold
    assert (looks["c"].bold, looks["c"].italic) == (True, True)
    assert looks["d"].code
    assert looks["e"].linked
    assert not looks["("].linked
    assert looks["g"].struck


def test_numbers_of_lists_are_those_of_the_source() -> None:
    blocks = parse_blocks("3. a\n7. b\n\n- c")
    assert [marker.content.text for block in blocks for marker in block.markers] == ["3.", "7.", "\u2022"]


@pytest.mark.parametrize(
    "source",
    ["[" * 10_000, "> " * 5_000 + "x", "- " * 5_000 + "x", "*a " * 30_000, "~~a" * 20_000, "![[" * 10_000],
    ids=lambda source: source[:3],
)
def test_hostile_marks_give_few_blocks(source: str) -> None:
    blocks = parse_blocks(normalise(source))
    assert sum(len(block.markers) + 1 for block in blocks) <= 5_001


def test_a_table_that_no_number_of_pages_holds_is_refused_before_its_cells_are_read(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(Content, "_add", None)
    with pytest.raises(RefusedDocument, match="a table has 5002 lines") as caught:
        parse("|a|b|\n|-|-|\n" + "|x|y|\n" * 5_000, 1_000)
    assert caught.value.reason == "TooManyPages"
