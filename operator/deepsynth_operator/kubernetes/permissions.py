"""All rights that the operator's service account has: the rules of its Role. A test compares the chart with them."""

from dataclasses import dataclass
from typing import Final

from deepsynth_api.kinds import GROUP, KINDS


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
        "children name them as owners that wait for their deletion",
    ),
    Rule(
        "batch",
        ("jobs",),
        ("get", "list", "watch", "create", "patch", "delete"),
        "steps and attempts; patch is for spec.parallelism",
    ),
    Rule("", ("pods",), ("list", "watch"), "exit codes, and where reports are read"),
    Rule("", ("services",), ("get", "create", "patch", "delete"), "names of an attempt's pods; get as below"),
    Rule("", ("configmaps",), ("get", "create", "delete"), "workload documents; get only to see whose an object is"),
    Rule("", ("events",), ("create", "patch"), "patch counts what is said again"),
)
"""In each namespace that is looked at, or in the whole cluster."""

CLUSTER_RULES: Final = (Rule("", ("nodes",), ("get",), "whether the node of a pod that does not end is lost"),)
"""Of objects without a namespace. Without it the operator works, and waits longer for lost nodes."""

PROXY_RULES: Final = (Rule("", ("pods/proxy",), ("get",), "reports through the API server"),)
"""Only with DEEPSYNTH_REPORTS_THROUGH_API_SERVER: this right lets its holder reach every pod."""
