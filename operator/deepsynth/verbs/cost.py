"""`deepsynth cost`: what resources have cost, by the prices of when their pods started. What was lost is apart."""

from collections.abc import Iterator, Sequence
from decimal import Decimal
from typing import Final

from deepsynth.verbs.get import Query, find_resources
from deepsynth.verbs.names import KIND_NAMES, find_all, format_short_name
from deepsynth_api.v1alpha1.shared.usage import NO_COST, Cost, Usage, format_amount, parse_amount
from deepsynth_client.interface import Manifest, Resources
from deepsynth_client.tables import format_table

_HEADER: Final = ["NAME", "STATE", "USEFUL", "LOST", "CURRENCY", "CPU-SECONDS", "LOST", "GPU-SECONDS", "LOST"]
_UNSET: Final = "-"


def list_costs(resources: Resources, words: Sequence[str]) -> str:
    """The table, with a total for each currency; empty when there are no resources. Raises NotFoundError."""
    are_names = bool(words) and words[0] not in KIND_NAMES and not any("/" in word or "," in word for word in words)
    found = find_all(resources, words) if are_names else find_resources(resources, Query(words))
    return build_cost_table(found) if found else ""


def build_cost_table(found: Sequence[Manifest]) -> str:
    usages = [Usage.model_validate(item.get("status", {}).get("usage", {})) for item in found]
    rows = [_format_row(item, usage) for item, usage in zip(found, usages, strict=True)]
    return format_table([_HEADER, *rows, *(_list_totals(usages) if len(found) > 1 else ())])


def _format_row(resource: Manifest, usage: Usage) -> list[str]:
    state = str(resource.get("status", {}).get("state") or "Pending")
    return [format_short_name(resource), state, *_format_cost(usage.cost), *_format_seconds([usage])]


def _list_totals(usages: Sequence[Usage]) -> Iterator[list[str]]:
    """One row for each currency, whose amounts cannot be added, and one for what was used and has no price."""
    for currency in dict.fromkeys(usage.cost.currency if usage.cost else "" for usage in usages):
        of_currency = [usage for usage in usages if (usage.cost.currency if usage.cost else "") == currency]
        costs = [usage.cost for usage in of_currency if usage.cost]
        total = Cost(currency=currency, amount=_sum(cost.amount for cost in costs), lost=_sum(c.lost for c in costs))
        if currency:
            yield ["total", "", *_format_cost(total), *_format_seconds(of_currency)]
        elif any(usage.cpu_seconds or usage.gpu_seconds for usage in of_currency):
            yield ["total without a price", "", *_format_cost(None), *_format_seconds(of_currency)]


def _sum(amounts: Iterator[str]) -> str:
    return format_amount(sum(map(parse_amount, amounts), NO_COST))


def _format_cost(cost: Cost | None) -> list[str]:
    if cost is None:
        return [_UNSET, _UNSET, _UNSET]
    amount, lost = parse_amount(cost.amount), parse_amount(cost.lost)
    return [_format_amount(max(amount - lost, NO_COST)), _format_amount(lost), cost.currency]


def _format_amount(amount: Decimal) -> str:
    """At least two places, as users write money."""
    return f"{amount:.2f}" if amount == round(amount, 2) else format_amount(amount)


def _format_seconds(usages: Sequence[Usage]) -> list[str]:
    """In all, and the lost part of it."""
    totals = [
        sum(usage.cpu_seconds for usage in usages),
        sum(usage.lost_cpu_seconds for usage in usages),
        sum(usage.gpu_seconds for usage in usages),
        sum(usage.lost_gpu_seconds for usage in usages),
    ]
    return [f"{seconds:,}" for seconds in totals]
