"""What is wrong with the fields of a resource: unknown ones, and values that the schema does not allow, with lines.

Without the CEL rules, whose package a client of a cluster does not have.
"""

import functools
import re
from collections.abc import Iterator
from typing import Any, Final

from deepsynth_api.crd.schema import build_schema
from deepsynth_api.errors import ConfigurationError
from deepsynth_client.manifest_file import FieldPath, ParsedManifest
from deepsynth_local.admission.schema_check import MISSING, find_schema_errors, format_value
from deepsynth_local.admission.structural import Schema, apply_defaults, find_unknown_fields, suggest_field

Problem = tuple[FieldPath, str]

_NAMES: Final = {
    "name": (re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*"), "digits, '-' and '.'"),
    "namespace": (re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?"), "digits and '-'"),
}
_PLAIN_PART: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_STRING_MAP: Final = {"type": "object", "additionalProperties": {"type": "string"}}
_METADATA: Final[Schema] = {
    "type": "object",
    "required": ["name"],
    "properties": {
        "name": {"type": "string", "minLength": 1, "maxLength": 253},
        "namespace": {"type": "string", "maxLength": 63},
        "labels": _STRING_MAP,
        "annotations": _STRING_MAP,
        **{key: {"type": "string"} for key in ("uid", "resourceVersion", "creationTimestamp")},
        **{key: {"type": "array"} for key in ("finalizers", "ownerReferences", "managedFields")},
        "generation": {"type": "integer"},
    },
}


def check_fields(parsed: ParsedManifest) -> None:
    """Raise ConfigurationError if written fields are unknown or have wrong values. Others may set what is missing."""
    problems = [
        problem
        for problem in find_problems(parsed.value, load_schema(parsed.value["kind"]))
        if not problem[1].startswith(MISSING)
    ]
    if problems:
        raise ConfigurationError(describe_problems(parsed, problems))


@functools.cache
def load_schema(kind: str) -> Schema:
    """The structural schema of a kind, with the metadata that a user may write."""
    schema = build_schema(kind)
    properties = {**schema["properties"], "metadata": _METADATA}
    return {**schema, "required": ["metadata", *schema.get("required", ())], "properties": properties}


def format_path(path: FieldPath) -> str:
    """spec.datasets[0].name, spec.template.labels[example.com/team]."""
    text = ""
    for part in path:
        plain = isinstance(part, str) and _PLAIN_PART.fullmatch(part)
        text += (f".{part}" if text else str(part)) if plain else f"[{part}]"
    return text


def find_problems(value: dict[str, Any], schema: Schema) -> Iterator[Problem]:
    """Path and message of every problem of a resource as it was written."""
    written = {key: child for key, child in value.items() if key != "status"}
    for path, parent in find_unknown_fields(written, schema):
        suggestion = suggest_field(path, parent, schema)
        yield path, "unknown field" + (f"; did you mean {suggestion}?" if suggestion else "")
    yield from find_schema_errors(apply_defaults(written, schema), schema)
    yield from _find_bad_names(value.get("metadata"))


def _find_bad_names(metadata: Any) -> Iterator[Problem]:
    """Both names are parts of paths in the runs folder: neither may contain a slash."""
    written = metadata if isinstance(metadata, dict) else {}
    for field, (pattern, characters) in _NAMES.items():
        found = written.get(field)
        if isinstance(found, str) and found and not pattern.fullmatch(found):
            rule = f"must consist of lower case letters, {characters}, and start and end with a letter or digit"
            yield ("metadata", field), f"Invalid value: {format_value(found)}: {rule}"


def describe_problems(parsed: ParsedManifest, problems: list[Problem]) -> str:
    """A line for the resource, and one for each problem in the order of the file."""
    value = parsed.value
    metadata = value.get("metadata")
    name = metadata.get("name", "") if isinstance(metadata, dict) else ""
    numbered = sorted((parsed.find_line(path), f"{format_path(path)}: {text}") for path, text in problems)
    lines = [f"  {parsed.file}:{line}: {text}" for line, text in dict.fromkeys(numbered)]
    return "\n".join((f'{value["kind"]} "{name}" is invalid:', *lines))
