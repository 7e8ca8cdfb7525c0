"""The client of a bucket, from the environment: in a pod, the keys of the Secrets that `secretRef` names."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from obstore.exceptions import BaseError
from obstore.store import AzureStore, GCSStore, S3Store

from deepsynth_api.errors import ConfigurationError
from deepsynth_api.reasons import Reason
from deepsynth_store.core.uri import ObjectLocation

if TYPE_CHECKING:
    from obstore.store import S3Credential

Store = AzureStore | GCSStore | S3Store

_TIMEOUT_SECONDS: Final = 120
"""For one request with its body, of at most PART_BYTES."""
_CONNECT_SECONDS: Final = 3
PART_BYTES: Final = 16 * 2**20
"""How much is read or written by one request."""
_PATIENT_RETRIES: Final = 4
_NO_RETRIES: Final[dict[str, Any]] = {"max_retries": 0, "retry_timeout": timedelta(seconds=1)}
_ENDPOINTS: Final = {
    "s3": ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "AWS_ENDPOINT"),
    "gs": ("GOOGLE_BASE_URL",),
    "az": ("AZURE_STORAGE_ENDPOINT", "AZURE_ENDPOINT"),
    "hf": ("HF_S3_ENDPOINT",),
}
_STORES: Final[dict[str, Callable[..., Store]]] = {"s3": S3Store, "gs": GCSStore, "az": AzureStore}
_HUB_GATEWAY: Final = "https://s3.hf.co"
"""Serves the Hub's buckets as S3: https://huggingface.co/docs/hub/storage-buckets-s3."""
_HUB_USER_AGENT: Final = "deepsynth aws-sdk-rust"
"""The gateway sends the bytes itself to clients of this name; it redirects others to a CDN, which knows no ETags."""


@dataclass(frozen=True)
class Client:
    """store: repeats nothing itself. patient: repeats the requests of a large upload, which would otherwise start
    again from its first byte. address: for messages.
    """

    store: Store
    patient: Store
    address: str


def open_client(location: ObjectLocation, field: str) -> Client:
    """No request is made. Raises ConfigurationError for an environment that names no account or an odd endpoint."""
    endpoint = next((value for name in _ENDPOINTS[location.scheme] if (value := os.environ.get(name))), None)
    if location.scheme == "hf":
        endpoint = endpoint or _HUB_GATEWAY
    try:
        return Client(
            _build(location, endpoint, _NO_RETRIES),
            _build(location, endpoint, {"max_retries": _PATIENT_RETRIES, "retry_timeout": timedelta(minutes=2)}),
            _name_server(location, endpoint),
        )
    except (BaseError, ValueError) as error:
        reason = str(error).splitlines()[0]
        raise ConfigurationError(
            f"{field}: {location.uri} cannot be opened ({reason}); correct the keys of the Secret that secretRef names",
            reason=Reason.STORE_REFUSED,
        ) from error


def _build(location: ObjectLocation, endpoint: str | None, retries: dict[str, Any]) -> Store:
    options = {
        "timeout": f"{_TIMEOUT_SECONDS}s",
        "connect_timeout": f"{_CONNECT_SECONDS}s",
        "allow_http": endpoint is not None and endpoint.startswith("http://"),
    }
    if os.environ.get("AZURE_STORAGE_USE_EMULATOR"):
        options["allow_http"] = True
    if location.scheme == "hf":
        return _build_hub(location, f"{endpoint}/{location.owner}", {**options, "user_agent": _HUB_USER_AGENT}, retries)
    return _STORES[location.scheme](location.bucket, client_options=options, retry_config=retries)


def _build_hub(location: ObjectLocation, endpoint: str, options: dict[str, Any], retries: dict[str, Any]) -> Store:
    """All that variables for another S3 could change is set here."""
    names = ("HF_S3_ACCESS_KEY_ID", "HF_S3_SECRET_ACCESS_KEY")
    key, secret = (os.environ.get(name, "") for name in names)
    if not key or not secret:
        raise ValueError(f"{' and '.join(names)} are not set; the menu of an access token on the Hub generates them")
    credential: S3Credential = {"access_key_id": key, "secret_access_key": secret, "expires_at": None}
    return S3Store(
        location.bucket,
        aws_endpoint_url_s3=endpoint,  # the strongest of its names
        region="us-east-1",
        virtual_hosted_style_request=False,
        skip_signature=False,
        credential_provider=lambda: credential,
        client_options=options,  # type: ignore[arg-type]
        retry_config=retries,  # type: ignore[arg-type]
    )


def _name_server(location: ObjectLocation, endpoint: str | None) -> str:
    """Without user, password and query, which an address may hold."""
    if endpoint is None:
        return {"s3": "Amazon S3", "gs": "Google Cloud Storage", "az": "Azure Blob Storage"}[location.scheme]
    parts = urlsplit(endpoint)
    return f"{parts.scheme}://{parts.hostname}{f':{parts.port}' if parts.port else ''}"
