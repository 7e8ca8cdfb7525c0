"""Evaluate the CEL rules of a CRD (x-kubernetes-validations), as the API server does on create and update.

CEL itself is Google's library; the functions of Kubernetes that the rules use (quantity, isQuantity, ...) are here.
"""

from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

from cel_expr_python import cel

from deepsynth_client.manifest_file import FieldPath
from deepsynth_local.admission.structural import Schema
from deepsynth_operator.core.quantity import parse_quantity


def find_broken_rules(value: Any, old: Any, schema: Schema, path: FieldPath = ()) -> Iterator[tuple[FieldPath, str]]:
    """Path and message of every rule that `value` breaks. `old` is None on create: rules about oldSelf are skipped."""
    for rule in schema.get("x-kubernetes-validations", []):
        transition = "oldSelf" in rule["rule"]
        compared = old if transition else None
        if (old is not None or not transition) and _evaluate(rule["rule"], value, compared) is not True:
            message = _evaluate(rule["messageExpression"], value, compared) if "messageExpression" in rule else None
            found = message.strip() if isinstance(message, str) and message.strip() else rule["message"]
            yield (*path, *rule.get("fieldPath", "").split(".")[1:]), found
    if isinstance(value, dict):
        before = old if isinstance(old, dict) else {}
        properties, others = schema.get("properties", {}), schema.get("additionalProperties", {})
        for key in value:
            yield from find_broken_rules(value[key], before.get(key), properties.get(key, others), (*path, key))
    elif isinstance(value, list) and "items" in schema:
        for index, item in enumerate(value):
            yield from find_broken_rules(item, None, schema["items"], (*path, index))


def _evaluate(expression: str, value: Any, old: Any) -> object:
    """An error object where it cannot be evaluated; the API server then rejects the resource."""
    variables = {"self": value} if old is None else {"self": value, "oldSelf": old}
    return _compile(expression).eval(data=variables).value()


@cache
def _compile(rule: str) -> cel.Expression:
    return _build_environment().compile(rule)


@cache
def _build_environment() -> cel.Env:
    boolean, integer, text, anything = cel.Type.BOOL, cel.Type.INT, cel.Type.STRING, cel.Type.DYN
    return cel.NewEnv(
        variables={"self": anything, "oldSelf": anything},
        functions=[
            _declare("quantity", _quantity, [text], text),
            _declare("isQuantity", _is_quantity, [text], boolean),
            _declare("sign", _sign, [text], integer),
            _declare("isInteger", _is_integer, [text], boolean, is_method=True),
            _declare("asInteger", _as_integer, [text], integer, is_method=True),
            _declare("compareTo", _compare_to, [text, text], integer, is_method=True),
            _declare("sum", sum, [cel.Type.List(integer)], integer, is_method=True),
        ],
    )


def _declare(
    name: str,
    function: Callable[..., Any],
    parameters: list[cel.Type],
    result: cel.Type,
    *,
    is_method: bool = False,
) -> cel.FunctionDecl:
    """is_method: whether it is called on its first parameter."""
    overload = cel.Overload(name, return_type=result, parameters=parameters, is_member=is_method, impl=function)
    return cel.FunctionDecl(name, [overload])


def _quantity(text: str) -> str:
    """A quantity in its canonical form, so that equal ones are equal."""
    return f"{parse_quantity(text).normalize():f}"


def _is_quantity(text: str) -> bool:
    try:
        parse_quantity(text)
    except ValueError:
        return False
    return True


def _is_integer(quantity: str) -> bool:
    number = parse_quantity(quantity)
    return number == number.to_integral_value()


def _as_integer(quantity: str) -> int:
    return int(parse_quantity(quantity))


def _sign(quantity: str) -> int:
    return _compare_to(quantity, "0")


def _compare_to(quantity: str, other: str) -> int:
    first, second = parse_quantity(quantity), parse_quantity(other)
    return (first > second) - (first < second)
