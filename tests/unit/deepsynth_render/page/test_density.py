"""How much text a page holds, in words and in estimated tokens."""

from hypothesis import given
from hypothesis import strategies as st

from deepsynth_render.page.density import estimate_image_tokens, estimate_text_tokens, measure_in_python, measure_text


@given(st.text(st.sampled_from("ab\u00e9\u4eba\ud83d \n")))
def test_words_are_counted_as_python_splits_them(text: str) -> None:
    assert (
        measure_text(text) == measure_in_python(text) == (len(text.split()), len(text.encode(errors="surrogatepass")))
    )


def test_a_text_token_is_four_bytes() -> None:
    assert [estimate_text_tokens(text) for text in ("", "a", "abcd", "abcde", "\u4eba\u4eba")] == [0, 1, 1, 2, 2]


def test_an_image_token_is_a_square_of_64_pixels() -> None:
    assert [estimate_image_tokens(*size) for size in ((1024, 1024), (640, 640), (595, 842), (1, 1))] == [
        256,
        100,
        140,
        1,
    ]
