"""Environment of a pod's container. The settings of the work itself are in the workload document, not here."""

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any, Final

from deepsynth_api.errors import ConfigurationError
from deepsynth_api.logs import LOG_FORMAT_VARIABLE, LogFormat
from deepsynth_api.v1alpha1 import SecretReference
from deepsynth_api.v1alpha1.pod.pod_template import EnvironmentVariable
from deepsynth_api.workload import (
    GRACE_PERIOD_VARIABLE,
    NODE_NAME_VARIABLE,
    REPORT_ADDRESS_VARIABLE,
    REPORT_PORT,
    TERMINATION_LOG_PATH,
    TERMINATION_LOG_VARIABLE,
    VOLUMES_PATH,
    VOLUMES_VARIABLE,
    is_reserved_variable,
)
from deepsynth_operator.core.observed import Manifest
from deepsynth_operator.manifests.volumes import TEMPORARY_FOLDER

WRITABLE_FOLDERS: Final = {
    "HOME": TEMPORARY_FOLDER,
    "HF_HOME": f"{TEMPORARY_FOLDER}/huggingface",
    "TORCHINDUCTOR_CACHE_DIR": f"{TEMPORARY_FOLDER}/torchinductor",
    "TRITON_CACHE_DIR": f"{TEMPORARY_FOLDER}/triton",
    "XDG_CACHE_HOME": f"{TEMPORARY_FOLDER}/cache",
}
"""The root file system is read-only, so home and cache folders are in /tmp."""


def build_environment(
    user: list[EnvironmentVariable],
    grace_seconds: int,
    own: Mapping[str, str],
    own_fields: Mapping[str, str] = MappingProxyType({}),
) -> list[dict[str, Any]]:
    """Variables that the workload reads, then writable folders, then the user's, which may replace the folders.

    own, own_fields: variables that only this kind of Job has; the latter with fields of the pod as their values.
    Raises ConfigurationError for a reserved name, naming spec.template.env[i].name.
    """
    for index, variable in enumerate(user):
        if is_reserved_variable(variable.name):
            raise ConfigurationError(
                f"spec.template.env[{index}].name: {variable.name} is reserved for the launcher; remove it"
            )
    taken = {variable.name for variable in user}
    contract = {
        TERMINATION_LOG_VARIABLE: TERMINATION_LOG_PATH,
        REPORT_ADDRESS_VARIABLE: f"0.0.0.0:{REPORT_PORT}",
        VOLUMES_VARIABLE: VOLUMES_PATH,
        GRACE_PERIOD_VARIABLE: str(grace_seconds),
        **own,
    }
    fields = {NODE_NAME_VARIABLE: "spec.nodeName", **own_fields}
    folders = {name: path for name, path in WRITABLE_FOLDERS.items() if name not in taken}
    return [
        *({"name": name, "value": value} for name, value in contract.items()),
        *({"name": name, "valueFrom": {"fieldRef": {"fieldPath": path}}} for name, path in fields.items()),
        *({"name": name, "value": value} for name, value in folders.items()),
        *(variable.to_dict() for variable in user),
    ]


def set_log_format(child: Manifest, log_format: LogFormat) -> Manifest:
    """A Job whose container logs in this format; any other child, and a Job for text, as it is."""
    if child["kind"] != "Job" or log_format == "text":
        return child
    template = child["spec"]["template"]
    container, *others = template["spec"]["containers"]
    variable = {"name": LOG_FORMAT_VARIABLE, "value": log_format}
    containers = [{**container, "env": [variable, *container["env"]]}, *others]
    pod = {**template, "spec": {**template["spec"], "containers": containers}}
    return {**child, "spec": {**child["spec"], "template": pod}}


def build_secret_sources(secrets: Iterable[SecretReference | None]) -> list[dict[str, Any]]:
    """EnvFrom for these Secrets, each once. The operator never reads them; where keys clash, the last Secret wins."""
    names = dict.fromkeys(secret.name for secret in secrets if secret is not None)
    return [{"secretRef": {"name": name}} for name in names]
