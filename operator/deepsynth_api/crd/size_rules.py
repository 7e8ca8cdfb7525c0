"""CEL rules that limit what one resource may take altogether, where limits of single fields multiply to too much.

A list of 32 volumes with 32 settings of 1,024 characters each would be a megabyte. The operator keeps resources in
memory, so a few dozen of these would be enough to exceed its limit.
"""

from typing import Final

from deepsynth_api.crd.pod_rules import Rule
from deepsynth_api.v1alpha1.shared.patterns import QUANTITY

MAX_KEY_LENGTH: Final = 317
"""A label's key: 253 characters of a domain, a slash, 63 characters of a name."""
KEY_RULE: Final = {
    "rule": f"self.all(k, k.size() <= {MAX_KEY_LENGTH})",
    "message": f"keys must have at most {MAX_KEY_LENGTH} characters",
}
"""On every map: a structural schema cannot limit keys."""
QUANTITY_RULE: Final = {
    "rule": f"string(self).matches('{QUANTITY}')",
    "message": "must be a quantity such as 8, 500m or 40Gi; an exponent has at most two digits",
}
"""On every quantity: `1e999999` takes seconds to compute with."""

_TEMPLATE: Final = "spec.template"
_NODES: Final = f"{_TEMPLATE}.affinity.nodeAffinity"
_EXECUTION: Final = "DuringSchedulingIgnoredDuringExecution"


def _sum(path: str, of: str, limit: int, what: str) -> Rule:
    """The sum over the items of the list, or the keys of the map, at `path`."""
    return Rule(path, f"self.map(item, {of}).sum() <= {limit}", f"{what} must be at most {limit:,} together")


def _count(field: str) -> str:
    """CEL: the number of entries of item.`field`, whose parents may be missing."""
    parts = field.split(".")
    present = " && ".join(f"has(item.{'.'.join(parts[:depth])})" for depth in range(1, len(parts) + 1))
    return f"({present} ? item.{field}.size() : 0)"


def _values(term: str) -> str:
    """CEL: the number of values in all expressions of a term for nodes."""
    values = "(has(part.values) ? part.values.size() : 0)"
    return f"(has({term}.matchExpressions) ? {term}.matchExpressions.map(part, {values}).sum() : 0)"


_TERMS: Final = " + ".join(
    f"(has(self.{kind}) && has(self.{kind}.{when}{_EXECUTION}) ? self.{kind}.{when}{_EXECUTION}.size() : 0)"
    for kind in ("podAffinity", "podAntiAffinity")
    for when in ("required", "preferred")
)

SIZE_RULES: Final = (
    _sum(f"{_TEMPLATE}.annotations", "self[item].size()", 32_768, "characters of all annotations"),
    _sum(f"{_TEMPLATE}.env", "has(item.value) ? item.value.size() : 0", 65_536, "characters of all values"),
    _sum(
        f"{_TEMPLATE}.volumes", f"{_count('configMap.items')} + {_count('secret.items')}", 128, "items of all volumes"
    ),
    _sum(f"{_TEMPLATE}.volumes", _count("csi.volumeAttributes"), 64, "volumeAttributes of all volumes"),
    Rule(
        f"{_TEMPLATE}.volumes",
        "self.filter(item, has(item.ephemeral)).size() <= 4",
        "at most 4 volumes may be ephemeral; use persistentVolumeClaim for others",
    ),
    _sum(f"{_NODES}.required{_EXECUTION}.nodeSelectorTerms", _values("item"), 256, "values of all terms"),
    _sum(f"{_NODES}.preferred{_EXECUTION}", _values("item.preference"), 256, "values of all terms"),
    Rule(
        f"{_TEMPLATE}.affinity",
        f"{_TERMS} <= 8",
        "podAffinity and podAntiAffinity may have at most 8 terms together",
        ".podAffinity",
    ),
)
