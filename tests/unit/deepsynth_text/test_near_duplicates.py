import pytest

from deepsynth_text.near_duplicates import NearDuplicates, list_groups, sign


def build_text(number: int, words: int = 400) -> str:
    return " ".join(f"w{number}x{word}" for word in range(words))


@pytest.mark.parametrize(
    ("percent", "changed", "is_new"), [(80, 4, False), (80, 40, True), (95, 4, True), (50, 20, False)]
)
def test_a_text_with_few_other_words_is_dropped(percent: int, changed: int, is_new: bool) -> None:
    """A changed word changes five groups: 4 of 400 words leave 90 % in common, 20 leave 60 %, 40 leave 33 %."""
    near = NearDuplicates(percent)
    assert near.add(sign(build_text(1)), 1)
    words = build_text(1).split()
    for place in range(changed):
        words[place * len(words) // changed] = f"other{place}"
    assert near.add(sign(" ".join(words)), 2) == is_new


def test_punctuation_and_line_ends_do_not_make_a_text_new() -> None:
    near = NearDuplicates(90)
    assert near.add(sign(build_text(1)), 1)
    assert not near.add(sign(build_text(1).replace(" ", ",\n")), 2)
    assert near.add(sign(build_text(2)), 3)


def test_texts_without_blanks_are_compared_by_characters() -> None:
    near = NearDuplicates(80)
    text = "".join(chr(0x4E00 + number) for number in range(600))
    assert near.add(sign(text), 1)
    assert not near.add(sign(text[:300] + "\u9999" + text[300:]), 2)
    assert near.add(sign(text[::-1]), 3)


def test_texts_without_words_are_compared_by_their_signs() -> None:
    near = NearDuplicates(80)
    texts = ["\U0001f600 \U0001f642", "*** ***", "\U0001f600 \U0001f62d", "*** ***\n"]
    assert [near.add(sign(text), number) for number, text in enumerate(texts)] == [True, True, True, False]


@pytest.mark.parametrize(
    ("text", "groups"), [("", [""]), ("a b", ["a b"]), ("a b c d e f", ["a b c d e", "b c d e f"])]
)
def test_short_texts_are_one_group(text: str, groups: list[str]) -> None:
    assert list_groups(text) == groups


def test_the_choice_is_the_same_on_every_machine() -> None:
    """Signatures must not depend on hashes that differ from process to process."""
    assert sign("a b").tolist()[:3] == [3798432316, 3798702182, 3800602920]
