"""Evaluate a CRD's x-kubernetes-validations, as the API server does on create and update."""

import functools
from collections.abc import Iterator
from typing import Any

import celpy
from celpy import celtypes
from celpy.adapter import json_to_cel
from celpy.evaluation import CELEvalError, CELFunction

from deepsynth_local.manifest_file import FieldPath
from deepsynth_local.structural import Schema
from deepsynth_operator.quantity import parse_quantity


def find_broken_rules(value: Any, old: Any, schema: Schema, path: FieldPath = ()) -> Iterator[tuple[FieldPath, str]]:
    """Path and message of every rule that `value` breaks. `old` is None on create: no transition rule applies."""
    for rule in schema.get("x-kubernetes-validations", []):
        transition = "oldSelf" in rule["rule"]
        if (old is not None or not transition) and not _holds(rule["rule"], value, old if transition else None):
            yield (*path, *rule.get("fieldPath", "").split(".")[1:]), rule["message"]
    if isinstance(value, dict):
        before = old if isinstance(old, dict) else {}
        for key, child in schema.get("properties", {}).items():
            if key in value:
                yield from find_broken_rules(value[key], before.get(key), child, (*path, key))
    elif isinstance(value, list) and "items" in schema:
        for index, item in enumerate(value):
            yield from find_broken_rules(item, None, schema["items"], (*path, index))


def _holds(rule: str, value: Any, old: Any) -> bool:
    """False when the rule is broken, and when it cannot be evaluated: the API server refuses both."""
    context = {"self": json_to_cel(value)}
    if old is not None:
        context["oldSelf"] = json_to_cel(old)
    try:
        return bool(_compile(rule).evaluate(context))
    except CELEvalError:
        return False


@functools.cache
def _compile(rule: str) -> celpy.Runner:
    environment = celpy.Environment()
    functions: dict[str, CELFunction] = {"quantity": _quantity, "isQuantity": _is_quantity}
    return environment.program(environment.compile(rule), functions)


def _quantity(text: celtypes.StringType) -> celtypes.StringType:
    """A quantity in its canonical form: the rules only ask whether two are equal."""
    return celtypes.StringType(f"{parse_quantity(str(text)).normalize():f}")


def _is_quantity(text: celtypes.StringType) -> celtypes.BoolType:
    try:
        parse_quantity(str(text))
    except ValueError:
        return celtypes.BoolType(False)
    return celtypes.BoolType(True)
