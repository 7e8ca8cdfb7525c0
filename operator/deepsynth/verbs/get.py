"""`deepsynth get`: resources as kubectl shows them."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal

import yaml

from deepsynth.verbs.names import find_named, format_name, parse_words
from deepsynth_api.kinds import KINDS
from deepsynth_client.changes import key_of
from deepsynth_client.errors import InvalidError
from deepsynth_client.interface import Manifest, Resources, Selection
from deepsynth_client.tables import build_table, format_table

Output = Literal["table", "wide", "yaml", "json", "name"]


@dataclass(frozen=True)
class Query:
    """words: KIND [NAME...] or KIND/NAME... of the command line."""

    words: Sequence[str] = ()
    selection: Selection = field(default_factory=Selection)
    output: Output = "table"


def get_resources(resources: Resources, query: Query) -> str:
    """The text to print; empty when there are no resources. Raises NotFoundError for a name that does not exist."""
    found = find_resources(resources, query)
    if query.output == "name":
        return "\n".join(map(format_name, found))
    if query.output in ("yaml", "json"):
        is_single = len(found) == 1 and _has_names(query)
        return _dump(found, is_single=is_single, output=query.output)
    return format_tables(found, query)


def watch_resources(resources: Resources, query: Query) -> Iterator[str]:
    """A line for each change that the table shows, or a document for each change; without an end."""
    asked = [*parse_words(query.words)]
    kinds = dict.fromkeys(kind for found, _ in asked for kind in found)
    if len(kinds) > 1:
        raise InvalidError("--watch: must have one kind; write `deepsynth get trainingruns --watch`")
    names = {name for _, name in asked} - {None}
    table = _WatchedTable(query)
    for change in resources.watch(next(iter(kinds)), query.selection):
        if change.type != "LISTED" and (not names or change.resource["metadata"]["name"] in names):
            yield from table.show(change.resource)


class _WatchedTable:
    """Rows as they change, each below the columns of those before."""

    def __init__(self, query: Query) -> None:
        self._query = query
        self._rows: dict[str, list[str]] = {}
        self._shown: dict[str, object] = {}

    def show(self, resource: Manifest) -> Iterator[str]:
        """What to print; nothing if only the age has changed."""
        key = key_of(resource)
        if self._query.output in ("yaml", "json", "name"):
            text = format_name(resource)
            yield text if self._query.output == "name" else _dump([resource], is_single=True, output=self._query.output)
            return
        header, row = _build_rows([resource], self._query)
        seen = [cell for name, cell in zip(header, row, strict=True) if name != "AGE"]
        if self._shown.get(key) == seen:
            return
        is_first = not self._rows
        self._shown[key], self._rows[key] = seen, row
        lines = format_table([header, *self._rows.values()]).splitlines()
        yield from lines[:1] if is_first else ()
        yield lines[1 + [*self._rows].index(key)]


def find_resources(resources: Resources, query: Query) -> list[Manifest]:
    found: list[Manifest] = []
    for kinds, name in parse_words(query.words):
        if name is None:
            found += [item for kind in kinds for item in resources.list_all(kind, query.selection)]
        else:
            found.append(find_named(resources, kinds, name))
    return found


def _has_names(query: Query) -> bool:
    return any(name is not None for _, name in parse_words(query.words))


def format_tables(found: Sequence[Manifest], query: Query) -> str:
    """A table for each kind; empty when there are no resources."""
    groups = [[item for item in found if item["kind"] == kind] for kind in KINDS]
    return "\n\n".join(format_table(_build_rows(group, query)) for group in groups if group)


def _build_rows(group: Sequence[Manifest], query: Query) -> list[list[str]]:
    rows = build_table(group[0]["kind"], group, datetime.now(UTC), wide=query.output == "wide")
    if not query.selection.all_namespaces:
        return rows
    namespaces = ["NAMESPACE", *(item["metadata"]["namespace"] for item in group)]
    return [[namespace, *row] for namespace, row in zip(namespaces, rows, strict=True)]


def _dump(resources: Sequence[Manifest], *, is_single: bool, output: Output) -> str:
    document: Any = resources[0] if is_single else {"apiVersion": "v1", "kind": "List", "items": list(resources)}
    if output == "json":
        return json.dumps(document, indent=4, ensure_ascii=False)
    return yaml.safe_dump(document, sort_keys=False, allow_unicode=True, width=120).rstrip()
