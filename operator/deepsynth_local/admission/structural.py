"""What the API server does with a structural schema: drop nulls, fill in defaults, find unknown fields."""

import copy
import difflib
from collections.abc import Iterator
from typing import Any, Final

from pydantic.alias_generators import to_camel

from deepsynth_api.other_names import OTHER_NAMES
from deepsynth_client.manifest_file import FieldPath

Schema = dict[str, Any]
PRESERVE = "x-kubernetes-preserve-unknown-fields"
MIN_ENDING: Final = 6
"""Shorter names, such as size or steps, end too many fields."""


def apply_defaults(value: Any, schema: Schema) -> Any:
    """`value` without nulls and with the schema's defaults, at every depth. Returns a copy."""
    if isinstance(value, dict) and not schema.get(PRESERVE):
        return _default_object(value, schema)
    if isinstance(value, list) and "items" in schema:
        return [apply_defaults(item, schema["items"]) for item in value]
    return copy.deepcopy(value)


def _default_object(value: dict[str, Any], schema: Schema) -> dict[str, Any]:
    properties: dict[str, Schema] = schema.get("properties", {})
    written = {key: child for key, child in value.items() if child is not None}
    missing = {
        key: copy.deepcopy(child["default"])
        for key, child in properties.items()
        if "default" in child and key not in written
    }
    inner = schema.get("additionalProperties")
    return {
        key: apply_defaults(child, properties.get(key) or (inner if isinstance(inner, dict) else {PRESERVE: True}))
        for key, child in {**written, **missing}.items()
    }


def find_unknown_fields(value: Any, schema: Schema, path: FieldPath = ()) -> Iterator[tuple[FieldPath, Schema]]:
    """Fields the schema does not have, each with the schema of the object that contains it."""
    if isinstance(value, list) and "items" in schema:
        for index, item in enumerate(value):
            yield from find_unknown_fields(item, schema["items"], (*path, index))
    if not isinstance(value, dict) or schema.get(PRESERVE):
        return
    properties: dict[str, Schema] = schema.get("properties", {})
    inner = schema.get("additionalProperties")
    for key, child in value.items():
        if key in properties:
            yield from find_unknown_fields(child, properties[key], (*path, key))
        elif isinstance(inner, dict):
            yield from find_unknown_fields(child, inner, (*path, key))
        elif properties:
            yield (*path, key), schema


def suggest_field(path: FieldPath, parent: Schema, root: Schema) -> str | None:
    """What an unknown field may have been meant to be, in this order:

    fields of the same object that end with it    batchSize                   -> globalBatchSize or microBatchSize
    a field of the same object with such a name   precison                    -> precision
    the same name elsewhere, as far up as it is   learningRate                -> spec.optimizer.learningRate
    its name in another library                   per_device_train_batch_size -> spec.microBatchSize
    """
    name = _normalise(str(path[-1]))
    siblings: dict[str, str] = {_normalise(key): key for key in parent.get("properties", {})}
    if len(name) >= MIN_ENDING and (longer := [key for known, key in siblings.items() if known.endswith(name)]):
        return " or ".join(longer)
    if close := difflib.get_close_matches(name, siblings, n=1, cutoff=0.75):
        return siblings[close[0]]
    places = [place for key, place in _list_fields(root) if _normalise(key) == name]
    depth = min((place.count(".") for place in places), default=0)
    nearest = " or ".join(place for place in places if place.count(".") == depth)
    return nearest or next((place for other, place in _list_other_names(root) if _normalise(other) == name), None)


def _list_other_names(root: Schema) -> Iterator[tuple[str, str]]:
    """Names of other libraries with the path of the field, if this kind has it."""
    known = {place for _, place in _list_fields(root)}
    for name, path in OTHER_NAMES.items():
        place = ".".join(to_camel(part) for part in ("spec", *path.split(".")))
        if place in known:
            yield name, place


def _normalise(name: str) -> str:
    return name.replace("_", "").replace("-", "").lower()


def _list_fields(schema: Schema, above: str = "") -> Iterator[tuple[str, str]]:
    """Name and path of every field, outer ones first."""
    properties: dict[str, Schema] = schema.get("properties", {})
    for key in properties:
        yield key, f"{above}{key}"
    for key, child in properties.items():
        if key != "status":
            yield from _list_fields(child.get("items", child), f"{above}{key}{'[]' if 'items' in child else ''}.")
