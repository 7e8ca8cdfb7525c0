"""Which cluster and namespace a command talks to: a context of the kubeconfig, or the service account of this pod."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml

from deepsynth_client.errors import NoClusterError

_SERVICE_ACCOUNT: Final = Path("/var/run/secrets/kubernetes.io/serviceaccount")
IN_CLUSTER: Final = "in-cluster"


@dataclass(frozen=True)
class Login:
    """configuration: of the client library. context: as in the kubeconfig, or `in-cluster`."""

    configuration: Any
    context: str
    namespace: str


def find_current_context() -> str:
    """The name of the kubeconfig's current context, `in-cluster` in a pod without one; empty if there is no cluster.

    Reads files only, without the client library, which takes a second to import.
    """
    for file in _list_files():
        try:
            found = yaml.safe_load(file.read_text(encoding="utf-8"))
        except (OSError, yaml.YAMLError, UnicodeDecodeError):
            continue
        if isinstance(found, dict) and found.get("current-context"):
            return str(found["current-context"])
    return IN_CLUSTER if _is_in_cluster() else ""


def log_in(context: str = "", namespace: str = "") -> Login:
    """Raises NoClusterError when there is no kubeconfig, no such context, or no usable credentials."""
    from kubernetes.client import Configuration

    configuration: Any = Configuration()
    if _list_files():
        return _load_kubeconfig(configuration, context, namespace)
    if not _is_in_cluster():
        raise NoClusterError(
            "no kubeconfig found (KUBECONFIG, ~/.kube/config); get one for your cluster, or add --local to use the "
            "local folder"
        )
    if context:
        raise NoClusterError(
            f"--context {context}: this pod has no kubeconfig; remove --context to use its service account"
        )
    return _load_service_account(configuration, namespace)


def _load_kubeconfig(configuration: Any, context: str, namespace: str) -> Login:
    from kubernetes.config import ConfigException, list_kube_config_contexts, load_kube_config

    where = os.environ.get("KUBECONFIG") or "~/.kube/config"
    try:
        contexts, current = list_kube_config_contexts(where)
        names = [str(item["name"]) for item in contexts]
        if context and context not in names:
            raise NoClusterError(f"--context {context}: not in {where}; its contexts are {', '.join(names) or 'none'}")
        chosen = next((item for item in contexts if item["name"] == context), current) if context else current
        load_kube_config(where, context=chosen["name"], client_configuration=configuration)
    except (ConfigException, OSError, yaml.YAMLError, KeyError, TypeError) as error:
        remedy = "choose a context with --context or `kubectl config use-context`, or add --local"
        raise NoClusterError(f"{where}: {_shorten(error)}; {remedy}") from error
    own = chosen.get("context", {}).get("namespace")
    return Login(configuration, str(chosen["name"]), namespace or str(own or "default"))


def _load_service_account(configuration: Any, namespace: str) -> Login:
    from kubernetes.config import ConfigException, load_incluster_config

    try:
        load_incluster_config(configuration)
    except ConfigException as error:
        raise NoClusterError(f"the service account of this pod cannot be used: {_shorten(error)}") from error
    return Login(configuration, IN_CLUSTER, namespace or find_own_namespace() or "default")


def find_own_namespace() -> str:
    """The namespace of the pod in which this runs; empty outside of a pod."""
    file = _SERVICE_ACCOUNT / "namespace"
    return file.read_text(encoding="utf-8").strip() if file.is_file() else ""


def _list_files() -> list[Path]:
    """The kubeconfig files that exist, as kubectl looks for them."""
    names = (os.environ.get("KUBECONFIG") or "~/.kube/config").split(os.pathsep)
    return [path for name in names if name and (path := Path(name).expanduser()).is_file()]


def _is_in_cluster() -> bool:
    return bool(os.environ.get("KUBERNETES_SERVICE_HOST"))


def _shorten(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__
