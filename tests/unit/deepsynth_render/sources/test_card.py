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
    [
        (["en"], "3.0.0", "en"),
        (["de", "fr"], "fr", "fr"),
        (["de", "fr"], "all", ""),
        (["ar", "zh"], "chinese_simplified", "zh"),
        (["de", "fr"], "turkish", ""),
        ([], None, ""),
    ],
)
def test_the_language_is_known_only_if_there_is_one(languages: list[str], config: str | None, language: str) -> None:
    assert find_language(Card(languages=languages), config) == language


def test_licence_and_language_are_read_from_the_card() -> None:
    card = parse_card(README)
    assert (card.license, card.languages) == ("apache-2.0", ["en"])


def test_a_byte_order_mark_does_not_hide_the_card() -> None:
    assert parse_card(f"\ufeff{README}") == parse_card(README)


@pytest.mark.parametrize("code", ["no", "on", "y", "en", "1e3"])
def test_the_code_of_a_language_is_text(code: str) -> None:
    assert parse_card(f"---\nlanguage: {code}\n---\n").languages == [code]
    assert parse_card(f"---\nlanguage:\n- {code}\n- de\n---\n").languages == [code, "de"]


@pytest.mark.parametrize("value", ["", "null", "~", "[]", "{a: b}", "[[no]]"])
def test_no_language_is_not_the_name_of_one(value: str) -> None:
    assert parse_card(f"---\nlanguage: {value}\n---\n").languages == []


def test_names_that_look_like_numbers_or_dates_are_kept_as_they_are() -> None:
    configs = "- {config_name: 2024-01-01, default: false, data_files: [{split: 007, path: 1_0.csv}]}"
    (config,) = parse_card(f"---\nconfigs:\n{configs}\n---\n").configs
    assert (config.name, config.is_default, config.patterns) == ("2024-01-01", False, {"007": ["1_0.csv"]})


def test_nested_aliases_and_brackets_in_a_card_cost_no_memory() -> None:
    bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n"
    bomb += "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 9))
    assert parse_card(f"---\n{bomb}language: *a8\nlicense: *a8\n---\n").languages == []
    assert parse_card(f"---\nlanguage: {'[' * 10_000}\n---\n") == Card()
