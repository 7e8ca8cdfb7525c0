"""What the API server does with a resource before it stores it, from the same CRD.

The order is the API server's: kind and apiVersion, unknown fields (kubectl's strict validation), nulls and defaults,
the schema, and only if all of these hold the CEL rules, with those about oldSelf on an update.

    TrainingRun "read-xsum" is invalid:
      run.yaml:8: spec.numNodes: Invalid value: "2": must be of type integer; write it without quotes
"""

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from deepsynth_api.errors import ConfigurationError
from deepsynth_api.kinds import API_VERSION, KINDS
from deepsynth_client.manifest_file import FieldPath, ParsedManifest
from deepsynth_local.admission.cel_rules import find_broken_rules
from deepsynth_local.admission.problems import Problem, describe_problems, find_problems, load_schema
from deepsynth_local.admission.schema_check import format_value
from deepsynth_local.admission.structural import Schema, apply_defaults
from deepsynth_local.runs.resource_store import DEFAULT_NAMESPACE


def admit(parsed: ParsedManifest, old: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """The resource as it is stored: with defaults, without status and without fields that only the server sets.

    old: the stored resource of the same name, for the rules about changes.
    Raises ConfigurationError that lists every problem with its line.
    """
    value = parsed.value
    _check_kind(parsed)
    schema = load_schema(value["kind"])
    problems = list(find_problems(value, schema))
    if problems:
        raise ConfigurationError(describe_problems(parsed, problems))
    stored = _build_stored(value, schema)
    before = {**old, "metadata": {}} if old is not None else None
    after = {**stored, **({"status": old["status"]} if old is not None and "status" in old else {})}
    if broken := list(find_broken_rules(after, before, schema)):
        raise ConfigurationError(describe_problems(parsed, [_explain_rule(after, *rule) for rule in broken]))
    return stored


def _check_kind(parsed: ParsedManifest) -> None:
    kind, version = parsed.value.get("kind"), parsed.value.get("apiVersion")
    if isinstance(kind, str) and kind in KINDS and version == API_VERSION:
        return
    path: FieldPath = ("kind",) if version == API_VERSION else ("apiVersion",)
    raise ConfigurationError(
        f"{parsed.file}:{parsed.find_line(path)}: no matches for kind {format_value(kind)} in version "
        f"{format_value(version)}; write apiVersion: {API_VERSION} and kind: {' or '.join(KINDS)}"
    )


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
    return path, f"Invalid value: {format_value(found)}: {message}{_suggest_uri(path, found)}"


def _suggest_uri(path: FieldPath, value: Any) -> str:
    """file://my-dataset names a host to most programs, and here nothing: its user means a folder below this one, as who
    writes a path does, unless it is the name of a model on the Hub.
    """
    if not isinstance(value, str) or path[-1:] != ("uri",):
        return ""
    place = value.removeprefix("file://")
    if not place or "://" in place or (place != value and place.startswith("/")):
        return ""
    if path[-2:-1] == ("model",) and re.fullmatch(r"[\w.-]+/[\w.-]+", place) and not Path(place).exists():
        return f"; for a model on the Hub, write hf://{place}"
    return f"; write the absolute path: {Path(place).absolute().as_uri()}"
