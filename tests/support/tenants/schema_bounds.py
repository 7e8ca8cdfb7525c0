"""How much a schema lets a user store."""

from collections.abc import Iterator
from typing import Any

Schema = dict[str, Any]

MAX_SCALAR = 25
"""Characters of a number, a boolean or a time."""


def list_nodes(node: Schema, path: str = "") -> Iterator[tuple[str, Schema]]:
    """Every node below `node`, with its path."""
    yield path, node
    for name, child in node.get("properties", {}).items():
        yield from list_nodes(child, f"{path}.{name}".removeprefix("."))
    for key, mark in (("items", "[]"), ("additionalProperties", "{}")):
        if isinstance(node.get(key), dict):
            yield from list_nodes(node[key], f"{path}{mark}")


def find_unbounded(node: Schema) -> list[str]:
    """Paths of the texts, lists, maps and open objects that have no upper limit."""
    return [path for path, child in list_nodes(node) if not _is_bounded(child)]


def measure_largest(node: Schema) -> int:
    """Characters of the largest value, as far as single fields limit it: names, keys and punctuation included."""
    if "enum" in node:
        return max(len(str(value)) for value in node["enum"]) + 2
    match node.get("type"):
        case "object" if "additionalProperties" in node:
            return int(node["maxProperties"]) * (317 + 4 + measure_largest(node["additionalProperties"]))
        case "object":
            return sum(len(name) + 4 + measure_largest(child) for name, child in node.get("properties", {}).items())
        case "array":
            return int(node["maxItems"]) * (1 + measure_largest(node["items"]))
        case "string":
            return int(node.get("maxLength", MAX_SCALAR)) + 2
    return int(node.get("maxLength", MAX_SCALAR))


def _is_bounded(node: Schema) -> bool:
    if node.get("x-kubernetes-preserve-unknown-fields"):
        return False
    if node.get("x-kubernetes-int-or-string"):
        return "maxLength" in node and bool(node.get("x-kubernetes-validations"))
    match node.get("type"):
        case "string":
            return "maxLength" in node or "enum" in node or node.get("format") == "date-time"
        case "array":
            return "maxItems" in node
        case "integer":
            return "maximum" in node
        case "object" if "additionalProperties" in node:
            rules = node.get("x-kubernetes-validations", [])
            return "maxProperties" in node and any("k.size() <=" in rule["rule"] for rule in rules)
        case "object":
            return bool(node.get("properties"))
    return node.get("type") == "boolean"
