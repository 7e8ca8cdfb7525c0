"""What the pods of all Jobs share: one container, one port for reports, and the `restricted` Pod Security Standard."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from deepsynth_api.labels import OWNER_NAME_ANNOTATION, build_labels, select_carried, select_for_pods
from deepsynth_api.v1alpha1 import Resource
from deepsynth_api.v1alpha1.pod.pod_scheduling import TopologySpreadConstraint
from deepsynth_api.v1alpha1.pod.pod_template import PodResourceClaim, PodTemplate, ResourceRequirements
from deepsynth_api.workload import DOCUMENT_PATH, REPORT_PORT, TERMINATION_LOG_PATH
from deepsynth_operator.core.observed import JOB_NAME_LABEL, Manifest
from deepsynth_operator.manifests.volumes import MountedVolume, build_template_volumes

DEFAULT_USER: Final = 65532
"""uid, gid and fsGroup. The images have a passwd entry for it."""
AUTOSCALER_ANNOTATIONS: Final = {
    "cluster-autoscaler.kubernetes.io/safe-to-evict": "false",
    "karpenter.sh/do-not-disrupt": "true",
}
"""Ask autoscalers not to evict a pod just to pack nodes more tightly. Users may override them."""

_USER: Final = frozenset({"runAsUser", "runAsGroup", "fsGroup"})
_REQUIRED: Final = "requiredDuringSchedulingIgnoredDuringExecution"
_PREFERRED: Final = "preferredDuringSchedulingIgnoredDuringExecution"


@dataclass(frozen=True, slots=True)
class Container:
    """The parts of the container that differ between steps."""

    name: str
    image: str
    module: list[str]
    """Python module and its arguments; --document FILE is appended."""
    env: list[dict[str, Any]]
    secrets: list[dict[str, Any]]
    volumes: list[MountedVolume]
    grace_seconds: int
    resources: ResourceRequirements | None = None
    ports: list[dict[str, Any]] = field(default_factory=list)


def build_pod_template(
    resource: Resource, step: str, job: str, container: Container, *, subdomain: str | None = None
) -> dict[str, Any]:
    """spec.template of the Job named `job`."""
    template = resource.spec.template
    labels = {**template.labels, **build_labels(resource, step)}
    # Kueue queues the Job. A pod that names a queue would be queued a second time.
    queue = select_carried(resource.metadata.labels)
    return {
        "metadata": {
            "labels": {key: value for key, value in labels.items() if key not in queue},
            "annotations": {
                **AUTOSCALER_ANNOTATIONS,
                **select_for_pods(resource.metadata.annotations),
                **template.annotations,
                OWNER_NAME_ANNOTATION: resource.metadata.name,
            },
        },
        "spec": {
            **({"subdomain": subdomain} if subdomain else {}),
            **build_pod_spec(template, job, container),
        },
    }


def build_pod_spec(template: PodTemplate, job: str, container: Container) -> dict[str, Any]:
    user = template.run_as_user or DEFAULT_USER
    volumes = [*container.volumes, *build_template_volumes(template)]
    return {
        "restartPolicy": "Never",
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "terminationGracePeriodSeconds": container.grace_seconds,
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": user,
            "runAsGroup": user,
            "fsGroup": user,
            # Checks only the root of a volume: changing the owner of a million files at each attempt takes hours.
            "fsGroupChangePolicy": "OnRootMismatch",
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "containers": [_build_container(template, container, volumes)],
        "volumes": [item.volume for item in volumes],
        **_build_scheduling(template, job),
    }


def leave_user_open(child: Manifest) -> Manifest:
    """A Job whose pods run as the user that the cluster chooses, such as OpenShift for each namespace; any other child
    as it is.
    """
    if child["kind"] != "Job":
        return child
    template = child["spec"]["template"]
    context = {key: value for key, value in template["spec"]["securityContext"].items() if key not in _USER}
    pod = {**template, "spec": {**template["spec"], "securityContext": context}}
    return {**child, "spec": {**child["spec"], "template": pod}}


def avoid_nodes(template: Manifest, names: Sequence[str], *, if_possible: bool) -> Manifest:
    """The pod template with a rule against these nodes next to the rules of the user.

    if_possible: a node may be used if no other one has room.
    """
    if not names:
        return template
    # One value each: the API allows no more for a field. By name, since the hostname label may differ from it.
    rules = [{"key": "metadata.name", "operator": "NotIn", "values": [name]} for name in names]
    affinity = template["spec"].get("affinity", {})
    nodes = affinity.get("nodeAffinity", {})
    if if_possible:
        preferred = nodes.get(_PREFERRED, [])
        added: Manifest = {_PREFERRED: [*preferred, {"weight": 100, "preference": {"matchFields": rules}}]}
    else:
        terms = nodes.get(_REQUIRED, {}).get("nodeSelectorTerms")
        joined = [_add_rules(term, rules) for term in terms] if terms else [{"matchFields": rules}]
        added = {_REQUIRED: {"nodeSelectorTerms": joined}}
    return {**template, "spec": {**template["spec"], "affinity": {**affinity, "nodeAffinity": {**nodes, **added}}}}


def _add_rules(term: Manifest, rules: Sequence[Manifest]) -> Manifest:
    """A term without any rule matches no node, and must stay so."""
    return {**term, "matchFields": [*term.get("matchFields", []), *rules]} if any(term.values()) else term


def _build_container(template: PodTemplate, container: Container, volumes: Sequence[MountedVolume]) -> dict[str, Any]:
    return {
        "name": container.name,
        "image": container.image,
        "command": ["python", "-m", *container.module, "--document", DOCUMENT_PATH],
        "env": container.env,
        "envFrom": container.secrets,
        "ports": [{"name": "report", "containerPort": REPORT_PORT}, *container.ports],
        # Checks only that the launcher answers. Hangs are the launcher's to detect: a kill by the probe would look like
        # a preemption.
        "livenessProbe": {
            "httpGet": {"path": "/healthz", "port": "report"},
            "initialDelaySeconds": 60,
            "periodSeconds": 30,
            "timeoutSeconds": 10,
            "failureThreshold": 10,
        },
        "resources": _build_resources(container.resources or ResourceRequirements(), template.resource_claims),
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
        "terminationMessagePath": TERMINATION_LOG_PATH,
        # Without a report, for example after a failed import, the message is the end of the log.
        "terminationMessagePolicy": "FallbackToLogsOnError",
        "volumeMounts": [item.mount for item in volumes],
    }


def _build_resources(resources: ResourceRequirements, claims: Sequence[PodResourceClaim]) -> dict[str, Any]:
    """Quantities as strings, as the API server writes them. A claim that no container names gives no device."""
    amounts = {"limits": resources.limits, "requests": resources.requests}
    return {
        **{kind: {name: str(value) for name, value in item.items()} for kind, item in amounts.items() if item},
        **({"claims": [{"name": claim.name} for claim in claims]} if claims else {}),
    }


def _build_scheduling(template: PodTemplate, job: str) -> dict[str, Any]:
    """The scheduling fields that the user has set."""
    fields = {
        "schedulerName": template.scheduler_name,
        "runtimeClassName": template.runtime_class_name,
        "resourceClaims": [claim.to_dict() for claim in template.resource_claims],
        "topologySpreadConstraints": [
            _build_spread_constraint(constraint, job) for constraint in template.topology_spread_constraints
        ],
        "nodeSelector": template.node_selector,
        "tolerations": [toleration.to_dict() for toleration in template.tolerations],
        "affinity": template.affinity.to_dict() if template.affinity else None,
        "priorityClassName": template.priority_class_name,
        "serviceAccountName": template.service_account_name,
        "imagePullSecrets": [reference.to_dict() for reference in template.image_pull_secrets],
    }
    return {key: value for key, value in fields.items() if value}


def _build_spread_constraint(constraint: TopologySpreadConstraint, job: str) -> dict[str, Any]:
    """Without a selector Kubernetes would count no pods, so nothing would be spread."""
    selector = {} if constraint.label_selector else {"labelSelector": {"matchLabels": {JOB_NAME_LABEL: job}}}
    return {**constraint.to_dict(), **selector}
