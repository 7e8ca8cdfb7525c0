"""Columns of messages, as datasets of chats have them: a list of messages becomes a text and a summary.

    [{role: system, content: Be brief.},          skipped
     {role: user, content: A long report ...},    the text: all messages before the last one of the assistant
     {role: assistant, content: In short ...}]    the summary: the last message of the assistant

{from: human, value: ...} is read like {role: user, content: ...}. Several messages of a text are paragraphs that begin
with their roles: "user: ...". If the summary is in a column of its own, the text is the whole chat, and a summary may
be messages too, such as `completion` next to `prompt`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from deepsynth_render.sources.formats.row import Row

CHAT_NAMES: Final = ("messages", "conversations", "conversation")
"""Usual names of the column, the first that is found."""
KEYS: Final = (("role", "content"), ("from", "value"))
_ASSISTANT: Final = frozenset({"assistant", "gpt", "model", "bot", "chatgpt"})
_TEXTS: Final = frozenset({"text", "input_text", "output_text"})
"""Types of the parts of a message that are text."""
_SYSTEM: Final = frozenset({"system", "developer"})


@dataclass(frozen=True)
class _Turn:
    role: str
    content: str


def is_chat(value: Any) -> bool:
    """Whether a cell holds messages; an empty list may."""
    return isinstance(value, list) and all(_find_keys(message) for message in value)


def compose_pair(chat: Sequence[Mapping[str, Any] | None] | None) -> Row:
    """(text, summary) of a chat; None for what it lacks or what is not text, such as an image."""
    turns = _list_turns(chat)
    if turns is None:
        return None, None
    last = max((place for place, turn in enumerate(turns) if turn.role.lower() in _ASSISTANT), default=None)
    if last is None:
        return _join(turns), None
    return _join(turns[:last]), turns[last].content


def compose_text(chat: Sequence[Mapping[str, Any] | None] | None) -> str | None:
    """The whole chat; None as above."""
    turns = _list_turns(chat)
    return None if turns is None else _join(turns)


def _list_turns(chat: Sequence[Mapping[str, Any] | None] | None) -> list[_Turn] | None:
    """Without system messages and empty ones, such as calls of tools. None if a message is null or not only text."""
    turns = []
    for message in chat or ():
        if message is None:  # parquet allows it
            return None
        role, content = _find_keys(message) or KEYS[0]
        text = _read_content(message.get(content))
        if text is None:
            return None
        if text and str(message.get(role)).lower() not in _SYSTEM:
            turns.append(_Turn(str(message.get(role)), text))
    return turns


def _read_content(content: Any) -> str | None:
    if content is None:
        return ""
    if isinstance(content, list):
        parts = [
            part.get("text") if isinstance(part, dict) and part.get("type") in _TEXTS else part for part in content
        ]
        texts = [part for part in parts if isinstance(part, str)]
        return "\n".join(texts) if len(texts) == len(parts) else None
    return content if isinstance(content, str) else None


def _join(turns: Sequence[_Turn]) -> str | None:
    if len(turns) == 1:
        return turns[0].content
    return "\n\n".join(f"{turn.role}: {turn.content}" for turn in turns) or None


def _find_keys(message: Any) -> tuple[str, str] | None:
    if not isinstance(message, dict):
        return None
    return next((keys for keys in KEYS if message.keys() >= set(keys)), None)
