"""Check a resource against its structural schema: the API server's messages, with the remedy added."""

import difflib
import json
import re
from collections.abc import Iterator
from typing import Any, Final

import jsonschema
from jsonschema.exceptions import ValidationError

from deepsynth_client.manifest_file import FieldPath
from deepsynth_local.admission.structural import Schema

MISSING: Final = "Required value"


def find_schema_errors(value: Any, schema: Schema) -> Iterator[tuple[FieldPath, str]]:
    """Path and message of everything in `value` that the schema does not allow."""
    for error in jsonschema.Draft202012Validator(_translate(schema)).iter_errors(value):
        yield _locate(error), _explain(error)
    yield from _find_duplicates(value, schema, ())


def format_value(value: Any) -> str:
    """As the API server shows it: scalars as JSON, others by their type."""
    if isinstance(value, dict | list):
        return '"object"' if isinstance(value, dict) else '"array"'
    return json.dumps(value, ensure_ascii=False)


def _translate(schema: Schema) -> Schema:
    """The schema for jsonschema: Kubernetes' extensions translated, and `$` only at the very end, as in RE2."""
    node = {key: value for key, value in schema.items() if not key.startswith("x-kubernetes-")}
    if schema.get("x-kubernetes-int-or-string"):
        node["type"] = ["integer", "string"]
    if node.get("pattern", "").endswith("$"):
        node["pattern"] = node["pattern"][:-1] + r"\Z"
    for key in ("items", "additionalProperties"):
        if isinstance(node.get(key), dict):
            node[key] = _translate(node[key])
    if "properties" in node:
        node["properties"] = {key: _translate(child) for key, child in node["properties"].items()}
    return node


def _locate(error: ValidationError) -> FieldPath:
    path = tuple(error.absolute_path)
    if error.validator == "required":
        present = error.instance if isinstance(error.instance, dict) else {}
        required: Any = error.validator_value
        missing = [name for name in required if name not in present]
        named = next((name for name in missing if error.message.startswith(f"{name!r}")), missing[0])
        return (*path, named)
    return path


def _explain(error: ValidationError) -> str:
    shown = format_value(error.instance)
    limit: Any = error.validator_value
    match error.validator:
        case "required":
            return MISSING + _describe_missing(error)
        case "type":
            return f"Invalid value: {shown}: must be of type {_name_type(limit)}{_suggest_form(error)}"
        case "enum":
            return (
                f"Unsupported value: {shown}: supported values: {_list(limit)}{_suggest_value(error.instance, limit)}"
            )
        case "pattern":
            return f"Invalid value: {shown}: {_describe_pattern(error)}"
        case "minimum":
            return f"Invalid value: {shown}: must be greater than or equal to {limit}"
        case "maximum":
            return f"Invalid value: {shown}: must be less than or equal to {limit}"
        case "minLength" if limit == 1:
            return "Invalid value: must not be empty"
        case "maxLength":
            return f"Too long: may not be more than {limit} characters"
        case "minItems" | "maxItems":
            bound = "at least" if error.validator == "minItems" else "at most"
            items: Any = error.instance
            return f"Invalid value: must have {bound} {limit} items, has {len(items)}"
        case _:
            return f"Invalid value: {error.message}"


def _describe_missing(error: ValidationError) -> str:
    """What the missing field is for, and the fields that it needs itself."""
    schema = error.schema if isinstance(error.schema, dict) else {}
    missing = schema.get("properties", {}).get(_locate(error)[-1], {})
    description = missing.get("description", "").partition(". ")[0].rstrip(".")
    needs = [name for name in missing.get("required", []) if description]
    return (f": {description}" if description else "") + (f"; set its {' and '.join(needs)}" if needs else "")


def _name_type(kind: str | list[str]) -> str:
    return kind if isinstance(kind, str) else " or ".join(kind)


def _suggest_form(error: ValidationError) -> str:
    """How to write the value, if it is clear what was meant."""
    value, kind = error.instance, error.validator_value
    if kind == "string" and isinstance(value, bool | int | float):
        text = json.dumps(value)
        return f'; write it in quotes: "{text}"'
    if kind == "array" and isinstance(value, str):
        return f"; write it as a list: [{value}]"
    if isinstance(value, str) and isinstance(kind, str) and _is_quoted(value, kind):
        return "; write it without quotes"
    schema = error.schema if isinstance(error.schema, dict) else {}
    if kind == "object" and value is True and schema.get("properties") and not schema.get("required"):
        return f"; write `{list(error.absolute_path)[-1]}: {{}}` to use its defaults"
    return ""


def _is_quoted(text: str, kind: str) -> bool:
    """Whether YAML would read `text` as this kind of value if it had no quotes."""
    return bool(re.fullmatch({"integer": "[-+]?[0-9]+", "boolean": "true|false"}.get(kind, r"(?!)"), text))


def _suggest_value(value: Any, allowed: list[Any]) -> str:
    close = difflib.get_close_matches(str(value), list(map(str, allowed)), n=1)
    return f"; did you mean {close[0]}?" if close else ""


def _list(values: list[Any]) -> str:
    return ", ".join(json.dumps(value) for value in values)


def _describe_pattern(error: ValidationError) -> str:
    """The pattern, and the field's description, which explains it."""
    description = error.schema.get("description", "") if isinstance(error.schema, dict) else ""
    pattern = str(error.validator_value).replace(r"\Z", "$")
    return f"does not match {pattern}" + (f" ({description.rstrip('.')})" if description else "")


def _find_duplicates(value: Any, schema: Schema, path: FieldPath) -> Iterator[tuple[FieldPath, str]]:
    """Items of a list-map with the same keys, and equal items of a set."""
    if isinstance(value, dict):
        for key, child in schema.get("properties", {}).items():
            if key in value:
                yield from _find_duplicates(value[key], child, (*path, key))
    if not isinstance(value, list) or "items" not in schema:
        return
    seen: set[str] = set()
    for index, item in enumerate(value):
        yield from _find_duplicates(item, schema["items"], (*path, index))
        if (key := _identify(item, schema)) is None:
            continue
        if key in seen:
            yield (*path, index), f"Duplicate value: {key}"
        seen.add(key)


def _identify(item: Any, schema: Schema) -> str | None:
    """What must be unique in this list; None where anything may repeat."""
    kind = schema.get("x-kubernetes-list-type")
    if kind == "map" and isinstance(item, dict):
        return json.dumps({name: item.get(name) for name in schema["x-kubernetes-list-map-keys"]})
    return json.dumps(item) if kind == "set" else None
