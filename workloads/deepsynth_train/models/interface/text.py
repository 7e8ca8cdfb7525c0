"""Labels and prompts -> token ids, in which the name of a special token is text like any other.

    "see <image> 2"     [.., 60, 105, 109, 97, 103, 101, 62, ..]    and never [.., image token, ..]

A special token made by a label would end the text early, or promise the model a page that is not there. Families write
their special tokens as ids, and encode all text with `encode_texts`.
"""

import os
import re
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final

_LOCK: Final = threading.Lock()
"""Fast tokenizers change a setting of their backend for this, which fails while another thread uses them."""
_PARALLELISM: Final = "TOKENIZERS_PARALLELISM"
"""The library reads it at each call."""
_PREFIXES: Final = ("0", ".", "\n")
"""Characters that few tokens begin with and continue."""


def find_special_ids(tokenizer: Any, config: Any) -> frozenset[int]:
    """Ids that text must not become: those of the tokenizer, and those that the model's configuration names."""
    ids = set(tokenizer.all_special_ids)
    ids |= {number for number, token in tokenizer.added_tokens_decoder.items() if token.special}
    for name, value in vars(config).items():
        if name.endswith(("_token_id", "_token_index")) and type(value) is int and value >= 0:
            ids.add(value)
    # Some vocabularies write rare characters as <unk>; that is text. In others <unk> is also EOS.
    others = {getattr(tokenizer, f"{role}_token_id", None) for role in ("bos", "eos", "pad", "image")}
    return frozenset(ids - ({tokenizer.unk_token_id} - others))


def encode_texts(tokenizer: Any, special: frozenset[int], texts: Sequence[str]) -> list[list[int]]:
    """Token ids of each text, without special tokens. special: see `find_special_ids`."""
    if not texts:
        return []
    encoded = _encode(tokenizer, list(texts))
    return [
        ids if special.isdisjoint(ids) else _encode_in_pieces(tokenizer, special, text)
        for ids, text in zip(encoded, texts, strict=True)
    ]


def count_tokens(tokenizer: Any, special: frozenset[int], texts: Sequence[str]) -> list[int]:
    """How many ids `encode_texts` returns for each text. Uses all cores, so the other processes of the node must wait.

    A core takes a millisecond for a page of text, and there may be millions of pages before the first step.
    """
    with _on_all_cores():
        return [len(ids) for ids in encode_texts(tokenizer, special, texts)]


def encode_text(tokenizer: Any, special: frozenset[int], text: str) -> list[int]:
    return encode_texts(tokenizer, special, [text])[0]


@contextmanager
def _on_all_cores() -> Iterator[None]:
    """Workers have one thread each by default (launcher/topology.py)."""
    before = os.environ.get(_PARALLELISM)
    os.environ[_PARALLELISM] = "true"
    try:
        yield
    finally:
        if before is None:
            del os.environ[_PARALLELISM]
        else:
            os.environ[_PARALLELISM] = before


def _encode(tokenizer: Any, texts: list[str]) -> list[list[int]]:
    options = {"return_attention_mask": False, "return_token_type_ids": False, "split_special_tokens": True}
    if "MistralCommon" in type(tokenizer).__name__:  # never makes special tokens from text, and refuses arguments
        options = {}
    with _LOCK:
        return [list(ids) for ids in tokenizer(texts, add_special_tokens=False, **options)["input_ids"]]


def _encode_in_pieces(tokenizer: Any, special: frozenset[int], text: str) -> list[int]:
    """For tokenizers whose vocabulary holds special tokens as ordinary words: cut their names after the first letter.

    "a</s>b" -> "a<", "/s>b"
    """
    names = sorted((str(tokenizer.convert_ids_to_tokens(number)) for number in special), key=len, reverse=True)
    pattern = "|".join(re.escape(name) for name in names)
    cuts = [match.start() + 1 for match in re.finditer(f"(?=({pattern}))", text, re.IGNORECASE)]
    ends = zip([0, *cuts], [*cuts, len(text)], strict=True)
    first, *others = [text[start:stop] for start, stop in ends]
    ids = _encode(tokenizer, [first])[0]
    for piece in others:
        ids += _encode_after(tokenizer, piece)
    return [number for number in ids if number not in special]


def _encode_after(tokenizer: Any, piece: str) -> list[int]:
    """Token ids of a piece that follows other text: without the space that some tokenizers put in front."""
    for prefix in _PREFIXES:
        before, both = _encode(tokenizer, [prefix, prefix + piece])
        if both[: len(before)] == before:
            return both[len(before) :]
    return _encode(tokenizer, [piece])[0]
