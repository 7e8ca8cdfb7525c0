"""Defaults for the Jobs of all users, from a file of the administrator. What a resource sets itself wins.

    - template:                            for all Jobs
        env: [{name: HTTPS_PROXY, value: "http://proxy:3128"}]
    - kinds: [TrainingRun]                 only for these kinds
      namespaces: [team-a]                 only in these namespaces
      template: {runtimeClassName: nvidia}

Entries apply from first to last, and later ones win. `manifests.defaults` merges them into a resource.
"""

import re
from typing import Annotated, Any, Final

import yaml
from pydantic import Field, ValidationError

from deepsynth_api.errors import ConfigurationError
from deepsynth_api.kinds import ResourceKind
from deepsynth_api.v1alpha1.pod.pod_scheduling import Toleration
from deepsynth_api.v1alpha1.pod.pod_template import EnvironmentVariable, PodTemplate, Volume
from deepsynth_api.v1alpha1.shared.base import ApiModel
from deepsynth_api.workload import find_unknown, is_reserved_variable

FIELDS: Final = (
    "labels",
    "annotations",
    "node_selector",
    "tolerations",
    "priority_class_name",
    "scheduler_name",
    "runtime_class_name",
    "image_pull_secrets",
    "env",
    "volumes",
)
"""Fields of PodTemplate that may have a default. Decisions and documents do not depend on any of these."""
_WHERE: Final = "jobs.defaults"
"""The value of the chart that the file is written from."""
KEY: Final = r"([a-z0-9]([-.a-z0-9]{0,251}[a-z0-9])?/)?[A-Za-z0-9]([-._A-Za-z0-9]{0,61}[A-Za-z0-9])?"
"""Pattern of the names of labels and annotations."""
TOLERATION_OPERATORS: Final = ("Equal", "Exists")
MOUNT_FIELDS: Final = frozenset({"name", "mountPath", "readOnly", "subPath"})
"""Fields of a volume that do not choose its type."""


class JobDefault(ApiModel):
    """One entry of the file. Without kinds it is for both, without namespaces for all."""

    kinds: Annotated[list[ResourceKind], Field(description="Kinds of resources.")] = Field(default_factory=list)
    namespaces: Annotated[list[str], Field(description="Namespaces of resources.")] = Field(default_factory=list)
    template: Annotated[PodTemplate, Field(description="Fields of spec.template.")]

    def applies_to(self, kind: str, namespace: str) -> bool:
        return (not self.kinds or kind in self.kinds) and (not self.namespaces or namespace in self.namespaces)


def parse_job_defaults(text: str) -> tuple[JobDefault, ...]:
    """Raises ConfigurationError, naming the field. An invalid default would make the Jobs of all users fail."""
    try:
        entries = yaml.safe_load(text)
    except (yaml.YAMLError, ValueError, RecursionError) as error:  # ValueError: a date such as 2026-13-01
        raise ConfigurationError(f"{_WHERE}: must be YAML: {error}") from error
    if not isinstance(entries, list | None):
        raise ConfigurationError(f"{_WHERE}: must be a list, got {type(entries).__name__}")
    return tuple(_parse_entry(f"{_WHERE}[{index}]", entry) for index, entry in enumerate(entries or []))


def _parse_entry(where: str, entry: Any) -> JobDefault:
    try:
        parsed = JobDefault.model_validate(entry)
    except ValidationError as error:
        first = error.errors()[0]
        raise ConfigurationError(f"{_join(where, first['loc'])}: {first['msg']}") from error
    if unknown := find_unknown(entry, parsed.model_dump(mode="json", by_alias=True)):
        raise ConfigurationError(f"{where}.{unknown}: unknown field")
    allowed = {PodTemplate.model_fields[name].alias for name in FIELDS}
    if others := entry["template"].keys() - allowed:
        possible = ", ".join(sorted(map(str, allowed)))
        raise ConfigurationError(f"{where}.template.{min(others)}: cannot have a default; possible are {possible}")
    _check_template(f"{where}.template", parsed.template)
    return parsed


def _check_template(where: str, template: PodTemplate) -> None:
    """What the rules of the CustomResourceDefinitions, or the API server in a Job, check in spec.template."""
    for field, labels in (
        ("labels", template.labels),
        ("annotations", template.annotations),
        ("nodeSelector", template.node_selector),
    ):
        if wrong := [key for key in labels if not re.fullmatch(KEY, key)]:
            raise ConfigurationError(f"{where}.{field}: must have valid names as keys, got {wrong[0]!r}")
    for index, variable in enumerate(template.env):
        _check_variable(f"{where}.env[{index}]", variable)
    for index, toleration in enumerate(template.tolerations):
        _check_toleration(f"{where}.tolerations[{index}]", toleration)
    for index, volume in enumerate(template.volumes):
        _check_volume(f"{where}.volumes[{index}]", volume)


def _check_variable(where: str, variable: EnvironmentVariable) -> None:
    if is_reserved_variable(variable.name):
        raise ConfigurationError(f"{where}.name: {variable.name} is reserved for the launcher; remove it")
    if (variable.value is None) == (variable.value_from is None):
        raise ConfigurationError(f"{where}: must have value or valueFrom, and not both")
    if variable.value_from is not None and len(variable.value_from.to_dict()) != 1:
        raise ConfigurationError(f"{where}.valueFrom: must have exactly one source")


def _check_toleration(where: str, toleration: Toleration) -> None:
    operator = toleration.operator or "Equal"
    if operator not in TOLERATION_OPERATORS:
        raise ConfigurationError(f"{where}.operator: must be {' or '.join(TOLERATION_OPERATORS)}, got {operator!r}")
    if not toleration.key and operator != "Exists":
        raise ConfigurationError(f"{where}: must have a key, or Exists as operator")


def _check_volume(where: str, volume: Volume) -> None:
    if len(volume.to_dict().keys() - MOUNT_FIELDS) != 1:
        raise ConfigurationError(f"{where}: must have exactly one type of volume")


def _join(where: str, location: tuple[int | str, ...]) -> str:
    return where + "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in location)
