"""`kubectl explain` says of every field what it is, in which unit, and what its default is."""

import re
from collections.abc import Iterator
from typing import Any

from deepsynth_api.crd.schema import build_schema
from deepsynth_api.kinds import KINDS

Node = dict[str, Any]
UNITS = {"seconds": "second", "time": "when", "bytes": "byte", "px": "pixel"}
SHORTEST = 20


def list_fields(node: Node, path: str = "") -> Iterator[tuple[str, Node]]:
    """Every field below `node`, with its path."""
    for name, child in node.get("properties", {}).items():
        yield f"{path}.{name}", child
        yield from list_fields(child, f"{path}.{name}")
    for key in ("items", "additionalProperties"):
        if key in node:
            yield from list_fields(node[key], f"{path}[]")


def list_all_fields() -> list[tuple[str, Node]]:
    """The fields of both kinds, but for metadata, which the API server explains itself."""
    return [
        (f"{kind}{path}", node)
        for kind in KINDS
        for path, node in list_fields(build_schema(kind))
        if path != ".metadata"
    ]


def test_every_field_is_explained_in_a_sentence_that_says_more_than_its_name() -> None:
    fields = list_all_fields()
    assert len(fields) > 300
    assert [path for path, node in fields if not is_explained(path, node.get("description", ""))] == []


def is_explained(path: str, description: str) -> bool:
    words = set(re.findall("[a-z0-9]+", description.lower())) - set(split_words(path))
    return len(description) >= SHORTEST and description.endswith(".") and bool(words)


def test_every_number_with_a_unit_names_it() -> None:
    fields = [
        (path, node["description"].lower(), UNITS.get(split_words(path)[-1], "")) for path, node in list_all_fields()
    ]
    assert [path for path, description, unit in fields if unit not in description] == []


def test_every_default_of_a_spec_is_named_once() -> None:
    defaults = [
        (path, node["description"]) for path, node in list_all_fields() if ".spec" in path and "default" in node
    ]
    assert len(defaults) > 50
    assert [path for path, text in defaults if "Default: " not in text or "default:" in text] == []


def split_words(path: str) -> list[str]:
    """startTimeoutSeconds -> start, timeout, seconds."""
    name = path.rpartition(".")[2].removesuffix("[]")
    return [word.lower() for word in re.findall("[A-Z]?[a-z0-9]+|[A-Z]+", name)]
