"""Reports as a hostile pod may send them, drawn from the schema: every field with its worst values, in any mixture."""

import json
from typing import Any

from hypothesis import strategies as st

from deepsynth_api.report import Report

Schema = dict[str, Any]

TIMES = ["2026-01-02T03:04:05Z", "9999-12-31T23:59:59Z", "0001-01-01T00:00:00Z", "2026-01-02T03:04:05", "x", ""]
TEXTS = [
    "",
    "x",
    "a\nb\r\x1b[2J\x00\x9b\u2028",
    "<&>" * 2000,
    "\U0001f600" * 3000,
    "\\ud800",
    "../../etc",
    "x" * 60_000,
    "9" * 5000,
]
INTEGERS = [0, 1, 2, -1, 255, 2**31, 2**53, 2**53 + 1, 2**63, -(2**63), 10**310, -(10**4000)]
NUMBERS = [0.0, 1.5, -1.0, 1e-300, 1e300, -1e300, float("inf"), float("-inf"), float("nan"), 10**310, 2**53]
LENGTHS = [0, 1, 2, 70, 400]


def build_hostile_reports() -> st.SearchStrategy[str]:
    """JSON text: valid in most fields, so that the worst values get past the parser."""
    schema = Report.model_json_schema(by_alias=True)
    return _draw(schema, schema["$defs"]).map(_to_text)


def _to_text(value: Any) -> str:
    # The limit of digits holds for `str` of an integer, so such numbers are written by hand.
    return json.dumps(_mark(value)).replace('"@huge', "").replace('huge@"', "")


def _mark(value: Any) -> Any:
    match value:
        case dict():
            return {key: _mark(item) for key, item in value.items()}
        case list():
            return [_mark(item) for item in value]
        case int() if not isinstance(value, bool) and abs(value) >= 10**300:
            digits = 311 if abs(value) == 10**310 else 4001
            return f"@huge{'-' if value < 0 else ''}1{'0' * (digits - 1)}huge@"
    return value


def _draw(node: Schema, definitions: Schema) -> st.SearchStrategy[Any]:
    """Values for one node of a JSON schema."""
    if "$ref" in node:
        return _draw(definitions[node["$ref"].rsplit("/", 1)[-1]], definitions)
    if "anyOf" in node:
        return st.one_of(*(_draw(option, definitions) for option in node["anyOf"]))
    if "enum" in node:
        return st.sampled_from(node["enum"])
    match node.get("type"):
        case "object":
            required = set(node.get("required", ()))
            fields = {name: _draw(child, definitions) for name, child in node["properties"].items()}
            return st.fixed_dictionaries(
                {name: field for name, field in fields.items() if name in required},
                optional={name: field for name, field in fields.items() if name not in required},
            )
        case "array":
            return st.builds(
                lambda item, count: [item] * count, _draw(node["items"], definitions), st.sampled_from(LENGTHS)
            )
        case "integer":
            return st.one_of(st.integers(0, 100), st.sampled_from(INTEGERS))
        case "number":
            return st.one_of(st.floats(0, 100), st.sampled_from(NUMBERS))
        case "string":
            return st.sampled_from(TIMES[:1] * 5 + TIMES if node.get("format") == "date-time" else TEXTS)
    return st.none()
