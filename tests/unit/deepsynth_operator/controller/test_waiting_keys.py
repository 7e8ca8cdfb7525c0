"""Which key is next: ends first, namespaces in turn, and nobody waits forever."""

from itertools import count

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deepsynth_operator.controller.waiting_keys import Urgency, WaitingKeys

ENDING, RUNNING, NEW = Urgency


def a_line(*keys: tuple[str, Urgency]) -> WaitingKeys[str]:
    """Keys such as a/1, of namespace a."""
    waiting: WaitingKeys[str] = WaitingKeys(lambda key: key.partition("/")[0])
    for time, (key, urgency) in enumerate(keys):
        waiting.add(key, urgency, time)
    return waiting


def take_all(waiting: WaitingKeys[str]) -> list[str]:
    return [waiting.pop()[0] for _ in range(len(waiting))]


def test_an_end_does_not_wait_behind_a_thousand_creations() -> None:
    waiting = a_line(*((f"a/{number}", NEW) for number in range(1000)))
    for end in range(7):
        waiting.add(f"a/end-{end}", ENDING, 1000)
        assert "a/end" in "".join(waiting.pop()[0] for _ in range(2)), "at most one other in between"


def test_every_urgency_has_turns_while_all_wait() -> None:
    keys = [(f"a/{urgency.name}-{number}", urgency) for urgency in Urgency for number in range(7)]
    first = [key.partition("-")[0][2:] for key in take_all(a_line(*keys))[:7]]
    assert {name: first.count(name) for name in first} == {"ENDING": 4, "RUNNING": 2, "NEW": 1}


def test_namespaces_take_turns() -> None:
    keys = [*((f"a/{number}", NEW) for number in range(3)), ("b/0", NEW), ("c/0", NEW)]
    assert take_all(a_line(*keys)) == ["a/0", "b/0", "c/0", "a/1", "a/2"]


def test_a_key_waits_once_with_its_highest_urgency_since_it_was_added_first() -> None:
    waiting = a_line(("a/1", NEW), ("a/2", NEW))
    waiting.add("a/2", ENDING, 5)
    waiting.add("a/2", RUNNING, 6)
    assert (len(waiting), waiting.oldest) == (2, 0)
    assert waiting.pop() == ("a/2", 1)
    assert "a/2" not in waiting
    assert waiting.pop() == ("a/1", 0)
    assert waiting.oldest is None
    with pytest.raises(KeyError):
        waiting.pop()


@given(st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 3), st.sampled_from(Urgency)), max_size=40))
def test_every_key_gets_its_turn_exactly_once(keys: list[tuple[str, int, Urgency]]) -> None:
    waiting = a_line(*((f"{namespace}/{number}", urgency) for namespace, number, urgency in keys))
    expected = {f"{namespace}/{number}" for namespace, number, _ in keys}
    taken = take_all(waiting)
    assert (len(taken), set(taken)) == (len(expected), expected)
    assert not any(waiting._lines.values())


def test_a_new_key_is_taken_although_ends_keep_coming() -> None:
    waiting = a_line(("a/new", NEW))
    ends = count()
    for _ in range(7):
        waiting.add(f"b/{next(ends)}", ENDING, 1)
        waiting.add(f"b/{next(ends)}", ENDING, 1)
        if waiting.pop()[0] == "a/new":
            return
    raise AssertionError("starved")
