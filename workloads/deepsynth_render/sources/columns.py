"""Which two columns of the source are text and summary. Pure."""

from collections.abc import Sequence
from typing import Final

from deepsynth_api.errors import ConfigurationError
from deepsynth_api.reasons import Reason
from deepsynth_api.v1alpha1 import Columns

TEXT_NAMES: Final = ("text", "article", "document", "dialogue", "content", "body", "input", "source", "report")
SUMMARY_NAMES: Final = ("summary", "highlights", "abstract", "target", "output", "tldr", "headline", "title")


def choose_columns(names: Sequence[str], asked: Columns, where: str) -> tuple[str, str]:
    """(text, summary): the names asked for, otherwise the first usual name among `names`, in upper or lower case.

    Raises ConfigurationError that lists the columns of `where`.

    >>> choose_columns(["id", "article", "highlights"], Columns(), "train.parquet")
    ('article', 'highlights')
    """
    text = _choose(names, asked.text, TEXT_NAMES, "text", where)
    summary = _choose(names, asked.summary, SUMMARY_NAMES, "summary", where)
    if text == summary:
        raise ConfigurationError(
            f"spec.source.columns: text and summary must be two columns, both are {text!r} of {where}"
        )
    for name in (text, summary):
        if names.count(name) > 1:
            raise ConfigurationError(
                f"spec.source.columns: {where} has {names.count(name)} columns named {name!r}; rename all but one, "
                "or name another column",
                reason=Reason.DUPLICATE_COLUMN,
            )
    return text, summary


def _choose(names: Sequence[str], asked: str | None, usual: Sequence[str], field: str, where: str) -> str:
    if asked is not None and asked in names:
        return asked
    by_name = {name.lower(): name for name in reversed(names)}
    found = next((by_name[name] for name in usual if name in by_name), None)
    if asked is None and found is not None:
        return found
    problem = f"no column with a usual name for the {field}" if asked is None else f"no column {asked!r}"
    raise ConfigurationError(
        f"spec.source.columns.{field}: {problem} in {where}; its columns are {', '.join(names) or '(none)'}",
        reason=Reason.MISSING_COLUMN,
    )
