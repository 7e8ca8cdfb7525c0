"""From a seed to the faults of a campaign. The same seed and number always give the same plan.

draw_plan(4, 3) -> PlannedFault(1, after=1.7, "pod-deleted", seconds=11.3, draw=0.52), ...
"""

import random
from dataclasses import dataclass
from typing import Final, Literal, get_args

FaultName = Literal[
    "container-killed",
    "worker-killed",
    "pod-deleted",
    "pod-evicted",
    "job-deleted",
    "node-lost",
    "nodes-partitioned",
    "leader-killed",
    "leader-terminated",
    "leader-stopped",
    "leader-cut-off",
    "standby-killed",
    "both-operators-killed",
    "api-server-restarted",
    "etcd-stopped",
    "controller-manager-restarted",
    "hub-down",
    "disk-full",
    "clock-jumps",
    "operator-clock-jumps",
]
WEIGHTS: Final[dict[FaultName, int]] = {
    "container-killed": 8,
    "worker-killed": 8,
    "pod-deleted": 8,
    "pod-evicted": 8,
    "job-deleted": 5,
    "node-lost": 2,
    "nodes-partitioned": 5,
    "leader-killed": 8,
    "leader-terminated": 5,
    "leader-stopped": 4,
    "leader-cut-off": 4,
    "standby-killed": 3,
    "both-operators-killed": 3,
    "api-server-restarted": 3,
    "etcd-stopped": 2,
    "controller-manager-restarted": 3,
    "hub-down": 4,
    "disk-full": 4,
    "clock-jumps": 4,
    "operator-clock-jumps": 4,
}
"""How often each fault is drawn, relative to the others. Slow ones are rare, because nothing else happens meanwhile."""
MIN_SECONDS: Final = 3.0
MAX_SECONDS: Final = 20.0
"""How long a fault lasts that has a duration: shorter and longer than a leader may be away."""
MAX_GAP_SECONDS: Final = 4.0


@dataclass(frozen=True, slots=True)
class PlannedFault:
    """after: seconds since the fault before has ended. draw: in [0, 1), chooses the victim among those there are."""

    number: int
    after: float
    fault: FaultName
    seconds: float
    draw: float

    def __str__(self) -> str:
        return f"{self.number}. {self.fault} after {self.after} s, for {self.seconds} s, draw {self.draw}"


def draw_plan(seed: int, kills: int, only: tuple[FaultName, ...] = ()) -> tuple[PlannedFault, ...]:
    """`kills` faults. only: the faults to draw from; empty means all."""
    generator = random.Random(seed)  # noqa: S311 - not for secrets
    names = list(only or get_args(FaultName))
    return tuple(
        PlannedFault(
            number,
            after=round(generator.uniform(0.0, MAX_GAP_SECONDS), 1),
            fault=generator.choices(names, [WEIGHTS[name] for name in names])[0],
            seconds=round(generator.uniform(MIN_SECONDS, MAX_SECONDS), 1),
            draw=round(generator.random(), 4),
        )
        for number in range(1, kills + 1)
    )
