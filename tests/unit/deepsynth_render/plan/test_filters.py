import pytest

from deepsynth_api.v1alpha1 import Filters
from deepsynth_render.plan.filters import Pair, apply_filters

TEXT = "x" * 50
SUMMARY = "y" * 10


@pytest.mark.parametrize(
    ("text", "summary", "reason"),
    [
        (None, SUMMARY, "MissingText"),
        (TEXT, None, "MissingSummary"),
        ("x" * 49, SUMMARY, "TextTooShort"),
        ("", SUMMARY, "TextTooShort"),
        ("x" * 201, SUMMARY, "TextTooLong"),
        (TEXT, "y" * 9, "SummaryTooShort"),
        (TEXT, "y" * 101, "SummaryTooLong"),
        (TEXT, "\ud800" + SUMMARY, "InvalidUnicode"),
        (TEXT + "\udfff", SUMMARY, "InvalidUnicode"),
    ],
)
def test_a_dropped_row_has_a_reason(text: str | None, summary: str | None, reason: str) -> None:
    limits = Filters(max_text_chars=200, max_summary_chars=100)
    assert apply_filters((text, summary), limits) == reason


def test_lone_surrogates_are_replaced_and_counted_if_the_spec_wants_it() -> None:
    replaced = apply_filters((TEXT + "\ud800\u0301\udfff", "\udc00" + SUMMARY), Filters(undrawable="replace"))
    assert replaced == Pair(TEXT + "\ufffd\u0301\ufffd", "\ufffd" + SUMMARY, 3)
    assert apply_filters((TEXT, SUMMARY), Filters(undrawable="replace")) == Pair(TEXT, SUMMARY)


@pytest.mark.parametrize(("text", "summary"), [("x" * 50, "y" * 10), ("x" * 200, "y" * 100)])
def test_a_text_of_exactly_the_limit_is_kept(text: str, summary: str) -> None:
    limits = Filters(max_text_chars=200, max_summary_chars=100)
    assert apply_filters((text, summary), limits) == Pair(text, summary)


def test_characters_are_counted_after_normalisation() -> None:
    padded = "\x07" * 100 + "x" * 49 + " " * 100 + "\n\n\n"
    assert apply_filters((padded, SUMMARY), Filters()) == "TextTooShort"
    assert apply_filters(("\x00\x1b" * 1000, SUMMARY), Filters()) == "TextTooShort"


def test_text_and_summary_are_normalised() -> None:
    pair = apply_filters((f"{TEXT}  \r\ncafe\u0301", f"\u200b{SUMMARY}\t!"), Filters())
    assert pair == Pair(f"{TEXT}\ncaf\u00e9", f"{SUMMARY}    !")


def test_without_limits_a_long_text_and_a_long_summary_are_kept() -> None:
    assert isinstance(apply_filters(("x" * 500_000, "y" * 5_000), Filters()), Pair)
