import pytest

from deepsynth_api.reasons import Reason
from deepsynth_render.page.fallback import find_undrawable
from deepsynth_render.plan.undrawable import MAX_LISTED, UndrawableTally, find_refusal


def test_documents_are_counted_and_not_characters() -> None:
    tally = UndrawableTally()
    for text in ("plain text, café, 中文", "an icon \ue000 in a header, \ue000 twice", "\ue000 and \ue001"):
        tally.add(find_undrawable(text))
    found = tally.summarise()
    assert found is not None
    assert found.documents == 2
    assert [(entry.script, entry.documents) for entry in found.scripts] == [("Zzzz", 2)]
    listed = [(entry.character, entry.documents) for entry in found.characters]
    assert listed == [("U+E000 (no name)", 2), ("U+E001 (no name)", 1)]


def test_only_the_characters_that_cost_most_documents_are_listed() -> None:
    tally = UndrawableTally()
    for number in range(30):
        for _ in range(number + 1):
            tally.add(chr(0xE000 + number))
    found = tally.summarise()
    assert found is not None
    assert [entry.documents for entry in found.characters] == list(range(30, 30 - MAX_LISTED, -1))


def test_without_such_characters_there_is_nothing_to_show() -> None:
    assert UndrawableTally().summarise() is None


@pytest.mark.parametrize(("text", "reason"), [("\ue000", "UnsupportedScript"), ("\U00017000", "UnsupportedScript")])
def test_the_refusal_is_that_of_the_renderer(text: str, reason: Reason) -> None:
    assert find_refusal(text) == reason
