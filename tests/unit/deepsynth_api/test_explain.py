"""`kubectl explain` answers what people ask of every field: what it is, in which unit, and what happens without it."""

import re
from collections.abc import Iterator
from typing import Any

import pytest

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


FIELDS = [
    pytest.param(path, node, id=f"{kind}{path}")
    for kind in KINDS
    for path, node in list_fields(build_schema(kind))
    if path != ".metadata"  # the API server explains its own
]


@pytest.mark.parametrize(("path", "node"), FIELDS)
def test_a_field_is_explained(path: str, node: Node) -> None:
    description, words = node.get("description", ""), split_words(path)
    assert len(description) >= SHORTEST
    assert description.endswith(".")
    assert [word for word in re.findall("[a-z0-9]+", description.lower()) if word not in words], "more than its name"


@pytest.mark.parametrize(("path", "node"), FIELDS)
def test_a_unit_and_a_default_are_told(path: str, node: Node) -> None:
    description = node["description"]
    unit = UNITS.get(split_words(path)[-1], "")
    assert unit in description.lower()
    if path.startswith(".spec") and "default" in node:
        assert "Default: " in description
        assert "default:" not in description


def split_words(path: str) -> list[str]:
    """startTimeoutSeconds -> start, timeout, seconds."""
    name = path.rpartition(".")[2].removesuffix("[]")
    return [word.lower() for word in re.findall("[A-Z]?[a-z0-9]+|[A-Z]+", name)]
