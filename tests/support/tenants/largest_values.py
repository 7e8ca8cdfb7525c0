"""The largest value that a schema allows, up to a number of characters: what a hostile user stores."""

from typing import Any

from support.tenants.schema_bounds import Schema

_NAMED = frozenset({"labels", "annotations", "nodeSelector"})
"""Maps whose keys are the keys of labels."""


def build_largest(schema: Schema, characters: int) -> Any:
    """Every field of the object, filled from the first to the last, until `characters` are used up."""
    return _Filler(characters).fill(schema, "")


class _Filler:
    def __init__(self, characters: int) -> None:
        self._left = characters

    def fill(self, node: Schema, name: str) -> Any:
        if "enum" in node:
            return max(node["enum"], key=len)
        if node.get("x-kubernetes-int-or-string"):
            return "1" * 8
        match node.get("type"):
            case "object" if "additionalProperties" in node:
                return self._fill_map(node, name)
            case "object":
                return self._fill_object(node)
            case "array":
                return self._fill_list(node, name)
            case "string":
                return self._fill_text(node, name)
            case "integer":
                return int(node.get("maximum", 1))
        return True

    def _fill_object(self, node: Schema) -> dict[str, Any]:
        filled: dict[str, Any] = {}
        for field, child in node.get("properties", {}).items():
            if self._left > 0 or field in node.get("required", ()):
                filled[field] = self.fill(child, field)
        return filled

    def _fill_map(self, node: Schema, name: str) -> dict[str, Any]:
        filled: dict[str, Any] = {}
        for number in range(int(node["maxProperties"])):
            if self._left <= 0:
                break
            filled[self._take(f"k{number}", 63 if name in _NAMED else 300)] = self.fill(
                node["additionalProperties"], "value"
            )
        return filled

    def _fill_list(self, node: Schema, name: str) -> list[Any]:
        filled: list[Any] = []
        for number in range(int(node["maxItems"])):
            if self._left <= 0:
                break
            item = self.fill(node["items"], name)
            filled.append(
                {**item, "name": f"{name.lower()}-{number}"} if isinstance(item, dict) and "name" in item else item
            )
        return filled

    def _fill_text(self, node: Schema, name: str) -> str:
        return self._take("/" if name == "mountPath" else "x", int(node.get("maxLength", 20)))

    def _take(self, start: str, length: int) -> str:
        self._left -= length
        return start.ljust(length, "x")
