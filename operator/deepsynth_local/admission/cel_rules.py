"""Evaluate the CEL rules of a CRD (x-kubernetes-validations), as the API server does on create and update.

CEL itself is a library; the functions of Kubernetes that the rules use (quantity, isQuantity, ...) are here.
"""

import functools
from collections.abc import Iterator
from typing import Any

import celpy
from celpy import celtypes
from celpy.adapter import json_to_cel
from celpy.evaluation import CELEvalError, CELFunction

from deepsynth_client.manifest_file import FieldPath
from deepsynth_local.admission.structural import Schema
from deepsynth_operator.core.quantity import parse_quantity


def find_broken_rules(value: Any, old: Any, schema: Schema, path: FieldPath = ()) -> Iterator[tuple[FieldPath, str]]:
    """Path and message of every rule that `value` breaks. `old` is None on create: rules about oldSelf are skipped."""
    for rule in schema.get("x-kubernetes-validations", []):
        transition = "oldSelf" in rule["rule"]
        if (old is not None or not transition) and not _holds(rule["rule"], value, old if transition else None):
            yield (*path, *rule.get("fieldPath", "").split(".")[1:]), rule["message"]
    if isinstance(value, dict):
        before = old if isinstance(old, dict) else {}
        properties, others = schema.get("properties", {}), schema.get("additionalProperties", {})
        for key in value:
            yield from find_broken_rules(value[key], before.get(key), properties.get(key, others), (*path, key))
    elif isinstance(value, list) and "items" in schema:
        for index, item in enumerate(value):
            yield from find_broken_rules(item, None, schema["items"], (*path, index))


def _holds(rule: str, value: Any, old: Any) -> bool:
    """False also when the rule cannot be evaluated: the API server rejects the resource in both cases."""
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
    functions: dict[str, CELFunction] = {
        "quantity": _quantity,
        "isQuantity": _is_quantity,
        "isInteger": _is_integer,
        "asInteger": _as_integer,
        "sign": _sign,
        "compareTo": _compare_to,
        "sum": _sum,
    }
    return environment.program(environment.compile(rule), functions)


def _sum(items: celtypes.ListType) -> celtypes.IntType:
    return celtypes.IntType(sum(int(str(item)) for item in items))


def _quantity(text: celtypes.StringType) -> celtypes.StringType:
    """A quantity in its canonical form, so that equal ones are equal."""
    return celtypes.StringType(f"{parse_quantity(str(text)).normalize():f}")


def _is_quantity(text: celtypes.StringType) -> celtypes.BoolType:
    try:
        parse_quantity(str(text))
    except ValueError:
        return celtypes.BoolType(False)
    return celtypes.BoolType(True)


def _is_integer(quantity: celtypes.StringType) -> celtypes.BoolType:
    number = parse_quantity(str(quantity))
    return celtypes.BoolType(number == number.to_integral_value())


def _as_integer(quantity: celtypes.StringType) -> celtypes.IntType:
    return celtypes.IntType(int(parse_quantity(str(quantity))))


def _sign(quantity: celtypes.StringType) -> celtypes.IntType:
    return _compare_to(quantity, celtypes.StringType("0"))


def _compare_to(quantity: celtypes.StringType, other: celtypes.StringType) -> celtypes.IntType:
    first, second = parse_quantity(str(quantity)), parse_quantity(str(other))
    return celtypes.IntType((first > second) - (first < second))
