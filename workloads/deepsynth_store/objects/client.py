"""The client of a bucket, from the environment: in a pod, the keys of the Secrets that `secretRef` names."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final
from urllib.parse import urlsplit

from obstore.exceptions import BaseError
from obstore.store import AzureStore, GCSStore, S3Store

from deepsynth_api.errors import ConfigurationError
from deepsynth_api.reasons import Reason
from deepsynth_store.core.uri import ObjectLocation

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
}
_STORES: Final[dict[str, Callable[..., Store]]] = {"s3": S3Store, "gs": GCSStore, "az": AzureStore}


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
    return _STORES[location.scheme](location.bucket, client_options=options, retry_config=retries)


def _name_server(location: ObjectLocation, endpoint: str | None) -> str:
    """Without user, password and query, which an address may hold."""
    if endpoint is None:
        return {"s3": "Amazon S3", "gs": "Google Cloud Storage", "az": "Azure Blob Storage"}[location.scheme]
    parts = urlsplit(endpoint)
    return f"{parts.scheme}://{parts.hostname}{f':{parts.port}' if parts.port else ''}"
