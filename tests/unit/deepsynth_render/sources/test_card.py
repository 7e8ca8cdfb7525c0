import pytest

from deepsynth_render.sources.card import Card, find_language, parse_card

README = """---
language:
- en
license: apache-2.0
---
# Data
"""


@pytest.mark.parametrize("readme", ["", "# No front matter", "---\n: [\n---\n", "---\n- a list\n---\n"])
def test_a_readme_without_usable_front_matter_gives_an_empty_card(readme: str) -> None:
    assert parse_card(readme) == Card()


@pytest.mark.parametrize(
    ("languages", "config", "language"),
    [(["en"], "3.0.0", "en"), (["de", "fr"], "fr", "fr"), (["de", "fr"], "all", ""), ([], None, "")],
)
def test_the_language_is_known_only_if_there_is_one(languages: list[str], config: str | None, language: str) -> None:
    assert find_language(Card(languages=languages), config) == language


def test_licence_and_language_are_read_from_the_card() -> None:
    card = parse_card(README)
    assert (card.license, card.languages) == ("apache-2.0", ["en"])
