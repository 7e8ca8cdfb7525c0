"""Merges an administrator's defaults into the template of a resource, before its children are built.

    maps      by key                                    a resource's own entry wins
    lists     by name, or by value without a name       defaults first, so that own variables may refer to them
    the rest  only if the resource does not set it

A Job is built once, so a changed default does not reach an attempt that has started.
"""

from collections.abc import Iterable, Sequence
from typing import Any

from deepsynth_api.errors import ConfigurationError
from deepsynth_api.v1alpha1 import Resource
from deepsynth_api.v1alpha1.pod.pod_template import PodTemplate, Volume
from deepsynth_operator.core.job_defaults import FIELDS, JobDefault
from deepsynth_operator.manifests.volumes import build_template_volumes


def apply_defaults(resource: Resource, defaults: Iterable[JobDefault]) -> Resource:
    """`resource` with a template that has the defaults of its kind and namespace too."""
    below = PodTemplate()
    for default in defaults:
        if default.applies_to(resource.kind, resource.metadata.namespace):
            below = merge_templates(below, default.template)
    spec: Any = resource.spec
    return resource.updated(spec=spec.updated(template=merge_templates(below, spec.template)))


def check_defaults(defaults: Iterable[JobDefault]) -> None:
    """Raise ConfigurationError, naming the field, for a default from which no pod can be built."""
    for index, default in enumerate(defaults):
        try:
            build_template_volumes(default.template)
        except ConfigurationError as error:
            raise ConfigurationError(error.message.replace("spec", f"jobs.defaults[{index}]", 1)) from error


def merge_templates(below: PodTemplate, above: PodTemplate) -> PodTemplate:
    """`above` with what only `below` has. Fields that cannot have a default are those of `above`."""
    return above.updated(**{name: _merge(getattr(below, name), getattr(above, name)) for name in FIELDS})


def _merge(below: Any, above: Any) -> Any:
    match above:
        case dict():
            return {**below, **above}
        case list():
            return [*(item for item in below if not _is_replaced(item, above)), *above]
    return below if above is None else above


def _is_replaced(item: Any, others: Sequence[Any]) -> bool:
    """Whether one of `others` has the same name or, for volumes, the same mount path."""
    if isinstance(item, Volume) and any(item.mount_path == other.mount_path for other in others):
        return True
    name = getattr(item, "name", None)
    return item in others if name is None else any(name == other.name for other in others)
