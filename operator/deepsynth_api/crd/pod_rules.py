"""CEL rules for fields that end up in a pod: reject them on the resource, before the API server rejects the Job."""

from dataclasses import dataclass
from typing import Final

_KEY: Final = (
    "^([a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?/)?[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$"  # as the API server's
)
_VALUE: Final = "^([A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?$"
_OWN_FOLDERS: Final = "^/+((etc/+deepsynth|mnt/+volumes|var/+cache/+deepsynth|dev)(/.*)?|tmp/*)?$"
_DEVICE: Final = "contains('/')"
_DEVICE_KEY: Final = "^[a-z0-9]([-a-z0-9.]{0,242}[a-z0-9])?/[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$"
"""Shorter than a label's key: a quota writes `requests.` in front of it."""


@dataclass(frozen=True)
class Rule:
    """One CEL rule of a CRD.

    path: the schema that holds the rule, dotted, with [] for list items, such as `spec.template.volumes[]`.
    field: fieldPath below `path`, such as `.mountPath`. message: names the field and what to do. message_expression:
    CEL of a better one.
    """

    path: str
    rule: str
    message: str
    field: str = ""
    message_expression: str = ""

    def to_dict(self) -> dict[str, str]:
        entry = {"rule": self.rule, "message": self.message}
        others = {"fieldPath": self.field, "messageExpression": self.message_expression}
        return entry | {name: value for name, value in others.items() if value}


def _quantities(path: str, field: str) -> tuple[Rule, ...]:
    """Rules for the limits or the requests of the ResourceRequirements at `path`."""
    amounts, amount = f"self.{field}", f"string(self.{field}[k])"
    return (
        Rule(
            path,
            f"!has({amounts}) || {amounts}.all(k, isQuantity({amount}) && sign(quantity({amount})) >= 0)",
            f"{field} must be quantities of at least 0, such as 8, 500m or 40Gi",
            f".{field}",
        ),
        Rule(
            path,
            f"!has({amounts}) || {amounts}.all(k, k in ['cpu', 'memory', 'ephemeral-storage'] || "
            f"k.startsWith('hugepages-') || k.{_DEVICE})",
            f"{field} may only name cpu, memory, ephemeral-storage, hugepages-SIZE and devices with their domain, "
            "such as nvidia.com/gpu",
            f".{field}",
        ),
        Rule(
            path,
            f"!has({amounts}) || {amounts}.all(k, !k.{_DEVICE} || k.matches('{_DEVICE_KEY}') && "
            "!k.startsWith('requests.'))",
            f"{field} must name devices as DOMAIN/NAME, such as nvidia.com/gpu or rdma/hca_shared_devices_a",
            f".{field}",
        ),
        Rule(
            path,
            f"!has({amounts}) || {amounts}.all(k, !k.{_DEVICE} || !isQuantity({amount}) || "
            f"quantity({amount}).isInteger())",
            f"{field} must be integers for devices such as nvidia.com/gpu",
            f".{field}",
        ),
    )


def _requests(path: str) -> tuple[Rule, ...]:
    """Rules for requests compared with limits."""
    both = "isQuantity(string(self.requests[k])) && isQuantity(string(self.limits[k]))"
    request, limit = "quantity(string(self.requests[k]))", "quantity(string(self.limits[k]))"
    return (
        Rule(
            path,
            "!has(self.requests) || !has(self.limits) || self.requests.all(k, !(k in self.limits) || "
            f"!({both}) || {request}.compareTo({limit}) <= 0)",
            "requests must be at most limits",
            ".requests",
        ),
        Rule(
            path,
            f"!has(self.requests) || self.requests.all(k, !k.{_DEVICE} || has(self.limits) && k in self.limits && "
            f"(!({both}) || {request} == {limit}))",
            "requests of a device such as nvidia.com/gpu must equal its limit; set only the limit",
            ".requests",
        ),
    )


def build_resource_rules(path: str) -> tuple[Rule, ...]:
    """All rules for the ResourceRequirements at `path`."""
    return (*_quantities(path, "limits"), *_quantities(path, "requests"), *_requests(path))


def _keys(field: str) -> Rule:
    return Rule(
        f"spec.template.{field}",
        f"self.all(k, k.matches('{_KEY}'))",
        f"keys of {field} must be NAME or DOMAIN/NAME: at most 63 letters, digits, '-', '_' and '.' in NAME",
    )


_LABEL_RULES: Final = (
    *(_keys(field) for field in ("labels", "annotations", "nodeSelector")),
    Rule(
        "spec.template.labels",
        "self.all(k, !k.startsWith('deepsynth.io/') && !k.startsWith('kueue.x-k8s.io/') && "
        "!(k in ['app.kubernetes.io/managed-by', 'app.kubernetes.io/part-of', 'app.kubernetes.io/component']))",
        "labels of the operator and of Kueue cannot be set here; remove them, and set Kueue's in metadata.labels",
    ),
)

_VOLUME_RULES: Final = (
    Rule(
        "spec.template.volumes[]",
        "[has(self.persistentVolumeClaim), has(self.configMap), has(self.secret), has(self.emptyDir), "
        "has(self.csi), has(self.ephemeral)].filter(is_set, is_set).size() == 1",
        "set exactly one of persistentVolumeClaim, configMap, secret, emptyDir, csi and ephemeral",
    ),
    Rule(
        "spec.template.volumes[]",
        f"!self.mountPath.matches('{_OWN_FOLDERS}')",
        "mountPath is reserved for DeepSynth; choose another path",
        ".mountPath",
    ),
    Rule(
        "spec.template.volumes[]",
        "!(self.name in ['document', 'tmp', 'shm', 'cache']) && !self.name.startsWith('claim-')",
        "name is reserved for DeepSynth; choose another name",
        ".name",
    ),
    Rule(
        "spec.template.volumes[]",
        "!has(self.subPath) || !self.subPath.startsWith('/') && !self.subPath.matches('(^|/)[.][.](/|$)')",
        "subPath must be a relative path within the volume, without '..'",
        ".subPath",
    ),
    Rule(
        "spec.template.volumes",
        "self.all(volume, self.exists_one(other, other.mountPath == volume.mountPath))",
        "mountPath must be unique; give each volume its own path",
    ),
)

_ENVIRONMENT_RULES: Final = (
    Rule(
        "spec.template.env[]",
        "!self.name.startsWith('DEEPSYNTH_') && !self.name.startsWith('PET_') && "
        "!self.name.startsWith('TORCHELASTIC_') && !(self.name in ['JOB_COMPLETION_INDEX', 'MASTER_ADDR', "
        "'MASTER_PORT', 'RANK', 'LOCAL_RANK', 'WORLD_SIZE', 'LOCAL_WORLD_SIZE'])",
        "name is reserved for the launcher; choose another name",
        ".name",
    ),
    Rule(
        "spec.template.env[]",
        "!(has(self.value) && has(self.valueFrom))",
        "set value or valueFrom, not both",
        ".value",
    ),
)

_SPREAD: Final = "spec.template.topologySpreadConstraints[]"

_SCHEDULING_RULES: Final = (
    Rule(
        "spec.template.resourceClaims[]",
        "has(self.resourceClaimName) != has(self.resourceClaimTemplateName)",
        "set exactly one of resourceClaimTemplateName and resourceClaimName",
    ),
    Rule(
        _SPREAD,
        "!has(self.minDomains) || self.whenUnsatisfiable == 'DoNotSchedule'",
        "minDomains requires whenUnsatisfiable DoNotSchedule",
        ".minDomains",
    ),
    Rule(
        _SPREAD,
        "!has(self.matchLabelKeys) || self.matchLabelKeys.size() == 0 || has(self.labelSelector)",
        "matchLabelKeys requires labelSelector; without both, the pods of the same Job are counted",
        ".matchLabelKeys",
    ),
    Rule(
        _SPREAD,
        "!has(self.matchLabelKeys) || !has(self.labelSelector) || self.matchLabelKeys.all(key, "
        "!(has(self.labelSelector.matchLabels) && key in self.labelSelector.matchLabels) && "
        "!(has(self.labelSelector.matchExpressions) && "
        "self.labelSelector.matchExpressions.exists(part, part.key == key)))",
        "matchLabelKeys must not repeat a key of labelSelector",
        ".matchLabelKeys",
    ),
    Rule(
        f"{_SPREAD}.labelSelector",
        f"!has(self.matchLabels) || self.matchLabels.all(k, k.matches('{_KEY}') && "
        f"self.matchLabels[k].matches('{_VALUE}'))",
        "matchLabels must be keys and values of labels",
        ".matchLabels",
    ),
    Rule(
        f"{_SPREAD}.labelSelector.matchExpressions[]",
        f"self.key.matches('{_KEY}') && (!has(self.values) || self.values.all(v, v.matches('{_VALUE}')))",
        "key and values must be those of a label",
        ".key",
    ),
    Rule(
        f"{_SPREAD}.labelSelector.matchExpressions[]",
        "self.operator in ['In', 'NotIn'] ? has(self.values) && self.values.size() > 0 : "
        "self.operator in ['Exists', 'DoesNotExist'] && (!has(self.values) || self.values.size() == 0)",
        "operator must be In or NotIn with values, or Exists or DoesNotExist without values",
        ".operator",
    ),
)

TEMPLATE_RULES: Final = (
    *build_resource_rules("spec.template.resources"),
    *_LABEL_RULES,
    *_VOLUME_RULES,
    *_ENVIRONMENT_RULES,
    *_SCHEDULING_RULES,
)
