"""The largest report that a pod can write: every field of it with its longest value."""

from typing import Any

from deepsynth_api.report import Report

_IDENTITIES = {"digest", "staging", "revision", "sha256", "manifestSha256"}


def build_largest_part(name: str, text: str) -> Any:
    """A part of a Report, such as plan, with lists of a hundred items. text: of all fields but digests and reasons."""
    schema = Report.model_json_schema(by_alias=True)
    return _fill(schema["properties"][name], schema["$defs"], text)


def _fill(node: dict[str, Any], definitions: dict[str, Any], text: str, name: str = "") -> Any:
    """Every field of a report with its largest value. URIs are as long as the API allows."""
    if "$ref" in node:
        return _fill(definitions[node["$ref"].rsplit("/", 1)[-1]], definitions, text, name)
    if "anyOf" in node:
        return _fill(node["anyOf"][0], definitions, text, name)
    if "enum" in node:
        return max(node["enum"], key=len)
    match node.get("type"):
        case "object":
            return {key: _fill(child, definitions, text, key) for key, child in node["properties"].items()}
        case "array":
            return [_fill(node["items"], definitions, text, name)] * (5 if name == "examples" else 100)
        case "integer":
            return 2**40
        case "number":
            return 1.2345678901234567e15
        case "string" if node.get("format") == "date-time":
            return "2026-01-02T03:04:05Z"
        case "string" if name in _IDENTITIES:
            return "0" * 64
        case "string" if name == "reason":
            return "R" * 64
        case "string" if name == "uri":
            return f"file:///{text}"[:1024]
        case "string":
            return text
    return True
