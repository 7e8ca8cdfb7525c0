"""Credentials for the API server: the pod's service account, or the kubeconfig outside a pod."""

import os
from dataclasses import dataclass, field
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

from kubernetes.aio.client.configuration import Configuration
from kubernetes.aio.config import ConfigException, load_incluster_config, load_kube_config

from deepsynth_api.errors import ConfigurationError


@dataclass(frozen=True, slots=True)
class Login:
    """Address and credentials of the API server, for kopf, which has its own client."""

    server: str
    ca_path: str | None
    insecure: bool
    scheme: str | None
    token: str | None = field(repr=False)
    certificate_path: str | None
    private_key_path: str | None
    proxy_url: str | None


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


async def read_login(configuration: Configuration) -> Login:
    """Reads the token again at each call: tokens of service accounts are replaced every hour."""
    header = await configuration.get_api_key_with_prefix("BearerToken", alias="authorization")
    scheme, _, token = (header or "").strip().rpartition(" ")
    return Login(
        server=configuration.host,
        ca_path=configuration.ssl_ca_cert,
        insecure=not configuration.verify_ssl,
        scheme=scheme.title() or None,
        token=token or None,
        certificate_path=configuration.cert_file,
        private_key_path=configuration.key_file,
        proxy_url=configuration.proxy,
    )


def _find_proxy(server: str) -> str | None:
    """The proxy for this server according to HTTPS_PROXY and NO_PROXY."""
    url = urlsplit(server)
    if url.hostname is None or proxy_bypass(url.hostname):
        return None
    return getproxies().get(url.scheme)
