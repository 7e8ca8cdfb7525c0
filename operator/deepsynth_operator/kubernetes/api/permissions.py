"""Everything that the operator's service account may do. `make chart-rules` writes the chart's roles from it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from deepsynth_api.kinds import GROUP, KINDS
from deepsynth_operator.core.settings import GangApi


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule of a Role. why: the reason, for a security review."""

    group: str
    resources: tuple[str, ...]
    verbs: tuple[str, ...]
    why: str


_PLURALS: Final = tuple(kind.plural for kind in KINDS.values())

RULES: Final = (
    Rule(GROUP, _PLURALS, ("get", "list", "watch"), "watched, and read before acting"),
    Rule(GROUP, tuple(f"{plural}/status" for plural in _PLURALS), ("update",), "the only write on users' objects"),
    Rule(
        GROUP,
        tuple(f"{plural}/finalizers" for plural in _PLURALS),
        ("update",),
        "children name their owner with blockOwnerDeletion, which asks for this right",
    ),
    Rule(
        "batch",
        ("jobs",),
        ("get", "list", "watch", "create", "patch", "delete"),
        "steps and attempts; patch is for parallelism, deadlines, queues, and to suspend a queued Job",
    ),
    Rule("batch", ("jobs/status",), ("patch",), "how many pods use the quota of a queued generation, for its queue"),
    Rule("", ("pods",), ("list", "watch"), "exit codes, and where reports are read"),
    Rule(
        "",
        ("services",),
        ("get", "create", "delete"),
        "DNS names of an attempt's pods; get only to see who owns one",
    ),
    Rule("", ("configmaps",), ("get", "create", "delete"), "workload documents; get only to see who owns one"),
    Rule("", ("events",), ("create", "patch"), "patch counts a repeated Event"),
)
"""In each watched namespace, or in the whole cluster."""

QUEUE_RULES: Final = (
    Rule("kueue.x-k8s.io", ("workloads",), ("list",), "why a queued Job waits; the list is that of one Job's label"),
)
"""Optional: without it, a run in a queue shows that it waits, but not why."""

CLUSTER_RULES: Final = (Rule("", ("nodes",), ("get",), "to see whether the node of a pod that does not end is lost"),)
"""Of objects without a namespace. Without them the operator works, but waits longer for lost nodes."""

LEASE_RULES: Final = (
    Rule("coordination.k8s.io", ("leases",), ("get", "create", "update"), "the process that holds the Lease leads"),
)
"""In the operator's own namespace, only with several replicas."""

PROXY_RULES: Final = (Rule("", ("pods/proxy",), ("get",), "reports are read through the API server"),)
"""Only with DEEPSYNTH_REPORTS_THROUGH_API_SERVER: this right lets its holder reach every pod."""

POLICY_RULES: Final = (
    Rule(
        "networking.k8s.io",
        ("networkpolicies",),
        ("get", "create", "patch"),
        "who may reach the pods of a resource; get only to see who owns one",
    ),
)
"""Only with DEEPSYNTH_REPORT_PEERS."""


def _allow_pod_groups(group: str) -> tuple[Rule, ...]:
    return (Rule(group, ("podgroups",), ("get", "create", "delete"), "the pods that a gang scheduler starts together"),)


GANG_RULES: Final[Mapping[GangApi, tuple[Rule, ...]]] = {
    "volcano": _allow_pod_groups("scheduling.volcano.sh"),
    "coscheduling": _allow_pod_groups("scheduling.x-k8s.io"),
    "kubernetes-v1alpha2": _allow_pod_groups("scheduling.k8s.io"),
    "kubernetes-v1beta1": _allow_pod_groups("scheduling.k8s.io"),
    "kai": (),
}
"""Only with a scheduler of DEEPSYNTH_GANG_SCHEDULERS that has this API."""
