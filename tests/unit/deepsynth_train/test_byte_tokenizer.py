from functools import cache
from pathlib import Path
from typing import Any

from hypothesis import given
from hypothesis import strategies as st


@cache
def load_tokenizer() -> Any:
    from deepsynth_train.models.byte_tokenizer import build_byte_tokenizer

    return build_byte_tokenizer()


@given(st.text(alphabet=st.characters(codec="utf-8")))
def test_every_text_round_trips_as_its_bytes(text: str) -> None:
    ids = load_tokenizer()(text, add_special_tokens=False)["input_ids"]
    if not any(token in text for token in load_tokenizer().all_special_tokens):
        assert len(ids) == len(text.encode())
    assert load_tokenizer().decode(ids) == text


def test_it_comes_back_from_a_folder_as_it_was(tmp_path: Path) -> None:
    from transformers import AutoTokenizer

    load_tokenizer().save_pretrained(tmp_path)
    again = AutoTokenizer.from_pretrained(tmp_path)
    assert again("Où? <image>")["input_ids"] == load_tokenizer()("Où? <image>")["input_ids"]
    assert (again.bos_token_id, again.eos_token_id, again.pad_token_id) == (0, 1, 2)
    assert again.image_token == "<image>"
