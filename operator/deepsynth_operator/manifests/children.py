"""All children of a resource that one of its Jobs needs, the Job last."""

from collections.abc import Sequence

from deepsynth_api.v1alpha1 import Resource, TrainingRun
from deepsynth_operator.core.observed import Manifest
from deepsynth_operator.core.settings import Settings
from deepsynth_operator.manifests.defaults import apply_defaults
from deepsynth_operator.manifests.network_policy import build_network_policy
from deepsynth_operator.manifests.render_job import build_render_children
from deepsynth_operator.manifests.train_job import build_train_children


def build_children(resource: Resource, job: str, settings: Settings) -> list[Manifest]:
    """In the order in which they must be created. The status names `job` already. Raises ConfigurationError."""
    resource = apply_defaults(resource, settings.job_defaults)
    peers = settings.report_peers
    policies = [] if peers is None else [build_network_policy(resource, peers)]
    return [*policies, *_build_job(resource, job)]


def _build_job(resource: Resource, name: str) -> Sequence[Manifest]:
    if isinstance(resource, TrainingRun):
        return build_train_children(resource, next(item for item in resource.status.attempts if item.job == name))
    return build_render_children(resource, next(item for item in resource.status.jobs if item.name == name))
