"""Layout: columns, margins, line pitch, and which page a line belongs to."""

import numpy as np

from unit.deepsynth_render.page.page_images import PROSE, build_renderer, check_pages, decode, find_inked_columns


def test_text_stays_between_the_margins_and_out_of_the_gutter() -> None:
    pages = build_renderer(size="300x120", columns=2, marginPx=10).render(PROSE, "key")
    assert pages
    for page in pages:
        columns = find_inked_columns(page)
        assert columns[0] >= 10 - 1
        assert columns[-1] <= 290
        assert not set(columns) & set(range(150 - 6, 150 + 6))


def test_columns_run_from_right_to_left_if_most_text_does() -> None:
    renderer = build_renderer(size="300x120", columns=2, marginPx=10)
    hebrew, arabic = "\u05d0\u05d1\u05d2 \u05d3\u05d4", "\u0645\u0631\u062d\u0628\u0627"
    for text in (hebrew, f"{arabic} (abc) 12", f"abc\n{hebrew} {arabic}"):
        assert min(find_inked_columns(renderer.render(text, "key")[0])) >= 150
    for text in ("abc", f"abc {hebrew}", f"some more words\n{hebrew}"):
        assert max(find_inked_columns(renderer.render(text, "key")[0])) < 150


def test_a_line_pitch_is_the_font_size_times_the_line_height() -> None:
    page = build_renderer(fontSizesPx=[10], lineHeight="1.5").render("x\nx\nx", "key")[0]
    inked = np.flatnonzero((decode(page.png) < 255).any(axis=1))
    letter = len(inked) // 3
    assert (inked[letter:] - inked[:-letter] == 15).all()


def test_empty_lines_between_pages_take_no_room_on_the_next_one() -> None:
    small = build_renderer()
    pages = small.render("first" + "\n" * 40 + "second", "key")
    assert [page.text for page in pages] == ["first" + "\n" * 40, "second"]
    assert pages[1].png == small.render("second", "key")[0].png


def test_lines_without_ink_before_the_first_word_belong_to_the_first_page() -> None:
    small = build_renderer()
    text = "\u00a0\n\u2003\nfirst"
    pages = small.render(text, "key")
    check_pages(text, pages)
    assert [page.png for page in pages] == [page.png for page in small.render("first", "key")]
