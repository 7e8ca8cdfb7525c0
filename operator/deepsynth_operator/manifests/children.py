"""All children of a resource that one of its Jobs needs, the Job last."""

from collections.abc import Sequence

from deepsynth_api.v1alpha1 import Resource, TrainingRun
from deepsynth_operator.core.cluster import CompanionKind
from deepsynth_operator.core.observed import Manifest
from deepsynth_operator.core.settings import Settings
from deepsynth_operator.manifests.defaults import apply_defaults
from deepsynth_operator.manifests.environment import set_log_format
from deepsynth_operator.manifests.gang import find_pod_group_kind, join_gang
from deepsynth_operator.manifests.names import build_queue_job_name
from deepsynth_operator.manifests.network_policy import build_network_policy
from deepsynth_operator.manifests.pod import leave_user_open
from deepsynth_operator.manifests.render_job import build_queue_job, build_render_children
from deepsynth_operator.manifests.train_job import build_late_document, build_train_children


def build_children(
    resource: Resource, job: str, settings: Settings, queue_job: Manifest | None = None
) -> list[Manifest]:
    """In the order in which they must be created. Raises ConfigurationError.

    The status names `job` already, unless it is the queue Job. queue_job: the one whose quota `job` uses, as it is now.
    """
    policies = [] if settings.report_peers is None else [build_policy(resource, settings.report_peers, settings)]
    resource = apply_defaults(resource, settings.job_defaults)
    children = [set_log_format(child, settings.log_format) for child in _build_job(resource, job, settings, queue_job)]
    if settings.openshift and resource.spec.template.run_as_user is None:
        children = list(map(leave_user_open, children))
    return [*policies, *children]


def build_document(resource: Resource) -> Manifest:
    """The ConfigMap of a TrainingRun's last attempt, where it is created after the Job."""
    if not isinstance(resource, TrainingRun):
        raise TypeError(f"{resource.kind} has no document that is created later")
    return build_late_document(resource)


def build_policy(resource: Resource, report_peers: Sequence[Manifest], settings: Settings) -> Manifest:
    """The NetworkPolicy of the resource, for all of its Jobs."""
    return build_network_policy(apply_defaults(resource, settings.job_defaults), report_peers)


def _build_job(resource: Resource, name: str, settings: Settings, queue_job: Manifest | None) -> Sequence[Manifest]:
    if isinstance(resource, TrainingRun):
        attempt = next(item for item in resource.status.attempts if item.job == name)
        *others, job = build_train_children(resource, attempt)
        return [*others, *join_gang(resource, job, settings)]
    if name == build_queue_job_name(resource):
        return [build_queue_job(resource, resource.spec.image or settings.render_image)]
    ahead = resource.status.ahead
    if ahead is not None and ahead.job is not None and ahead.job.name == name:
        return build_render_children(resource, ahead.job, queue_job, ahead)
    entry = next(item for item in resource.status.jobs if item.name == name)
    return build_render_children(resource, entry, queue_job)


def list_companion_kinds(resource: Resource, settings: Settings) -> list[CompanionKind]:
    """Kinds that have the name of a Job and are deleted with it."""
    resource = apply_defaults(resource, settings.job_defaults)
    group = find_pod_group_kind(resource, settings) if isinstance(resource, TrainingRun) else None
    return ["Service", "ConfigMap", *([group] if group else [])]
