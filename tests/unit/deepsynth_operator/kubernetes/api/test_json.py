"""Objects of users as the API server sends them."""

import json

import pytest

from deepsynth_operator.kubernetes.api.api_server import parse_json


@pytest.mark.parametrize(
    "text",
    [
        '{"a": [1, 2.5, true, null, "\\u00e9\\ud83d\\ude00"]}',
        '{"half of a surrogate pair": "\\ud83d"}',
        '{"digits": 1' + "0" * 309 + "}",
        '{"deep": ' + "[" * 500 + "]" * 500 + "}",
        '{"twice": 1, "twice": 2}',
        '{"not JSON, but what Python writes": Infinity}',
    ],
)
def test_text_that_the_slow_parser_reads_is_read_alike(text: str) -> None:
    assert parse_json(text.encode()) == json.loads(text)


@pytest.mark.parametrize("text", ["", "{", '{"a": 1}{', "<html>", '{"a": "\xff"}'])
def test_anything_else_is_an_error(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        parse_json(text.encode("latin-1"))
