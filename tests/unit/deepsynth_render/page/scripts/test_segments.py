"""Words and parts of words, and where a line may break between them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deepsynth_render.page.scripts.breaking import split_words
from deepsynth_render.page.scripts.han import find_han
from deepsynth_render.page.scripts.properties import split_clusters
from deepsynth_render.page.scripts.segments import HAN, NO_SPACE, RIGHT_TO_LEFT, cut_keys, split_text


@pytest.mark.parametrize(
    ("word", "parts"),
    [
        ("\u4f60\u597d\uff0c\u4e16\u754c\u3002", "\u4f60|\u597d\uff0c|\u4e16|\u754c\u3002"),
        ("\u300c\u5f15\u7528\u300d", "\u300c\u5f15|\u7528\u300d"),
        ("\u3061\u3087\u3063\u3068\u30fc", "\u3061\u3087\u3063|\u3068\u30fc"),
        ("GPT-4\u6a21\u578b3.14", "GPT-4|\u6a21|\u578b|3.14"),
        (
            "\u0e2a\u0e27\u0e31\u0e2a\u0e14\u0e35\u0e0a\u0e32\u0e27\u0e42\u0e25\u0e01",
            "\u0e2a\u0e27\u0e31\u0e2a\u0e14\u0e35|\u0e0a\u0e32\u0e27|\u0e42\u0e25\u0e01",
        ),
        (
            "\u0eaa\u0eb0\u0e9a\u0eb2\u0e8d\u0e94\u0eb5\u0e8a\u0eb2\u0ea7\u0ec2\u0ea5\u0e81",
            "\u0eaa\u0eb0\u0e9a\u0eb2\u0e8d\u0e94\u0eb5|\u0e8a\u0eb2\u0ea7\u0ec2\u0ea5\u0e81",
        ),
        (
            "\u1780\u17be\u178f\u1798\u1780\u1798\u17b6\u1793\u179f\u17c1\u179a\u17b8\u1797\u17b6\u1796",
            "\u1780\u17be\u178f\u1798\u1780|\u1798\u17b6\u1793|\u179f\u17c1\u179a\u17b8\u1797\u17b6\u1796",
        ),
        ("\u0f56\u0f7c\u0f51\u0f0b\u0f61\u0f72\u0f42\u0f0d", "\u0f56\u0f7c\u0f51\u0f0b|\u0f61\u0f72\u0f42\u0f0d"),
        ("\ua9b2\ua9a4\ua995\ua9ab\ua98f", "\ua9b2|\ua9a4|\ua995|\ua9ab|\ua98f"),
    ],
)
def test_a_line_breaks_between_words_of_a_dictionary_and_not_before_closing_marks(word: str, parts: str) -> None:
    assert split_words([word]) == [parts.split("|")]


@given(
    st.lists(
        st.text(
            "a-1\u4f60\u3002\u300c\u3087\u0e2a\u0e27\u0e31\u1780\u17be\U0001f468\u200d\ufe0f\U00020000(", min_size=1
        )
    )
)
def test_the_parts_of_words_are_the_words_and_no_cluster_is_broken(words: list[str]) -> None:
    split = split_words(words) if words else []
    assert ["".join(parts) for parts in split] == words
    for word, parts in zip(words, split, strict=True):
        ends = {len("".join(clusters)) for clusters in _prefixes(split_clusters(word))}
        assert {len("".join(prefix)) for prefix in _prefixes(parts)} <= ends


@pytest.mark.parametrize(
    "letters",
    [
        "\u1004\u103a\u1039\u1002",
        "\u1000\u1039\u100e",
        "\u1780\u17d2\u178a",
        "\u0e1e\u0e48\u0e19\u0e33",
        "\u0e81\u0eb1\u0e99\u0eb3",
    ],
)
def test_letters_that_are_drawn_as_one_are_not_separated_in_unknown_words(letters: str) -> None:
    """Alone, the second half would be drawn on a dotted circle."""
    assert split_words([letters]) == [[letters]]
    parts = split_words([letters * 3])[0]
    assert "".join(parts) == letters * 3
    assert not any(part[-1] in "\u1039\u17d2" or part[0] in "\u0e33\u0eb3" for part in parts)


def test_a_vowel_at_the_beginning_of_a_word_is_not_moved_to_the_word_before() -> None:
    assert split_words(["\u0e01\u0e01", "\u0e33", "\u1000\u1039", "\u1000"]) == [
        ["\u0e01\u0e01"],
        ["\u0e33"],
        ["\u1000\u1039"],
        ["\u1000"],
    ]


def _prefixes(parts: list[str]) -> list[list[str]]:
    return [parts[: index + 1] for index in range(len(parts))]


@pytest.mark.parametrize(
    ("text", "han"),
    [
        ("\u4eba\u4eba\u751f\u800c\u81ea\u7531", "SC"),
        ("\u5c0a\u4e25\u548c\u6743\u5229", "SC"),
        ("\u5c0a\u56b4\u548c\u6b0a\u5229", "TC"),
        ("\u4eba\u9593\u306f\u81ea\u7531", "JP"),
        ("\u5b58\u56b4 \uc874\uc5c4", "KR"),
    ],
)
def test_chinese_characters_get_the_forms_of_the_language_around_them(text: str, han: str) -> None:
    assert find_han(text) == han


def test_the_kana_of_a_name_does_not_make_a_chinese_text_japanese() -> None:
    assert find_han("\u306e" + "".join(map(chr, range(0x4E00, 0x4E20)))) != "JP"


def test_plain_text_is_cut_at_spaces_only() -> None:
    keys, directions = split_text("\u00e9t\u00e9 well-known\n\u0928\u092e\u0938\u094d\u0924\u0947  b")
    assert keys == ["\u00e9t\u00e9", "well-known", "\n", "\u0928\u092e\u0938\u094d\u0924\u0947", "", "b"]
    assert directions is None


def test_a_word_without_spaces_is_cut_into_keys_that_say_how_they_are_set() -> None:
    keys, _ = split_text("fox \u6587\u5b57\u3002")
    assert keys == ["fox", f"{HAN['SC']}\u6587{NO_SPACE}", f"{HAN['SC']}\u5b57\u3002"]


def test_a_word_is_cut_where_its_direction_changes_and_no_line_breaks_there() -> None:
    keys, directions = split_text("\u05d0\u05d1-12. \u05d2")
    r = RIGHT_TO_LEFT
    assert keys == [f"{r}\u05d0\u05d1-{NO_SPACE}", f"12{NO_SPACE}", f"{r}.", f"{r}\u05d2"]
    assert directions is not None
    assert directions.levels == [1, 2, 1, 1]
    assert directions.glued == [True, True, False, False]
    assert directions.bases == [1, 1, 1, 1]


@given(st.text("a1 -\n\u05d0\u0645\u0661(\u4f60\u3002\u0e2a\u200f\u202e\u202c", max_size=30))
def test_the_keys_joined_are_the_text(text: str) -> None:
    keys, directions = split_text(text)
    assert directions is None or {len(values) for values in directions} == {len(keys)}
    words = "".join(key if key.endswith(NO_SPACE) else key + " " for key in keys)
    plain = words.translate(dict.fromkeys(range(6)))
    expected = text.replace("\n", " \n ") + " "
    assert plain.replace(" \n ", "\n").strip(" ") == text.strip(" ") or plain == expected


@given(st.text("ab -\n\u05d0\u05d11\u6587\u3002\u0e01\u0e02", max_size=30), st.sets(st.integers(0, 30)))
def test_keys_that_are_cut_at_places_hold_the_same_text(text: str, cuts: set[int]) -> None:
    text = "\n".join(line.rstrip(" ") for line in text.split("\n")).strip("\n")
    places = sorted(place for place in cuts if place < len(text))
    keys, _ = split_text(text)
    parts = list(cut_keys(keys, places))
    assert list(dict.fromkeys(part.key_index for part in parts)) == list(range(len(keys)))
    for part in parts:
        word = part.key.strip("\x00\x01\x02\x03\x04\x05")
        assert part.key == "\n" or text[part.start :].startswith(word)
        assert not any(part.start < place < part.start + len(word) for place in places)
    for key_index, key in enumerate(keys):
        own = [part.key for part in parts if part.key_index == key_index]
        assert own[-1].endswith("\x00") == key.endswith("\x00")
        assert "".join(part.strip("\x00\x01\x02\x03\x04\x05") for part in own) == key.strip("\x00\x01\x02\x03\x04\x05")
