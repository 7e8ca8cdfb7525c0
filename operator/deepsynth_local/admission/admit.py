"""What the API server does with a resource before it stores it, from the same CRD.

The order is the API server's: kind and apiVersion, unknown fields (kubectl's strict validation), nulls and defaults,
the schema, and only if all of these hold the CEL rules, with those about oldSelf on an update.

    TrainingRun "read-xsum" is invalid:
      run.yaml:8: spec.numNodes: Invalid value: "2": must be of type integer; write it without quotes
"""

import functools
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from deepsynth_api.crd.schema import build_schema
from deepsynth_api.errors import ConfigurationError
from deepsynth_api.kinds import API_VERSION, KINDS
from deepsynth_client.manifest_file import FieldPath, ParsedManifest
from deepsynth_local.admission.cel_rules import find_broken_rules
from deepsynth_local.admission.schema_check import MISSING, find_schema_errors, format_value
from deepsynth_local.admission.structural import Schema, apply_defaults, find_unknown_fields, suggest_field
from deepsynth_local.runs.resource_store import DEFAULT_NAMESPACE

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


def admit(parsed: ParsedManifest, old: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """The resource as it is stored: with defaults, without status and without fields that only the server sets.

    old: the stored resource of the same name, for the rules about changes.
    Raises ConfigurationError that lists every problem with its line.
    """
    value = parsed.value
    _check_kind(parsed)
    schema = load_schema(value["kind"])
    problems = list(_find_problems(value, schema))
    if problems:
        raise ConfigurationError(_describe(parsed, problems))
    stored = _build_stored(value, schema)
    before = {**old, "metadata": {}} if old is not None else None
    after = {**stored, **({"status": old["status"]} if old is not None and "status" in old else {})}
    if broken := list(find_broken_rules(after, before, schema)):
        raise ConfigurationError(_describe(parsed, [_explain_rule(after, *rule) for rule in broken]))
    return stored


def check_fields(parsed: ParsedManifest) -> None:
    """Raise ConfigurationError if written fields are unknown or have wrong values. Others may set what is missing."""
    problems = [
        problem for problem in _find_problems(parsed.value, load_schema(parsed.value["kind"])) if problem[1] != MISSING
    ]
    if problems:
        raise ConfigurationError(_describe(parsed, problems))


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


def _check_kind(parsed: ParsedManifest) -> None:
    kind, version = parsed.value.get("kind"), parsed.value.get("apiVersion")
    if isinstance(kind, str) and kind in KINDS and version == API_VERSION:
        return
    path: FieldPath = ("kind",) if version == API_VERSION else ("apiVersion",)
    raise ConfigurationError(
        f"{parsed.file}:{parsed.find_line(path)}: no matches for kind {format_value(kind)} in version "
        f"{format_value(version)}; write apiVersion: {API_VERSION} and kind: {' or '.join(KINDS)}"
    )


def _find_problems(value: dict[str, Any], schema: Schema) -> Iterator[Problem]:
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


def _build_stored(value: dict[str, Any], schema: Schema) -> dict[str, Any]:
    metadata = value["metadata"]
    kept = {key: metadata[key] for key in ("name", "namespace", "labels", "annotations") if metadata.get(key)}
    return {
        "apiVersion": API_VERSION,
        "kind": value["kind"],
        "metadata": {"namespace": DEFAULT_NAMESPACE, **kept},
        "spec": apply_defaults(value["spec"], schema["properties"]["spec"]),
    }


def _explain_rule(value: Mapping[str, Any], path: FieldPath, message: str) -> Problem:
    found: Any = value
    for part in path:
        step: Callable[[Any], Any] | None = getattr(found, "get", None)
        found = step(part) if step else found[part]
    if found is None or isinstance(found, dict | list):
        return path, message  # the API server says `Invalid value: "object"`
    return path, f"Invalid value: {format_value(found)}: {message}{_suggest_path(found)}"


def _suggest_path(value: Any) -> str:
    """file://my-dataset names a host to most programs, and here nothing; its user means a folder below this one."""
    relative = value.removeprefix("file://") if isinstance(value, str) and value.startswith("file://") else ""
    return f"; write the absolute path: {Path(relative).resolve().as_uri()}" if relative[:1] not in {"", "/"} else ""


def _describe(parsed: ParsedManifest, problems: list[Problem]) -> str:
    value = parsed.value
    metadata = value.get("metadata")
    name = metadata.get("name", "") if isinstance(metadata, dict) else ""
    numbered = sorted((parsed.find_line(path), f"{format_path(path)}: {text}") for path, text in problems)
    lines = [f"  {parsed.file}:{line}: {text}" for line, text in dict.fromkeys(numbered)]
    return "\n".join((f'{value["kind"]} "{name}" is invalid:', *lines))
