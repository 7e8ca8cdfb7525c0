"""What was measured, as text."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from benchmarks.scale.costs import Costs

SHOWN_REQUESTS: Final = 8


@dataclass(frozen=True)
class Measurement:
    """One scenario. count: resources among which the costs are shared."""

    title: str
    count: int
    costs: Costs
    latencies: Mapping[str, Sequence[float]] = field(default_factory=dict)
    histories: Counter[str] = field(default_factory=Counter)
    """How often each sequence of states was shown."""
    notes: Sequence[str] = ()
    jumps: int | None = None
    """Resources with a state of a second or more that was never shown."""
    minutes: float = 0.0
    """If set, costs are shown per resource and minute."""


def format_measurement(found: Measurement) -> str:
    """One block of text."""
    costs, share = found.costs, found.count * (found.minutes or 1.0)
    unit = "per run and minute" if found.minutes else "each"
    total, own = sum(costs.requests.values()), sum(costs.own_requests.values())
    reconciles = sum(costs.reconciles.values())
    counted = f"   (the operator's own count: {own / share:.2f})" if own else ""
    lines = [
        f"\n{found.title}: {found.count} in {costs.seconds:.0f} s",
        f"  requests {unit:<21} {total / share:8.2f}{counted}",
    ]
    lines += [f"    {count / share:8.2f}  {name}" for name, count in costs.requests.most_common(SHOWN_REQUESTS)]
    if costs.failed_requests:
        refused = ", ".join(f"{count} x {name}" for name, count in costs.failed_requests.most_common(4))
        lines.append(f"  not answered with 2xx: {refused}")
    lines += [
        f"  CPU-ms {unit:<23} {1000 * costs.cpu / share:8.2f}   ({costs.cpu:.1f} s in all)",
        f"  memory, MiB: now, at most      {costs.memory:8.0f} {costs.peak_memory:8.0f}",
    ]
    if own:  # a peer has no metrics
        lines += [
            f"  reconciles {unit:<19} {reconciles / share:8.2f}",
            f"  wait for a worker, mean s      {costs.mean_wait:8.3f}",
        ]
    if found.latencies:
        lines.append(f"  {'seconds':<28} {'p50':>10} {'p95':>8} {'p99':>8} {'max':>8}")
        lines += [_format_latency(name, values) for name, values in found.latencies.items()]
    if found.histories:
        lines.append("  states shown:")
        lines += [f"    {count:>6}  {history}" for history, count in found.histories.most_common(6)]
    if found.jumps is not None:
        lines.append(f"  that jumped over a state of a second or more: {found.jumps} of {found.count}")
    return "\n".join([*lines, *(f"  {note}" for note in found.notes)])


def format_comparison(names: tuple[str, str], ours: Measurement, peer: Measurement) -> str:
    """Both next to each other, and the peer's figures as multiples of ours."""
    lines = [f"\n{ours.title}: {ours.count} runs of each{names[0]:>17} {names[1]:>18} {'ratio':>8}"]
    figures, others = _list_figures(ours), _list_figures(peer)
    for name in (name for name in figures if name in others):
        mine, other = figures[name], others[name]
        ratio = f"{other / mine:8.2f}" if mine else "       -"
        lines.append(f"  {name:<40} {mine:>12.2f} {other:>18.2f} {ratio}")
    return "\n".join(lines)


def _list_figures(found: Measurement) -> dict[str, float]:
    costs = found.costs
    figures = {
        "requests each": sum(costs.requests.values()) / found.count,
        "CPU-ms each": 1000 * costs.cpu / found.count,
        "memory, MiB, at most": costs.peak_memory,
        "seconds until all were done": costs.seconds,
    }
    for name, values in found.latencies.items():
        figures |= {f"{name}, s, p{percent}": compute_percentile(values, percent) for percent in (50, 95, 99)}
    return figures | ({} if found.jumps is None else {"jumped over a state": found.jumps})


def compute_percentile(values: Sequence[float], percent: float) -> float:
    """The value below which this share of all values is; 0 without values."""
    ordered = sorted(values)
    return ordered[min(int(len(ordered) * percent / 100), len(ordered) - 1)] if ordered else 0.0


def _format_latency(name: str, values: Sequence[float]) -> str:
    shown = [compute_percentile(values, percent) for percent in (50, 95, 99, 100)]
    return f"    {name:<28}" + "".join(f"{value:>9.2f}" for value in shown)
