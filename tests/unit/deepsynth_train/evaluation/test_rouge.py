import pytest

from deepsynth_train.evaluation.rouge import compute_rouge_1, compute_rouge_l


def test_equal_texts_score_one_and_different_ones_zero() -> None:
    assert compute_rouge_l("The cat sat.", "the cat sat") == 1
    assert compute_rouge_1("dog", "cat") == compute_rouge_l("", "cat") == 0


def test_the_example_of_the_paper() -> None:
    reference = "police killed the gunman"
    assert compute_rouge_l("police kill the gunman", reference) == pytest.approx(3 / 4)
    assert compute_rouge_l("the gunman kill police", reference) == pytest.approx(2 / 4)
    assert compute_rouge_1("the gunman kill police", reference) == pytest.approx(3 / 4)


def test_a_repeated_word_counts_as_often_as_the_reference_has_it() -> None:
    assert compute_rouge_1("the the the", "the cat") == pytest.approx(2 / 5)
