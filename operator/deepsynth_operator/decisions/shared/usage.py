"""CPU time and cost of an attempt or a Job: computed from its entry in the status, and from how long its pods ran.

    note_price       once, when the first pod starts: CPUs and price of each pod         -> entry
    measure_usage    seconds of its pods, times those                                    -> entry
    replace_usage    the total, less what the entry was counted with, plus what it is    -> status.usage

Entry and total are written together, so an operator that is killed anywhere neither loses nor doubles anything.
"""

from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

from deepsynth_api.v1alpha1.shared.usage import ContainerUsage, HourlyPrice
from deepsynth_operator.core.observed import ObservedJob, ObservedPod
from deepsynth_operator.core.prices import PriceTable, compute_cost, price_pod, replace_cost
from deepsynth_operator.core.quantity import parse_quantity
from deepsynth_operator.decisions.shared.numbers import sum_counts

Total = TypeVar("Total", bound=ContainerUsage)
_NO_CPUS = "0"


def note_price(
    job: ObservedJob | None, pods: Sequence[ObservedPod], prices: PriceTable
) -> tuple[str, HourlyPrice | None] | None:
    """CPUs and price of each pod of `job`; None before one has started: until then a queue may change its nodes."""
    if job is None or not any(pod.started is not None for pod in pods):
        return None
    cpus = str(job.pod.requests.get("cpu", _NO_CPUS))
    return cpus if _parse_cpus(cpus) else _NO_CPUS, price_pod(prices, job.pod)


def measure_usage(
    cpus: str | None, price: HourlyPrice | None, pod_seconds: int, lost_pod_seconds: int
) -> Mapping[str, Any]:
    """Fields of ContainerUsage of pods that each requested `cpus`."""
    return {
        "cpu_seconds": _count_cpu_seconds(cpus, pod_seconds),
        "lost_cpu_seconds": _count_cpu_seconds(cpus, lost_pod_seconds),
        "cost": compute_cost(price, pod_seconds, lost_pod_seconds),
    }


def replace_usage(total: Total, before: ContainerUsage, after: ContainerUsage) -> Total:
    """`total` with one of the entries that it is the sum of changed."""
    return total.updated(
        cpu_seconds=sum_counts([total.cpu_seconds, -before.cpu_seconds, after.cpu_seconds]),
        lost_cpu_seconds=sum_counts([total.lost_cpu_seconds, -before.lost_cpu_seconds, after.lost_cpu_seconds]),
        cost=replace_cost(total.cost, before.cost, after.cost),
    )


def _count_cpu_seconds(cpus: str | None, seconds: int) -> int:
    """Rounded to whole seconds: cut, requests of a few millicores would count for nothing."""
    return sum_counts([round(_parse_cpus(cpus or _NO_CPUS) * seconds)])


def _parse_cpus(cpus: str) -> Any:
    try:
        return max(parse_quantity(cpus), 0)
    except ValueError:
        return 0
