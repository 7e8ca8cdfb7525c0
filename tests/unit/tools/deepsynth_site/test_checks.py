"""What must hold for each page of the built site."""

import pytest

from deepsynth_site.checks import find_faults


@pytest.mark.parametrize(
    ("html", "fault"),
    [
        ('<script src="https://cdn.example.com/a.js"></script>', "loads https://cdn.example.com/a.js"),
        ('<link rel="stylesheet" href="//fonts.example.com/a.css">', "loads //fonts.example.com/a.css"),
        ('<img src="http://example.com/a.png">', "loads http://example.com/a.png"),
        ('<pre class="mermaid">a --> b</pre>', "a drawing that a script from elsewhere would draw"),
        ("<p>In practice:\n- one</p>", "Markdown that was not rendered: '- one'"),
        ("<ul><li>one\n| a | b |</li></ul>", "Markdown that was not rendered: '| a | b |'"),
        ("<p>see [this](that.md)</p>", "Markdown that was not rendered: '](that.md)'"),
    ],
)
def test_a_fault_is_found(html: str, fault: str) -> None:
    assert find_faults(html) == [fault]


@pytest.mark.parametrize(
    "html",
    [
        '<script src="../assets/a.js"></script><a href="https://example.com">elsewhere</a>',
        '<link rel="canonical" href="https://docs.example.com/a.html">',
        "<nav><ul><li>1. Install</li></ul></nav>",
        "<p>from 1 - 2, <code>- a list</code>, 3. and 4.</p>",
    ],
)
def test_what_loads_nothing_and_is_rendered_is_fine(html: str) -> None:
    assert find_faults(html) == []
