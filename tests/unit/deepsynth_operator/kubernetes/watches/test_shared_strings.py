"""The cache holds equal strings once, and never more strings than objects that use them plus a limit."""

import json
from typing import Any

from deepsynth_operator.kubernetes.watches.shared_strings import MAX_CHARACTERS, SharedStrings

TEXT = '{"state": "Running", "conditions": [{"type": "Complete", "status": "False"}], "step": 7, "done": null}'


def parse() -> Any:
    """Other strings each time, as in another event."""
    return json.loads(TEXT)


def test_two_objects_share_their_keys_and_short_values() -> None:
    strings = SharedStrings()
    first, second = strings.share(parse()), strings.share(parse())
    assert first == second == parse()
    assert first["state"] is second["state"]
    assert next(iter(first)) is next(iter(second))
    assert first["conditions"][0]["type"] is second["conditions"][0]["type"]


def test_long_strings_are_not_remembered() -> None:
    strings = SharedStrings()
    first = strings.share({"uri": "x" * MAX_CHARACTERS + str(1)})
    assert first["uri"] is not strings.share({"uri": "x" * MAX_CHARACTERS + str(1)})["uri"]


def test_what_users_choose_cannot_fill_the_memory() -> None:
    strings = SharedStrings(max_strings=10)
    for number in range(100):
        assert strings.share({f"key-{number}": number}) == {f"key-{number}": number}
    assert len(strings._known) <= 10
