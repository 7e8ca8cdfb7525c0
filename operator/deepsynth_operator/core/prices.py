"""What pods cost: the administrator's price table, and the only place where a price is computed.

    currency: USD
    entries:
      - nodeLabels: {node.kubernetes.io/instance-type: p4d.24xlarge}     pods that select nodes by these labels
        perHour: {nvidia.com/gpu: "4.10"}
      - perHour: {cpu: "0.0425", memory: "0"}                            all pods; memory per GiB

For each resource that a pod requests, the first entry counts that fits the pod and has a price for it. What has no
price costs nothing: a price per GPU usually includes the rest of its machine. No price is built in.
"""

from decimal import Context, Decimal, localcontext
from typing import Annotated, Any, Final

import yaml
from pydantic import BeforeValidator, Field, ValidationError

from deepsynth_api.errors import ConfigurationError
from deepsynth_api.v1alpha1.shared.base import ApiModel
from deepsynth_api.v1alpha1.shared.patterns import LabelKey, LabelValue, matching
from deepsynth_api.v1alpha1.shared.usage import NO_COST, Cost, HourlyPrice, format_amount, parse_amount
from deepsynth_api.workload import find_unknown
from deepsynth_operator.core.observed import PodRequest
from deepsynth_operator.core.quantity import parse_quantity

GIB: Final = Decimal(2**30)
_SECONDS_PER_HOUR: Final = 3600
_PER_GIB: Final = ("memory", "ephemeral-storage", "hugepages-")
_SMALLEST_PRICE: Final = Decimal("1e-9")
_SMALLEST_COST: Final = Decimal("1e-6")
_CONTEXT: Final = Context(prec=100)
"""More digits than any price times any quantity times any time has."""
_MAX_ENTRIES: Final = 1000


def _write_number(value: Any) -> Any:
    """YAML reads 3.06 as a float; its shortest form has the digits of the file."""
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return f"{Decimal(str(value)):f}" if is_number else value


Amount = Annotated[
    str,
    BeforeValidator(_write_number),
    matching(r"[0-9]{1,9}([.][0-9]{1,9})?", "must be a number from 0 with at most nine decimals, such as 3.06"),
]
Currency = Annotated[str, matching("[A-Z]{3}", "must be the ISO 4217 code of a currency, such as USD")]
_FORMS: Final = {
    "currency": "must be the ISO 4217 code of a currency, such as USD",
    "nodeLabels": "must be a label of nodes",
    "perHour": "must be the name of a resource, and its price a number from 0 with at most nine decimals, such as 3.06",
}
_NATIVE: Final = ("cpu", "memory", "ephemeral-storage", "hugepages-")
_REMEDIES: Final = {
    "too_short": "must have at least one price",
}


class PriceEntry(ApiModel):
    node_labels: Annotated[
        dict[LabelKey, LabelValue], Field(description="Labels by which a pod selects its nodes. Empty: all pods.")
    ] = Field(default_factory=dict)
    per_hour: Annotated[
        dict[LabelKey, Amount], Field(min_length=1, description="Price of one unit of each resource for an hour.")
    ]


class PriceTable(ApiModel):
    """One price table. Without entries, nothing has a price."""

    currency: Annotated[Currency | None, Field(description="ISO 4217 code, such as USD.")] = None
    entries: Annotated[list[PriceEntry], Field(max_length=_MAX_ENTRIES)] = Field(default_factory=list)


NO_PRICES: Final = PriceTable()


def parse_prices(text: str, where: str) -> PriceTable:
    """Raises ConfigurationError, naming `where` and the field."""
    try:
        value = yaml.safe_load(text) or {}
        table = PriceTable.model_validate(value)
    except (yaml.YAMLError, RecursionError) as error:
        raise ConfigurationError(f"{where}: must be YAML: {error}") from error
    except ValidationError as error:
        first = error.errors()[0]
        raise ConfigurationError(f"{_join(where, first['loc'])}: {_explain(first)}") from error
    except ValueError as error:  # a date such as 2026-13-01
        raise ConfigurationError(f"{where}: must be YAML: {error}") from error
    if unknown := find_unknown(value, table.model_dump(mode="json", by_alias=True)):
        remedy = "possible are currency and entries, and in an entry nodeLabels and perHour"
        if unknown == "prices":
            remedy = "it is a value of the chart; write what is below it here"
        raise ConfigurationError(f"{where}.{unknown}: unknown field; {remedy}")
    _check_resources(table, where)
    if table.entries and table.currency is None:
        raise ConfigurationError(f"{where}.currency: must be set if there are entries, such as USD")
    return table


def _check_resources(table: PriceTable, where: str) -> None:
    """Raise ConfigurationError for a name that no resource of a pod can have: its price would count for nothing."""
    for number, entry in enumerate(table.entries):
        for name in entry.per_hour:
            if "/" not in name and not name.startswith(_NATIVE):
                raise ConfigurationError(
                    f"{where}.entries[{number}].perHour.{name}: must be cpu, memory, ephemeral-storage, or the name of "
                    "a device with its domain, such as nvidia.com/gpu"
                )


def price_pod(table: PriceTable, pod: PodRequest) -> HourlyPrice | None:
    """The price of one pod for an hour; None if the table has no price for anything that it requests."""
    prices = {name: price for name in pod.requests if (price := _find_price(table, name, pod)) is not None}
    if not prices or table.currency is None:
        return None
    with localcontext(_CONTEXT):
        amount = sum((price * _count_units(name, pod.requests[name]) for name, price in prices.items()), NO_COST)
        return HourlyPrice(currency=table.currency, amount=format_amount(amount.quantize(_SMALLEST_PRICE)))


def compute_cost(price: HourlyPrice | None, pod_seconds: int, lost_pod_seconds: int) -> Cost | None:
    """What pods cost that ran for `pod_seconds`, all together."""
    if price is None:
        return None
    with localcontext(_CONTEXT):
        per_second = parse_amount(price.amount) / _SECONDS_PER_HOUR
        amount, lost = _round(per_second * pod_seconds), _round(per_second * lost_pod_seconds)
    return Cost(currency=price.currency, amount=amount, lost=lost)


def replace_cost(total: Cost | None, before: Cost | None, after: Cost | None) -> Cost | None:
    """`total` with one of its parts changed. A part in another currency than the total's cannot be added to it."""
    part = after or before
    if part is None or (total is not None and part.currency != total.currency):
        return total
    with localcontext(_CONTEXT):
        amount, lost = (
            _round(max(_get(total, field) - _get(before, field) + _get(after, field), NO_COST))
            for field in ("amount", "lost")
        )
    return Cost(currency=part.currency, amount=amount, lost=lost)


def _get(cost: Cost | None, field: str) -> Decimal:
    return NO_COST if cost is None else parse_amount(getattr(cost, field))


def _find_price(table: PriceTable, resource: str, pod: PodRequest) -> Decimal | None:
    for entry in table.entries:
        if resource in entry.per_hour and entry.node_labels.items() <= pod.node_selector.items():
            return Decimal(entry.per_hour[resource])
    return None


def _count_units(resource: str, quantity: int | str) -> Decimal:
    try:
        number = parse_quantity(quantity)
    except ValueError:
        return NO_COST
    return number / GIB if resource.startswith(_PER_GIB) else number


def _round(amount: Decimal) -> str:
    return format_amount(amount.quantize(_SMALLEST_COST))


def _explain(error: Any) -> str:
    """Of a pydantic error: what was expected and what was found."""
    form = next((_FORMS[part] for part in error["loc"] if part in _FORMS), error["msg"])
    expected = form if error["type"] == "string_pattern_mismatch" else _REMEDIES.get(error["type"], error["msg"])
    return f"{expected}, got {str(error['input'])[:60]!r}"


def _join(where: str, location: tuple[int | str, ...]) -> str:
    return where + "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in location)
