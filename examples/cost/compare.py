"""What six datasets and a training cost: the replaced system's table from its own inputs, then the same datasets here.

.venv/bin/python examples/cost/compare.py
"""

from collections.abc import Iterator, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

import yaml

from deepsynth_api.v1alpha1.shared.usage import parse_amount
from deepsynth_operator.core.observed import PodRequest
from deepsynth_operator.core.prices import compute_cost, parse_prices, price_pod

FOLDER = Path(__file__).parent
PRICES = parse_prices((FOLDER / "prices.yaml").read_text(), "prices.yaml")


def compute_replaced() -> dict[str, Decimal]:
    """Its table: amounts in USD, and hours of waiting."""
    inputs = read("replaced-system.yaml")
    generation, training = inputs["generation"], inputs["training"]
    hours = list(generation["hours"].values())
    cpus, gpu, long = generation["machine"], training["machine"], training["hours"]["production"]
    parallel = pay(cpus, len(hours) * max(hours))
    return {
        "generation, one machine": pay(cpus, sum(hours)),
        "generation, six machines, all paid until the last has ended": parallel,
        "generation, six machines, each paid until it has ended": pay(cpus, sum(hours)),
        "training, test": pay(gpu, training["hours"]["test"]),
        "training, production": pay(gpu, long),
        "in all, separate": parallel + pay(gpu, long),
        "in all, generation on the GPU machine": pay(gpu, sum(hours) + long),
        "hours, separate on six machines": Decimal(max(hours) + long),
        "hours, one after the other": Decimal(sum(hours) + long),
    }


def compute_here() -> Iterator[tuple[str, int, Decimal, Decimal]]:
    """Name, documents, CPU-hours and cost of rendering each dataset."""
    inputs = read("here.yaml")
    renderer = inputs["renderer"]
    for name, size in inputs["datasets"].items():
        words = size["rows"] * size["bytesPerRow"] / renderer["bytesPerWord"]
        hours = words / renderer["wordsPerSecond"] / 3600
        yield name, size["rows"], Decimal(f"{hours:.3f}"), pay({"cpu": 1}, hours)


def pay(requests: Mapping[str, int], hours: float) -> Decimal:
    """What one pod with these requests costs that runs for so long, by the operator's own arithmetic."""
    cost = compute_cost(price_pod(PRICES, PodRequest(requests)), round(hours * 3600), 0)
    return parse_amount(cost.amount) if cost else Decimal(0)


def read(name: str) -> Any:
    return yaml.safe_load((FOLDER / name).read_text())


def main() -> None:
    print("The replaced system's table, from its own inputs")
    for name, value in compute_replaced().items():
        print(f"  {name:<62}{value:>9.0f} h" if name.startswith("hours") else f"  {name:<62}{value:>9.2f} USD")
    print("\nRendering of the same six datasets here, on one core after the other")
    rows = list(compute_here())
    for name, documents, hours, cost in rows:
        print(f"  {name:<16}{documents:>12,} documents{hours:>9.2f} CPU-hours{cost:>9.4f} USD")
    hours, cost = sum(row[2] for row in rows), sum(row[3] for row in rows)
    print(f"  {'in all':<16}{sum(row[1] for row in rows):>12,} documents{hours:>9.2f} CPU-hours{cost:>9.4f} USD")


if __name__ == "__main__":
    main()
