"""Gang scheduling: what an attempt needs so that its scheduler starts all of its pods or none.

    scheduler      the pods name their group in                what says how many pods there are
    volcano        annotation scheduling.k8s.io/group-name     PodGroup, spec.minMember
    coscheduling   label scheduling.x-k8s.io/pod-group         PodGroup, spec.minMember
    kubernetes     field spec.schedulingGroup.podGroupName     PodGroup, spec.schedulingPolicy.gang.minCount
    kai            nothing: it makes a group per Job itself    annotation kai.scheduler/batch-min-member of the Job

Each attempt has its own group, with the name of its Job: pods of an earlier attempt must not count as members. With
spec.elastic, minNodes are enough: if the other pods find no node, the next attempt has fewer.
"""

from collections.abc import Mapping
from typing import Any, Final

from deepsynth_api.errors import ConfigurationError
from deepsynth_api.v1alpha1 import TrainingRun
from deepsynth_operator.core.cluster import PodGroupKind
from deepsynth_operator.core.observed import Manifest
from deepsynth_operator.core.settings import GangApi, Settings

DEFAULT_SCHEDULER: Final = "default-scheduler"
VOLCANO_GROUP: Final = "scheduling.k8s.io/group-name"
VOLCANO_QUEUE: Final = "scheduling.volcano.sh/queue-name"
COSCHEDULING_GROUP: Final = "scheduling.x-k8s.io/pod-group"
KAI_MEMBERS: Final = "kai.scheduler/batch-min-member"

_KINDS: Final[Mapping[GangApi, PodGroupKind]] = {
    "volcano": "PodGroup.v1beta1.scheduling.volcano.sh",
    "coscheduling": "PodGroup.v1alpha1.scheduling.x-k8s.io",
    "kubernetes-v1alpha2": "PodGroup.v1alpha2.scheduling.k8s.io",
    "kubernetes-v1beta1": "PodGroup.v1beta1.scheduling.k8s.io",
}


def find_pod_group_kind(run: TrainingRun, settings: Settings) -> PodGroupKind | None:
    """The kind of the groups of `run`; None if it has none."""
    if not run.spec.scheduling.gang:
        return None
    scheduler = run.spec.template.scheduler_name or DEFAULT_SCHEDULER
    api = (settings.gang_schedulers or {}).get(scheduler)
    return None if api is None else _KINDS.get(api)


def join_gang(run: TrainingRun, job: Manifest, settings: Settings) -> list[Manifest]:
    """The group of the Job's pods, if it has one, and the Job, whose pods belong to that group.

    Raises ConfigurationError if the operator does not know how the scheduler of `run` learns about groups: its pods
    could start one by one, each holding its node while it waits for the others.
    """
    size = _count_members(run, job)
    if not run.spec.scheduling.gang or settings.gang_schedulers is None or size == 1:
        return [job]
    match _find_api(run, settings.gang_schedulers):
        case "kai":
            return [_annotate(job, {KAI_MEMBERS: str(size)})]
        case "volcano":
            return [_build_volcano_group(run, job, size), _change_pods(job, annotations={VOLCANO_GROUP: _name(job)})]
        case "coscheduling":
            group = _build_pod_group(job, "coscheduling", {"minMember": size})
            return [group, _change_pods(job, labels={COSCHEDULING_GROUP: _name(job)})]
        case "kubernetes-v1alpha2" | "kubernetes-v1beta1" as api:
            group = _build_pod_group(job, api, {"schedulingPolicy": {"gang": {"minCount": size}}})
            return [group, _change_pods(job, spec={"schedulingGroup": {"podGroupName": _name(job)}})]


def _count_members(run: TrainingRun, job: Manifest) -> int:
    """How many pods must start together."""
    pods: int = job["spec"]["parallelism"]
    return min(pods, run.spec.elastic.min_nodes) if run.spec.elastic else pods


def _find_api(run: TrainingRun, known: Mapping[str, GangApi]) -> GangApi:
    scheduler = run.spec.template.scheduler_name or DEFAULT_SCHEDULER
    if scheduler not in known:
        remedy = (
            f"set spec.template.schedulerName to {' or '.join(sorted(known))}"
            if known
            else "ask the administrator to name the scheduler in jobs.gangSchedulers of the operator's chart"
        )
        raise ConfigurationError(
            f"spec.scheduling.gang: the operator does not know {scheduler} as a gang scheduler; {remedy}, or set gang "
            "to false"
        )
    return known[scheduler]


def _build_volcano_group(run: TrainingRun, job: Manifest, size: int) -> Manifest:
    """With the queue and the priority of the pods, from which Volcano takes them for groups that it makes itself."""
    template = run.spec.template
    optional = {"queue": template.annotations.get(VOLCANO_QUEUE), "priorityClassName": template.priority_class_name}
    set_fields = {field: value for field, value in optional.items() if value}
    return _build_pod_group(job, "volcano", {"minMember": size, **set_fields})


def _build_pod_group(job: Manifest, api: GangApi, spec: Mapping[str, Any]) -> dict[str, Any]:
    kind, _, version_and_group = _KINDS[api].partition(".")
    version, _, group = version_and_group.partition(".")
    return {"apiVersion": f"{group}/{version}", "kind": kind, "metadata": job["metadata"], "spec": dict(spec)}


def _name(job: Manifest) -> str:
    name: str = job["metadata"]["name"]
    return name


def _annotate(job: Manifest, annotations: Mapping[str, str]) -> Manifest:
    metadata = job["metadata"]
    return {**job, "metadata": {**metadata, "annotations": {**metadata["annotations"], **annotations}}}


def _change_pods(
    job: Manifest,
    labels: Mapping[str, str] | None = None,
    annotations: Mapping[str, str] | None = None,
    spec: Mapping[str, Any] | None = None,
) -> Manifest:
    """The Job with these additions to its pods."""
    template = job["spec"]["template"]
    metadata = template["metadata"]
    changed = {
        "metadata": {
            "labels": {**metadata["labels"], **(labels or {})},
            "annotations": {**metadata["annotations"], **(annotations or {})},
        },
        "spec": {**template["spec"], **(spec or {})},
    }
    return {**job, "spec": {**job["spec"], "template": changed}}
