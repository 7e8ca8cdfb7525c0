from typing import Any

import pytest

from deepsynth_render.sources.formats.messages import compose_pair, compose_text


def say(role: str, content: Any) -> dict[str, Any]:
    return {"role": role, "content": content}


@pytest.mark.parametrize(
    ("chat", "text", "summary"),
    [
        ([say("user", "t"), say("assistant", "s")], "t", "s"),
        ([say("system", "x"), say("user", "t"), say("assistant", "s")], "t", "s"),
        (
            [say("user", "a"), say("assistant", "b"), say("user", "c"), say("assistant", "s")],
            "user: a\n\nassistant: b\n\nuser: c",
            "s",
        ),
        ([say("user", "t"), say("assistant", "s"), say("user", "thanks")], "t", "s"),
        ([{"from": "human", "value": "t"}, {"from": "gpt", "value": "s"}], "t", "s"),
        (
            [say("user", [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]), say("assistant", "s")],
            "a\nb",
            "s",
        ),
        (
            [say("user", "t"), say("assistant", None), say("tool", "r"), say("assistant", "s")],
            "user: t\n\ntool: r",
            "s",
        ),
        ([say("user", "t")], "t", None),
        ([say("assistant", "s")], None, "s"),
        ([say("system", "x")], None, None),
        ([], None, None),
        (None, None, None),
        ([say("user", [{"type": "image", "text": None}]), say("assistant", "s")], None, None),
        ([say("user", 5), say("assistant", "s")], None, None),
        ([say("user", "t"), None, say("assistant", "s")], None, None),
    ],
)
def test_the_last_message_of_the_assistant_summarises_those_before_it(chat: Any, text: str, summary: str) -> None:
    assert compose_pair(chat) == (text, summary)


def test_a_whole_chat_is_a_text() -> None:
    assert compose_text([say("user", "a"), say("assistant", "b")]) == "user: a\n\nassistant: b"
    assert compose_text([say("user", "a")]) == "a"
    assert compose_text(None) is None
