"""CEL rules about what becomes a pod: what the API server would refuse of the Job is refused of the resource."""

from typing import Final

from deepsynth_api.crd.rule import Rule

_KEY: Final = (
    "^([a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?/)?[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$"  # as the API server's
)
_OWN_FOLDERS: Final = "^/+((etc/+deepsynth|mnt/+volumes|var/+cache/+deepsynth|dev)(/.*)?|tmp/*)?$"
_DEVICE: Final = "contains('/')"


def _quantities(path: str, field: str) -> tuple[Rule, ...]:
    """Rules about limits or requests of the ResourceRequirements at `path`."""
    amounts, amount = f"self.{field}", f"string(self.{field}[k])"
    return (
        Rule(
            path,
            f"!has({amounts}) || {amounts}.all(k, isQuantity({amount}) && sign(quantity({amount})) >= 0)",
            f"{field} must be quantities that are not negative, such as 8, 500m or 40Gi",
            f".{field}",
        ),
        Rule(
            path,
            f"!has({amounts}) || {amounts}.all(k, k in ['cpu', 'memory', 'ephemeral-storage'] || "
            f"k.startsWith('hugepages-') || k.{_DEVICE})",
            f"{field} may name cpu, memory, ephemeral-storage, hugepages-SIZE and devices with their domain, "
            "such as nvidia.com/gpu",
            f".{field}",
        ),
        Rule(
            path,
            f"!has({amounts}) || {amounts}.all(k, !k.{_DEVICE} || !isQuantity({amount}) || "
            f"quantity({amount}).isInteger())",
            f"{field} must be whole numbers for devices such as nvidia.com/gpu",
            f".{field}",
        ),
    )


def _requests(path: str) -> tuple[Rule, ...]:
    """Rules about how requests and limits go together."""
    both = "isQuantity(string(self.requests[k])) && isQuantity(string(self.limits[k]))"
    request, limit = "quantity(string(self.requests[k]))", "quantity(string(self.limits[k]))"
    return (
        Rule(
            path,
            "!has(self.requests) || !has(self.limits) || self.requests.all(k, !(k in self.limits) || "
            f"!({both}) || {request}.compareTo({limit}) <= 0)",
            "requests must not be above limits",
            ".requests",
        ),
        Rule(
            path,
            f"!has(self.requests) || self.requests.all(k, !k.{_DEVICE} || has(self.limits) && k in self.limits && "
            f"(!({both}) || {request} == {limit}))",
            "requests of a device such as nvidia.com/gpu must equal its limit; set limits alone",
            ".requests",
        ),
    )


def build_resource_rules(path: str) -> tuple[Rule, ...]:
    """For the ResourceRequirements at `path`."""
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
        "these labels are the operator's; remove them, and set Kueue's on the resource itself, in metadata.labels",
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
        "mountPath is used by DeepSynth itself; choose another folder",
        ".mountPath",
    ),
    Rule(
        "spec.template.volumes[]",
        "!(self.name in ['document', 'tmp', 'shm', 'cache']) && !self.name.startsWith('claim-')",
        "name is used by DeepSynth itself; choose another name",
        ".name",
    ),
    Rule(
        "spec.template.volumes[]",
        "!has(self.subPath) || !self.subPath.startsWith('/') && !self.subPath.matches('(^|/)[.][.](/|$)')",
        "subPath must be a path within the volume, without '/' in front and without '..'",
        ".subPath",
    ),
    Rule(
        "spec.template.volumes",
        "self.all(volume, self.exists_one(other, other.mountPath == volume.mountPath))",
        "mountPath must be another one for each volume",
    ),
)

_ENVIRONMENT_RULES: Final = (
    Rule(
        "spec.template.env[]",
        "!self.name.startsWith('DEEPSYNTH_') && !self.name.startsWith('PET_') && "
        "!self.name.startsWith('TORCHELASTIC_') && !(self.name in ['JOB_COMPLETION_INDEX', 'MASTER_ADDR', "
        "'MASTER_PORT', 'RANK', 'LOCAL_RANK', 'WORLD_SIZE', 'LOCAL_WORLD_SIZE'])",
        "name is reserved: the launcher sets it; choose another name",
        ".name",
    ),
    Rule(
        "spec.template.env[]",
        "!(has(self.value) && has(self.valueFrom))",
        "set value or valueFrom, not both",
        ".value",
    ),
)

TEMPLATE_RULES: Final = (
    *build_resource_rules("spec.template.resources"),
    *_LABEL_RULES,
    *_VOLUME_RULES,
    *_ENVIRONMENT_RULES,
)
