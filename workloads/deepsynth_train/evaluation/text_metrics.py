"""How close written texts are to their references. Pure.

Before anything is counted, both texts are brought into Unicode's composed form (NFC), and every run of white space
becomes one space: a page breaks its lines where it has to, not where the text does.

    reference  "The cat sat."      written  "the cat sat"
    cer  2 edits of 12 characters = 0.167        exact match  0
    wer  2 edits of  3 words      = 0.667        ROUGE        1, since it ignores case and punctuation

Chinese, Japanese, Thai, Lao, Khmer and Burmese put no spaces between words, so each of their characters is a word.
"""

import unicodedata
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from functools import cache
from typing import Any, Final, NamedTuple

import regex
from rapidfuzz.distance import LCSseq, Levenshtein

ROUGE_1: Final = "validation_rouge1"
ROUGE_L: Final = "validation_rougeL"
CER: Final = "validation_cer"
CER_SWAPPED: Final = "validation_cer_swapped"
"""Of what the model wrote for another document. If it is close to the CER, the model does not read its pages."""
WER: Final = "validation_wer"
EXACT_MATCH: Final = "validation_exact_match"

NAMES: Final[Mapping[str, Sequence[str]]] = {
    "rouge": (ROUGE_1, ROUGE_L),
    "cer": (CER,),
    "wer": (WER,),
    "exactMatch": (EXACT_MATCH,),
}
"""What each metric of spec.evaluation.metrics computes from written texts."""

_WITHOUT_SPACES: Final = "".join(
    rf"\p{{Script={name}}}" for name in ("Han", "Hiragana", "Katakana", "Thai", "Lao", "Khmer", "Myanmar")
)
_WORD: Final = regex.compile(rf"[{_WITHOUT_SPACES}]|[^\s{_WITHOUT_SPACES}]+")
_ROUGE_WORD: Final = regex.compile(rf"[{_WITHOUT_SPACES}]|(?:(?![{_WITHOUT_SPACES}])[\p{{L}}\p{{M}}\p{{N}}])+")


class Pair(NamedTuple):
    """What the model wrote for a page, and what is on it."""

    written: str
    reference: str


def compute_text_metrics(metrics: Collection[str], pairs: Sequence[Pair]) -> dict[str, float]:
    """The values of those `metrics` that need written texts, by their names on the curve."""
    compute = {
        ROUGE_1: compute_rouge_1,
        ROUGE_L: compute_rouge_l,
        CER: compute_cer,
        WER: compute_wer,
        EXACT_MATCH: compute_exact_match,
    }
    normal = [Pair(normalise(pair.written), normalise(pair.reference)) for pair in pairs]
    return {name: compute[name](normal) for metric, names in NAMES.items() if metric in metrics for name in names}


def compute_cer(pairs: Sequence[Pair]) -> float:
    """Character error rate of the whole set: all edits / all characters of the references. Above 1 for long texts."""
    return _compute_error_rate((pair.written, pair.reference) for pair in pairs)


def compute_wer(pairs: Sequence[Pair]) -> float:
    """Word error rate of the whole set: all edits / all words of the references. Case and punctuation count."""
    return _compute_error_rate((_WORD.findall(pair.written), _WORD.findall(pair.reference)) for pair in pairs)


def compute_exact_match(pairs: Sequence[Pair]) -> float:
    """The share of texts without any error, 0 to 1."""
    return sum(written == reference for written, reference in pairs) / len(pairs)


def compute_rouge_1(pairs: Sequence[Pair]) -> float:
    """Mean over the samples of the F1 of common words in any order, 0 to 1 (Lin 2004), see `_split_for_rouge`."""
    return sum(map(_score_rouge_1, pairs)) / len(pairs)


def compute_rouge_l(pairs: Sequence[Pair]) -> float:
    """Mean over the samples of the F1 of the longest common subsequence of words, 0 to 1 (Lin 2004)."""
    return sum(map(_score_rouge_l, pairs)) / len(pairs)


def normalise(text: str) -> str:
    return " ".join(unicodedata.normalize("NFC", text).split())


def _compute_error_rate(pairs: Iterable[tuple[Sequence[Any], Sequence[Any]]]) -> float:
    """Edits of the whole set / units of its references; if there are none, the number of edits."""
    edits = units = 0
    for written, reference in pairs:
        edits += Levenshtein.distance(written, reference)
        units += len(reference)
    return edits / max(1, units)


def _score_rouge_1(pair: Pair) -> float:
    written, reference = map(_split_for_rouge, pair)
    return _compute_f1((Counter(written) & Counter(reference)).total(), written, reference)


def _score_rouge_l(pair: Pair) -> float:
    written, reference = map(_split_for_rouge, pair)
    return _compute_f1(LCSseq.similarity(written, reference), written, reference)


def _compute_f1(common: int, written: Sequence[str], reference: Sequence[str]) -> float:
    return 2 * common / (len(written) + len(reference)) if common else 0.0


def _split_for_rouge(text: str) -> list[str]:
    """Lower-case words without punctuation. English words of more than 3 letters are stemmed (Porter).

    For English this equals `rouge_score` with use_stemmer=True, with which most figures are published. That package
    splits words at every letter with an accent and drops other scripts; here they are words as well.
    """
    stem = _load_stemmer().stem
    return [stem(word) if len(word) > 3 and word.isascii() else word for word in _ROUGE_WORD.findall(text.lower())]


@cache
def _load_stemmer() -> Any:
    from nltk.stem.porter import PorterStemmer

    return PorterStemmer()
