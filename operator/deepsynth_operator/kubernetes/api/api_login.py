"""Credentials for the API server: the pod's service account, or the kubeconfig outside a pod."""

import os
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

from kubernetes.aio.client.configuration import Configuration
from kubernetes.aio.config import ConfigException, load_incluster_config, load_kube_config

from deepsynth_api.errors import ConfigurationError


async def load_configuration() -> Configuration:
    """Raises ConfigurationError when there is neither a service account nor a kubeconfig."""
    configuration = Configuration()
    try:
        if os.environ.get("KUBERNETES_SERVICE_HOST"):
            load_incluster_config(configuration)
        else:
            await load_kube_config(os.environ.get("KUBECONFIG"), client_configuration=configuration)
    except ConfigException as error:
        raise ConfigurationError(
            f"no credentials for the API server: {error}; run in a pod with a service account, or set KUBECONFIG"
        ) from error
    configuration.proxy = configuration.proxy or _find_proxy(configuration.host)
    # Otherwise the HTTP library looks up the proxy at each request, in a thread.
    configuration.client_session_kwargs = {"trust_env": False}
    return configuration


def _find_proxy(server: str) -> str | None:
    """The proxy for this server according to HTTPS_PROXY and NO_PROXY."""
    url = urlsplit(server)
    if url.hostname is None or proxy_bypass(url.hostname):
        return None
    return getproxies().get(url.scheme)
