from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deepsynth_train.models.random.tiny import build_byte_tokenizer


@pytest.fixture(scope="module")
def tokenizer() -> Any:
    return build_byte_tokenizer()


@given(text=st.text(alphabet=st.characters(codec="utf-8")))
def test_every_text_round_trips_as_its_bytes(tokenizer: Any, text: str) -> None:
    ids = tokenizer(text, add_special_tokens=False)["input_ids"]
    if not any(token in text for token in tokenizer.all_special_tokens):
        assert len(ids) == len(text.encode())
    assert tokenizer.decode(ids) == text


def test_a_saved_tokenizer_loads_unchanged(tokenizer: Any, tmp_path: Path) -> None:
    from transformers import AutoTokenizer

    tokenizer.save_pretrained(tmp_path)
    again = AutoTokenizer.from_pretrained(tmp_path)
    assert again("Où? <image>")["input_ids"] == tokenizer("Où? <image>")["input_ids"]
    assert (again.bos_token_id, again.eos_token_id, again.pad_token_id) == (0, 1, 2)
    assert again.image_token == "<image>"
