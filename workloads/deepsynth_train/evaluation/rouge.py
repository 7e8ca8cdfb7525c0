"""ROUGE-1 and ROUGE-L (Lin 2004, "ROUGE: A Package for Automatic Evaluation of Summaries") as F1 over words. Pure."""

import re
from collections import Counter
from collections.abc import Sequence

_WORD = re.compile(r"\w+")


def compute_rouge_1(prediction: str, reference: str) -> float:
    """F1 of the common words in any order, 0 to 1, ignoring case."""
    predicted, expected = _split(prediction), _split(reference)
    return _f1((Counter(predicted) & Counter(expected)).total(), len(predicted), len(expected))


def compute_rouge_l(prediction: str, reference: str) -> float:
    """F1 of the longest common subsequence of words, 0 to 1, ignoring case."""
    predicted, expected = _split(prediction), _split(reference)
    return _f1(_count_common(predicted, expected), len(predicted), len(expected))


def _split(text: str) -> list[str]:
    return _WORD.findall(text.lower())


def _f1(common: int, predicted: int, expected: int) -> float:
    return 2 * common / (predicted + expected) if common else 0.0


def _count_common(left: Sequence[str], right: Sequence[str]) -> int:
    """Length of the longest common subsequence, keeping one row of the table."""
    row = [0] * (len(right) + 1)
    for word in left:
        diagonal = 0
        for column, other in enumerate(right, start=1):
            above = row[column]
            row[column] = diagonal + 1 if word == other else max(above, row[column - 1])
            diagonal = above
    return row[-1]
