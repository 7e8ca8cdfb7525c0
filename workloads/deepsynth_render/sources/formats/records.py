"""Objects of a JSON file -> rows. Columns are chosen by the keys of many objects, because any of them may lack some."""

from collections.abc import Iterator
from itertools import chain
from typing import Any, Final

from deepsynth_api.errors import DataError
from deepsynth_api.reasons import Reason
from deepsynth_render.sources.formats.columns import NO_SUMMARY, ColumnChooser, Pair
from deepsynth_render.sources.formats.json_stream import Record, Repeating
from deepsynth_render.sources.formats.messages import compose_pair, compose_text, is_chat
from deepsynth_render.sources.formats.row import Row

_SAMPLE_RECORDS: Final = 1000
_SAMPLE_CHARACTERS: Final = 2**24
"""Records whose keys decide which columns are read. A key that comes only later, and would have decided, is refused."""


def read_records(records: Iterator[Record], chooser: ColumnChooser, where: str) -> Iterator[Row]:
    """The rows of all records. Raises DataError, naming the record, for a cell that is neither text, null nor a chat,
    and ConfigurationError when a later record contradicts the choice of columns.
    """
    sample, failure = _take_sample(records)
    names: dict[str, None] = {}
    chats: set[str] = set()
    for record in sample:
        _add_names(record, names, chats)
    pair: Pair | None = None
    for record in chain(sample, _raise(failure), records):
        if pair is None or not record.content.keys() <= names.keys():
            _add_names(record, names, chats)
            pair = chooser.choose(list(names), f"{record.place} of {where}" if pair else where, chats=chats)
        yield _read_row(record, pair, where)


def _take_sample(records: Iterator[Record]) -> tuple[list[Record], DataError | None]:
    """The first records, and the error that ended them, which belongs after their rows."""
    sample: list[Record] = []
    size = 0
    try:
        for record in records:
            sample.append(record)
            size += record.size
            if len(sample) == _SAMPLE_RECORDS or size >= _SAMPLE_CHARACTERS:
                break
    except DataError as error:
        return sample, error
    return sample, None


def _raise(failure: DataError | None) -> Iterator[Record]:
    if failure is not None:
        raise failure
    yield from ()


def _add_names(record: Record, names: dict[str, None], chats: set[str]) -> None:
    names |= dict.fromkeys(record.content)
    chats |= {name for name, value in record.content.items() if value and is_chat(value)}


def _read_row(record: Record, pair: Pair, where: str) -> Row:
    if isinstance(record.content, Repeating) and (repeated := record.content.repeated & {*pair}):
        raise DataError(
            f"{record.place} of {where} has the key {min(repeated)!r} twice; keep one of its values",
            reason=Reason.DUPLICATE_COLUMN,
        )
    text = record.content.get(pair[0])
    summary = record.content.get(pair[1]) if pair[1] != NO_SUMMARY else ""
    if pair[0] == pair[1]:
        _check_chat(text, pair[0], record, where)
        return compose_pair(text)
    return _read_text(text, pair[0], record, where), _read_text(summary, pair[1], record, where)


def _read_text(value: Any, name: str, record: Record, where: str) -> str | None:
    if isinstance(value, list):
        _check_chat(value, name, record, where)
        return compose_text(value)
    if value is not None and not isinstance(value, str):
        raise _wrong_type(name, value, record, where)
    return value


def _check_chat(value: Any, name: str, record: Record, where: str) -> None:
    if value is not None and not is_chat(value):
        raise _wrong_type(name, value, record, where)


def _wrong_type(name: str, value: Any, record: Record, where: str) -> DataError:
    return DataError(
        f"{name!r} in {record.place} of {where} must be text or a list of messages (role, content), got "
        f"{type(value).__name__}; name another column in spec.source.columns"
        + (", or write one object per row" if _is_of_columns(value) else ""),
        reason=Reason.WRONG_COLUMN_TYPE,
    )


def _is_of_columns(value: Any) -> bool:
    """Whether it seems to hold a column instead of a cell, as DataFrame.to_json writes it."""
    return isinstance(value, dict) or (isinstance(value, list) and not any(isinstance(part, dict) for part in value))
