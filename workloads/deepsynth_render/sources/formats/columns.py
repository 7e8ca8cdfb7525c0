"""Which two columns of the source are text and summary: as the user names them, or a guess that no row contradicts."""

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any, Final

from deepsynth_api.errors import ConfigurationError
from deepsynth_api.reasons import Reason
from deepsynth_api.v1alpha1 import Columns
from deepsynth_api.v1alpha1.dataset_generation_status import ReadColumns
from deepsynth_render.sources.formats.messages import CHAT_NAMES, is_chat
from deepsynth_render.sources.formats.row import Row

TEXT_NAMES: Final = ("text", "article", "document", "dialogue", "content", "body", "input", "source", "report")
SUMMARY_NAMES: Final = ("summary", "highlights", "abstract", "target", "output", "tldr", "headline", "title")

Pair = tuple[str, str]
"""The columns of text and summary; NO_SUMMARY is none."""
NO_SUMMARY: Final = ""
_MAX_LISTED: Final = 30
_MAX_NAME: Final = 60
"""Of the columns that a message lists: a file without a header has documents for names."""


class ColumnChooser:
    """Chooses the columns of each file of a source, and counts the rows that were read from them.

    A guess of one file that differs from that of another (or from what later rows of the same file suggest) is refused:
    one of the two would be wrong.
    """

    def __init__(self, asked: Columns) -> None:
        self._asked = asked
        self._guesses: dict[str, tuple[str, str]] = {}
        self._current: Pair = ("", "")
        self._rows: Counter[Pair] = Counter()

    def choose(
        self, names: Sequence[str], where: str, *, texts: Collection[str] | None = None, chats: Collection[str] = ()
    ) -> Pair:
        """(text, summary) of the file `where`, which has the columns `names`.

        texts: those that hold text, None if that is not known; a guess is one of them. chats: those that hold messages.
        """
        pair = choose_columns(names, self._asked, where, texts=texts, chats=chats)
        asked = (self._asked.text, self._asked.summary)
        for field, name, wanted in zip(("text", "summary"), pair, asked, strict=True):
            if wanted is None:
                self._require_same(field, name, where)
        self._current = pair
        return pair

    def is_row(self, record: Mapping[str, Any]) -> bool:
        """Whether a JSON object has the columns that would be read."""
        chats = {name for name, value in record.items() if value and is_chat(value)}
        try:
            choose_columns(list(record), self._asked, "", chats=chats)
        except ConfigurationError:
            return False
        return True

    def count(self, rows: Iterator[Row]) -> Iterator[Row]:
        """`rows`, of the file for which columns were chosen last."""
        for row in rows:
            self._rows[self._current] += 1
            yield row

    def list_read(self) -> list[ReadColumns]:
        """The columns of all rows that were read so far."""
        return [ReadColumns(text=text, summary=summary, rows=rows) for (text, summary), rows in self._rows.items()]

    def _require_same(self, field: str, name: str, where: str) -> None:
        earlier, file = self._guesses.setdefault(field, (name, where))
        if _fold(earlier) != _fold(name):
            raise ConfigurationError(
                f"spec.source.columns.{field}: {where} has the column {name!r} for the {field}, but {earlier!r} was "
                f"read before (in {file}); name the column to read, or list other splits in spec.source.splits"
            )


def choose_columns(
    names: Sequence[str],
    asked: Columns,
    where: str,
    *,
    texts: Collection[str] | None = None,
    chats: Collection[str] = (),
) -> Pair:
    """(text, summary): the names asked for, otherwise the first usual name among `names`, in any case and with blanks
    around it.

    Both are the same column if it holds messages: see `messages`. Raises ConfigurationError that lists the columns of
    `where`.

    >>> choose_columns(["id", "article", "highlights"], Columns(), "train.parquet")
    ('article', 'highlights')
    """
    likely = [name for name in names if (texts is None or name in texts) and name not in chats]
    text = asked.text or (
        _guess(TEXT_NAMES, likely) or _guess(CHAT_NAMES, [*chats]) or _guess(TEXT_NAMES, names)  # the last: no text
    )
    if text is None or text not in names:
        raise _missing("text", asked.text, names, where)
    summary = asked.summary
    if summary is None:
        summary = text if text in chats else _guess(SUMMARY_NAMES, likely) or _guess(SUMMARY_NAMES, names)
    if summary is None or summary not in (*names, NO_SUMMARY):
        raise _missing("summary", asked.summary, names, where)
    if text == summary and text not in chats:
        raise ConfigurationError(
            f"spec.source.columns: text and summary must be two columns, both are {text!r} of {where}"
        )
    for field, name, wanted in (("text", text, asked.text), ("summary", summary, asked.summary)):
        alike = [other for other in dict.fromkeys(names) if _fold(other) == _fold(name)]
        if wanted is None and len(alike) > 1:
            raise ConfigurationError(
                f"spec.source.columns.{field}: {where} has columns that differ only in case or blanks, "
                f"{_list_names([repr(other) for other in alike])}; name one of them, or rename them alike",
                reason=Reason.DUPLICATE_COLUMN,
            )
        if names.count(name) > 1:
            raise ConfigurationError(
                f"spec.source.columns: {where} has {names.count(name)} columns named {name!r}; rename all but one, "
                "or name another column",
                reason=Reason.DUPLICATE_COLUMN,
            )
    return text, summary


def _guess(usual: Sequence[str], names: Sequence[str]) -> str | None:
    by_name = {_fold(name): name for name in reversed(names)}
    return next((by_name[name] for name in usual if name in by_name), None)


def _fold(name: str) -> str:
    """Equal for names that people take for one."""
    return name.strip().lower()


def shorten(name: str) -> str:
    """The name of a column, for messages."""
    return name if len(name) <= _MAX_NAME else f"{name[:_MAX_NAME]}..."


def _list_names(names: Sequence[str]) -> str:
    listed = ", ".join(shorten(name) for name in names[:_MAX_LISTED])
    return listed if len(names) <= _MAX_LISTED else f"{listed} and {len(names) - _MAX_LISTED} more"


def _missing(field: str, asked: str | None, names: Sequence[str], where: str) -> ConfigurationError:
    problem = f"no column with a usual name for the {field}" if asked is None else f"no column {asked!r}"
    remedy = f"name one of its columns: {_list_names(names)}" if names else "it has no columns"
    if field == "summary" and names:
        remedy += "; '' reads no summaries, for task ocr"
    return ConfigurationError(
        f"spec.source.columns.{field}: {problem} in {where}; {remedy}",
        reason=Reason.MISSING_COLUMN,
    )
