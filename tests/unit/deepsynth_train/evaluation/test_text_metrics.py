import pytest

from deepsynth_train.evaluation.text_metrics import (
    CER,
    EXACT_MATCH,
    ROUGE_1,
    ROUGE_L,
    WER,
    Pair,
    compute_cer,
    compute_rouge_1,
    compute_rouge_l,
    compute_text_metrics,
    compute_wer,
)

ALL = ["loss", "rouge", "cer", "wer", "exactMatch"]


def test_the_example_of_the_docstring() -> None:
    values = compute_text_metrics(ALL, [Pair("the cat sat", "The cat sat.")])
    assert values == {ROUGE_1: 1, ROUGE_L: 1, CER: pytest.approx(2 / 12), WER: pytest.approx(2 / 3), EXACT_MATCH: 0}


def test_only_the_metrics_that_were_asked_for_are_computed() -> None:
    assert compute_text_metrics(["loss", "cer"], [Pair("a", "a")]) == {CER: 0}
    assert compute_text_metrics(["loss"], [Pair("a", "a")]) == {}


def test_error_rates_are_those_of_the_whole_set_not_means_of_samples() -> None:
    pairs = [Pair("xy", "ab"), Pair("a b c d e f", "a b c d e f")]
    assert compute_cer(pairs) == pytest.approx(2 / 13)
    assert compute_wer(pairs) == pytest.approx(1 / 7)


def test_too_long_a_text_counts_more_than_one() -> None:
    assert compute_cer([Pair("aaaa", "a")]) == 3


def test_an_empty_reference_counts_the_edits() -> None:
    assert compute_cer([Pair("abc", "")]) == 3
    assert compute_wer([Pair("", "")]) == 0


def test_line_breaks_and_ways_to_encode_an_accent_are_no_errors() -> None:
    values = compute_text_metrics(ALL, [Pair("un café\nnoir ", "un  cafe\u0301 noir")])
    assert values == {ROUGE_1: 1, ROUGE_L: 1, CER: 0, WER: 0, EXACT_MATCH: 1}


def test_without_spaces_between_words_each_character_is_one() -> None:
    assert compute_wer([Pair("\u6211\u662f\u732b OK", "\u6211\u662f\u72d7 OK")]) == pytest.approx(1 / 4)
    assert compute_rouge_l([Pair("\u6211\u662f\u732b", "\u6211\u662f\u72d7")]) == pytest.approx(2 / 3)


def test_a_word_of_any_script_is_one_word() -> None:
    hindi = Pair(
        "\u0939\u093f\u0928\u094d\u0926\u0940", "\u0939\u093f\u0928\u094d\u0926\u0940 \u092d\u093e\u0937\u093e"
    )
    assert compute_rouge_1([hindi]) == pytest.approx(2 / 3)


@pytest.mark.parametrize(
    ("written", "reference", "rouge_1", "rouge_l"),
    [
        ("police kill the gunman", "police killed the gunman", 1, 1),
        ("the gunman kill police", "police killed the gunman", 1, 0.5),
        ("the the the", "the cat", 0.4, 0.4),
        (
            "a flying dog tie is generous and agrees sky died; analogies for 35 owning houses",
            "The Flying dogs' ties were generously agreed: skies dying, analogy of 3.5 owned-houses.",
            0.6666666666666666,
            0.6666666666666666,
        ),
        ("", "cat", 0, 0),
    ],
)
def test_rouge_equals_what_the_package_rouge_score_computes(
    written: str, reference: str, rouge_1: float, rouge_l: float
) -> None:
    """The figures are those of rouge-score 0.1.2 with use_stemmer=True."""
    pair = [Pair(written, reference)]
    assert (compute_rouge_1(pair), compute_rouge_l(pair)) == pytest.approx((rouge_1, rouge_l))
