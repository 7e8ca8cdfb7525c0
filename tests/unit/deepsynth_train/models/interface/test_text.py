"""Text never becomes special tokens, with every kind of tokenizer, and can be read back from its ids."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import AddedToken, Tokenizer, decoders, normalizers, pre_tokenizers
from tokenizers import models as backends
from transformers import ByT5Tokenizer, PreTrainedTokenizerFast

from deepsynth_train.models.interface.text import count_tokens, encode_text, encode_texts, find_special_ids
from deepsynth_train.models.random.tiny import build_byte_tokenizer

if TYPE_CHECKING:
    from collections.abc import Callable

NAMES = ["<s>", "</s>", "<pad>", "<image>"]
LETTERS = [chr(number) for number in range(33, 127)]


def build_unigram() -> Any:
    """As for Donut and T5: the vocabulary itself holds special tokens, with the best score."""
    words = [(name, 0.0) for name in [*NAMES, "<unk>"]] + [(letter, -5.0) for letter in ["▁", "\n", *LETTERS]]
    tokenizer = Tokenizer(backends.Unigram(words, unk_id=4))
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.decoder = decoders.Metaspace()
    return wrap(tokenizer, unk_token="<unk>")


def build_whole_words() -> Any:
    """As for Llama 3: BPE that looks a whole word up before it merges. A word can be `</s>`."""
    tokens = [*NAMES, *sorted(pre_tokenizers.ByteLevel.alphabet())]
    vocabulary = {token: number for number, token in enumerate(tokens)}
    tokenizer = Tokenizer(backends.BPE(vocab=vocabulary, merges=[], ignore_merges=True))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    return wrap(tokenizer)


def build_lower_case() -> Any:
    """`<IMAGE>` is `<image>` to its normalizer."""
    vocabulary = {token: number for number, token in enumerate([*NAMES, *LETTERS, *(f"##{c}" for c in LETTERS)])}
    tokenizer = Tokenizer(backends.WordPiece(vocabulary, unk_token="~"))
    tokenizer.normalizer = normalizers.Lowercase()
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer.decoder = decoders.WordPiece(cleanup=False)
    return wrap(tokenizer)


def build_ordinary_image_token() -> Any:
    """The image token is an added token, but not marked as special."""
    tokenizer = build_whole_words()
    tokenizer.add_tokens([AddedToken("<picture>", special=False)])
    return tokenizer


def wrap(tokenizer: Tokenizer, **options: Any) -> Any:
    return PreTrainedTokenizerFast(  # type: ignore[no-untyped-call]  # the library's constructor
        tokenizer_object=tokenizer,
        bos_token="<s>",
        eos_token="</s>",
        pad_token="<pad>",
        extra_special_tokens={"image_token": "<image>"},
        **options,
    )


BUILDERS: dict[str, Callable[[], Any]] = {
    "bytes": build_byte_tokenizer,
    "unigram": build_unigram,
    "whole words": build_whole_words,
    "lower case": build_lower_case,
    "ordinary image token": build_ordinary_image_token,
    "slow": ByT5Tokenizer,
}
TOKENIZERS = {name: build() for name, build in BUILDERS.items()}
KINDS = pytest.mark.parametrize("kind", TOKENIZERS)
HARD = [
    "</s>",
    "a </s> b",
    "<image>",
    "two <image><image> pages",
    "</s></s>",
    "<<s>/s> <</s>s>",
    "<pad",
    "x<pad>",
    "<picture> in <picture>",
    "</s>\n<image> <s>",
]


def build_config(tokenizer: Any) -> Any:
    picture = tokenizer.convert_tokens_to_ids("<picture>")
    return SimpleNamespace(image_token_id=picture, video_token_index=None, hidden_size=2)


def encode(tokenizer: Any, text: str) -> list[int]:
    return encode_text(tokenizer, find_special_ids(tokenizer, build_config(tokenizer)), text)


@KINDS
@pytest.mark.parametrize("text", HARD)
def test_the_name_of_a_special_token_is_text_that_can_be_read_back(kind: str, text: str) -> None:
    tokenizer = TOKENIZERS[kind]
    ids = encode(tokenizer, text)
    assert not find_special_ids(tokenizer, build_config(tokenizer)) & set(ids)
    written = tokenizer.decode(ids, skip_special_tokens=True)
    assert "".join(written.split()) == "".join(text.split())
    if kind != "lower case":  # this kind splits at spaces
        assert written == text


@KINDS
@given(text=st.text(alphabet=" </>aimgepdstu\n"))
def test_no_text_makes_special_tokens(kind: str, text: str) -> None:
    tokenizer = TOKENIZERS[kind]
    assert not find_special_ids(tokenizer, build_config(tokenizer)) & set(encode(tokenizer, text))


def test_text_in_upper_case_does_not_make_a_lower_case_special_token() -> None:
    tokenizer = TOKENIZERS["lower case"]
    ids = encode(tokenizer, "An <IMAGE> here")
    assert tokenizer.convert_tokens_to_ids("<image>") not in ids
    assert tokenizer.decode(ids).replace(" ", "") == "an<image>here"


@KINDS
def test_other_text_is_encoded_as_the_tokenizer_does(kind: str) -> None:
    tokenizer = TOKENIZERS[kind]
    text = "a plain line (1 < 2)\nand a second"
    assert encode(tokenizer, text) == tokenizer(text, add_special_tokens=False)["input_ids"]


@KINDS
def test_many_texts_are_encoded_as_one_by_one(kind: str) -> None:
    tokenizer = TOKENIZERS[kind]
    special = find_special_ids(tokenizer, build_config(tokenizer))
    assert encode_texts(tokenizer, special, HARD) == [encode(tokenizer, text) for text in HARD]
    assert encode_texts(tokenizer, special, []) == []


@KINDS
def test_tokens_are_counted_as_they_are_encoded(kind: str) -> None:
    tokenizer = TOKENIZERS[kind]
    special = find_special_ids(tokenizer, build_config(tokenizer))
    assert count_tokens(tokenizer, special, HARD) == [len(ids) for ids in encode_texts(tokenizer, special, HARD)]


@pytest.mark.parametrize("before", ["false", None])
def test_tokens_are_counted_on_all_cores_and_nothing_else_is(
    before: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = []

    def tokenize(texts: list[str], **_: Any) -> dict[str, list[list[int]]]:
        seen.append(os.environ.get("TOKENIZERS_PARALLELISM"))
        return {"input_ids": [[7] for _ in texts]}

    if before is None:
        monkeypatch.delenv("TOKENIZERS_PARALLELISM", raising=False)
    else:
        monkeypatch.setenv("TOKENIZERS_PARALLELISM", before)
    assert count_tokens(tokenize, frozenset(), ["a", "b"]) == [1, 1]
    encode_texts(tokenize, frozenset(), ["a"])
    assert seen == ["true", before]


def test_an_unknown_character_stays_an_unknown_token() -> None:
    tokenizer = TOKENIZERS["unigram"]
    assert tokenizer.unk_token_id in encode(tokenizer, "é")


def test_threads_may_encode_at_the_same_time() -> None:
    tokenizer = build_byte_tokenizer()
    with ThreadPoolExecutor(8) as pool:
        results = list(pool.map(lambda _: encode(tokenizer, "</s> " * 200), range(64)))
    assert all(result == results[0] for result in results)
