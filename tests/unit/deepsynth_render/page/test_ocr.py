"""Tesseract reads pages in 33 languages: an engine that learned scripts from other pictures finds the text in ours."""

import shutil
import subprocess
import unicodedata
from typing import Final

import pytest
from rapidfuzz.distance import Levenshtein

from unit.deepsynth_render.page.page_images import build_renderer
from unit.deepsynth_render.page.test_every_script import ARTICLES

pytestmark = pytest.mark.slow

NAMES: Final = {
    "aii": "syr", "bo": "bod", "iu": "iku",
    "am": "amh", "ar": "ara", "bn": "ben", "el": "ell", "en": "eng", "fa": "fas", "gu": "guj", "he": "heb",
    "hi": "hin", "hy": "hye", "ja": "jpn", "ka": "kat", "km": "khm", "kn": "kan", "ko": "kor", "lo": "lao",
    "ml": "mal", "my": "mya", "or": "ori", "pa": "pan", "ru": "rus", "si": "sin", "ta": "tam", "te": "tel",
    "th": "tha", "tr": "tur", "ur": "urd", "vi": "vie", "zh": "chi_sim", "zh-TW": "chi_tra",
}  # fmt: skip
"""As Tesseract calls the languages."""
NOT_LEARNED: Final = frozenset({"blt", "ccp", "chr", "dv", "ff", "ii", "jv", "khb", "mn", "sa", "vai", "zgh"})
"""Tesseract has no data for their scripts, for Cherokee only of capital letters, and its data for Divehi read
nothing of Chromium's picture either.
"""
WEAK: Final = {"aii": 0.04, "am": 0.06, "bo": 0.3, "km": 0.06, "lo": 0.12, "my": 0.4, "or": 0.12}
"""Character error rates where Tesseract 5.3 makes as many mistakes in Chromium's picture of the same text and font:
0.036, 0.042, 0.083, 0.365 and 0.065, in Syriac (aii) 0.031. Of the Tibetan page (bo) it skips one line.
"""
MAX_ERROR_RATE: Final = 0.02


def test_every_language_of_the_samples_is_read() -> None:
    assert NAMES.keys() == ARTICLES.keys() - NOT_LEARNED - {"emoji", "mixed"}


@pytest.mark.parametrize("language", NAMES)
def test_a_page_is_read(language: str) -> None:
    require(NAMES[language])
    _, text = ARTICLES[language]
    settings = {"size": "1000x500", "fontSizesPx": [32], "lineHeight": "1.6", "marginPx": 30}
    (page,) = build_renderer(**settings).render(text, "key")
    command = ["tesseract", "stdin", "stdout", "-l", NAMES[language], "--psm", "6"]
    found = subprocess.run(command, input=page.png, capture_output=True, check=True).stdout.decode()
    expected = keep_visible(text)
    rate = Levenshtein.distance(expected, keep_visible(found)) / len(expected)
    assert rate <= WEAK.get(language, MAX_ERROR_RATE), found


def require(name: str) -> None:
    if shutil.which("tesseract") is None:
        pytest.skip("needs Tesseract (Debian: apt-get install tesseract-ocr)")
    listed = subprocess.run(["tesseract", "--list-langs"], capture_output=True, text=True, check=True).stdout
    if name not in listed.split():
        package = f"tesseract-ocr-{name.replace('_', '-')}"
        pytest.skip(f"needs Tesseract's data for {name} (Debian: apt-get install {package})")


def keep_visible(text: str) -> str:
    """Without what a picture does not show: blanks, joiners, marks of direction, forms for compatibility."""
    composed = unicodedata.normalize("NFKC", text)
    return "".join(c for c in composed if not c.isspace() and unicodedata.category(c) != "Cf")
