"""The price table: what a pod costs, to the last digit, and what an administrator may have written wrong."""

import pytest

from deepsynth_api.errors import ConfigurationError
from deepsynth_api.v1alpha1.shared.usage import Cost, HourlyPrice, format_amount, parse_amount
from deepsynth_operator.core.observed import PodRequest
from deepsynth_operator.core.prices import (
    compute_cost,
    parse_prices,
    price_pod,
    replace_cost,
)

A100 = {"node.kubernetes.io/instance-type": "p4d.24xlarge"}
TABLE = parse_prices(
    """
currency: USD
entries:
  - nodeLabels: {node.kubernetes.io/instance-type: p4d.24xlarge}
    perHour: {nvidia.com/gpu: 4.10}
  - perHour: {nvidia.com/gpu: "3.06", cpu: "0.0425", memory: "0.01"}
""",
    "prices",
)


def price(requests: dict[str, str], labels: dict[str, str] | None = None) -> str | None:
    found = price_pod(TABLE, PodRequest(requests, labels or {}))
    return found.amount if found else None


def test_a_pod_costs_what_it_requests_at_the_first_price_that_fits_its_nodes() -> None:
    assert price({"cpu": "4"}) == "0.17"
    assert price({"cpu": "500m", "memory": "2Gi"}) == "0.04125"
    assert price({"nvidia.com/gpu": "8"}) == "24.48"
    assert price({"nvidia.com/gpu": "8"}, A100) == "32.80"
    assert price({"nvidia.com/gpu": "1", "cpu": "4"}, A100) == "4.27", "the next entry has the price of a CPU"


def test_a_pod_that_requests_nothing_with_a_price_has_none() -> None:
    assert price({"example.com/fpga": "1"}) is None
    assert price({}) is None
    assert price_pod(parse_prices("", "prices"), PodRequest({"cpu": "4"})) is None


def test_amounts_are_exact_where_floats_are_not() -> None:
    third = compute_cost(HourlyPrice(currency="USD", amount="0.10"), 3 * 3600, 0)
    assert third == Cost(currency="USD", amount="0.30", lost="0")
    total = None
    for _ in range(1000):
        total = replace_cost(total, None, Cost(currency="USD", amount="0.01", lost="0.001"))
    assert total == Cost(currency="USD", amount="10", lost="1")


def test_a_part_that_is_counted_again_replaces_what_it_was() -> None:
    first, second = (Cost(currency="USD", amount=amount, lost="0") for amount in ("1.25", "2.50"))
    total = replace_cost(Cost(currency="USD", amount="10", lost="0"), None, first)
    assert replace_cost(total, first, second) == Cost(currency="USD", amount="12.50", lost="0")
    assert replace_cost(total, first, first) == total


def test_amounts_in_another_currency_are_not_added() -> None:
    total = Cost(currency="USD", amount="10")
    assert replace_cost(total, None, Cost(currency="EUR", amount="5")) == total


@pytest.mark.parametrize("text", ["", "NaN", "-1", "1e9", "1_000", "٣", "1.2.3", "9" * 100])
def test_an_amount_that_the_operator_did_not_write_counts_as_nothing(text: str) -> None:
    assert parse_amount(text) == 0


def test_the_largest_requests_prices_and_times_have_a_cost() -> None:
    table = parse_prices("{currency: USD, entries: [{perHour: {cpu: '999999999.999999999'}}]}", "prices")
    largest = price_pod(table, PodRequest({"cpu": "9e99"}))
    cost = compute_cost(largest, 2**53, 2**53)
    assert cost is not None
    assert len(cost.amount) < 50
    assert parse_amount(cost.amount) > 0
    assert replace_cost(cost, cost, cost) == cost


@pytest.mark.parametrize("quantity", ["", "lots", "1e999", "٣"])
def test_a_quantity_that_cannot_be_read_costs_nothing(quantity: str) -> None:
    assert price({"cpu": quantity}) == "0"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("entries: [{perHour: {cpu: 1}}]", r"^prices.currency: must be set"),
        ("{currency: dollars, entries: []}", r"^prices.currency: must be .*, got 'dollars'"),
        ("{currency: USD, entries: [{perHour: {cpu: -1}}]}", r"^prices.entries\[0\].perHour.cpu: must be .*, got '-1'"),
        ("{currency: USD, entries: [{perHour: {cpu: .inf}}]}", r"^prices.entries\[0\].perHour.cpu: "),
        ("{currency: USD, entries: [{perHour: {cpu: true}}]}", r"^prices.entries\[0\].perHour.cpu: "),
        ("{currency: USD, entries: [{perHour: {}}]}", r"^prices.entries\[0\].perHour: must have at least one price"),
        ("{currency: USD, entries: [{perhour: {cpu: 1}}]}", r"^prices.entries\[0\].perHour: "),
        ("{currency: USD, entries: [{perHour: {gpu: 3.5}}]}", r"perHour.gpu: must be cpu.* such as nvidia.com/gpu"),
        ("prices: {currency: USD}", r"^prices.prices: unknown field; .* write what is below it here"),
        ("{currency: USD, entries: [{perHour: {cpu: 1}, zone: a}]}", r"^prices.entries\[0\].zone: unknown field"),
        ("[1, 2]", r"^prices: "),
        ("currency: [", r"^prices: must be YAML"),
        ("currency: 2026-13-01", r"^prices"),
    ],
)
def test_an_invalid_table_is_refused_with_the_path_of_the_field(text: str, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        parse_prices(text, "prices")


def test_amounts_are_written_as_prices_are() -> None:
    assert [format_amount(parse_amount(text)) for text in ("12.5", "3.000", "0.001", "0")] == [
        "12.50",
        "3",
        "0.001",
        "0",
    ]
