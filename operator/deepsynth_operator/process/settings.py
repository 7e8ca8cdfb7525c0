"""Settings of the operator process: what it watches, how many workers it has, what it serves and logs."""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal, Self, get_args

from deepsynth_api.errors import ConfigurationError
from deepsynth_api.logs import LogFormat, read_log_format
from deepsynth_operator.core.settings import parse_choice, parse_positive, parse_switch

LogLevel = Literal["debug", "info", "warning", "error"]
_NAMESPACE: Final = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
_LEASE_NAME: Final = re.compile(r"[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?")
_URL: Final = re.compile(r"https?://[^\s/]+(/\S*)?")
_ADDRESS: Final = re.compile(r"(?P<host>|[0-9.]+|\[[0-9a-fA-F:]+\]|[a-z0-9.-]+):(?P<port>[0-9]{1,5})")


@dataclass(frozen=True, slots=True)
class ProcessSettings:
    """What only the process on a cluster needs; the settings of all resources are in `core.settings.Settings`.

    namespaces: the namespaces to watch; empty means the whole cluster.
    workers: how many resources are reconciled at the same time.
    reports_through_api_server: read reports through the API server's pod proxy, which needs a right to reach every pod.
    job_defaults: file with defaults for Jobs; see `core.job_defaults`.
    prices: file with the price table; see `core.prices`.
    webhook_url, webhook_token: where CloudEvents about the end of resources go; an empty URL means nowhere.
    http_host, http_port: where /healthz, /readyz and /metrics are served; an empty host means all addresses.
    lease: namespace and name of the Lease whose holder works; None means that this is the only process.
    shutdown_seconds: how long running reconciles may take after SIGTERM.
    """

    namespaces: tuple[str, ...] = ()
    workers: int = 16
    reports_through_api_server: bool = False
    job_defaults: Path | None = None
    prices: Path | None = None
    webhook_url: str = ""
    webhook_token: str = field(default="", repr=False)
    http_host: str = ""
    http_port: int = 8080
    log_format: LogFormat = "text"
    log_level: LogLevel = "info"
    shutdown_seconds: int = 20
    lease: tuple[str, str] | None = None

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> Self:
        """Read DEEPSYNTH_ plus the field's name in capitals. DEEPSYNTH_HTTP_ADDRESS is HOST:PORT, DEEPSYNTH_LEASE
        NAMESPACE/NAME.

        Raises ConfigurationError, naming the variable, if a value is invalid.
        """
        default = cls()
        host, port = _parse_address(environment, "DEEPSYNTH_HTTP_ADDRESS", f":{default.http_port}")
        return cls(
            namespaces=_parse_namespaces(environment, "DEEPSYNTH_NAMESPACES"),
            workers=parse_positive(environment, "DEEPSYNTH_WORKERS", default.workers),
            reports_through_api_server=parse_switch(environment, "DEEPSYNTH_REPORTS_THROUGH_API_SERVER"),
            job_defaults=Path(path) if (path := environment.get("DEEPSYNTH_JOB_DEFAULTS")) else None,
            prices=Path(path) if (path := environment.get("DEEPSYNTH_PRICES")) else None,
            webhook_url=_parse_url(environment, "DEEPSYNTH_WEBHOOK_URL"),
            webhook_token=environment.get("DEEPSYNTH_WEBHOOK_TOKEN", "").strip(),
            http_host=host,
            http_port=port,
            log_format=read_log_format(environment),
            log_level=parse_choice(environment, "DEEPSYNTH_LOG_LEVEL", get_args(LogLevel), default.log_level),
            shutdown_seconds=parse_positive(environment, "DEEPSYNTH_SHUTDOWN_SECONDS", default.shutdown_seconds),
            lease=_parse_lease(environment, "DEEPSYNTH_LEASE"),
        )


def _parse_namespaces(environment: Mapping[str, str], name: str) -> tuple[str, ...]:
    namespaces = [item.strip() for item in environment.get(name, "").split(",") if item.strip()]
    for namespace in namespaces:
        if not _NAMESPACE.fullmatch(namespace):
            raise ConfigurationError(f"{name}: must be a comma-separated list of namespaces, got {namespace!r}")
    return tuple(dict.fromkeys(namespaces))


def _parse_url(environment: Mapping[str, str], name: str) -> str:
    text = environment.get(name, "")
    if text and not _URL.fullmatch(text):
        raise ConfigurationError(f"{name}: must be a URL such as https://events.example.com/deepsynth")
    return text


def _parse_lease(environment: Mapping[str, str], name: str) -> tuple[str, str] | None:
    text = environment.get(name, "")
    if not text:
        return None
    namespace, _, lease = text.partition("/")
    if not _NAMESPACE.fullmatch(namespace) or not _LEASE_NAME.fullmatch(lease):
        raise ConfigurationError(f"{name}: must be NAMESPACE/NAME, got {text!r}")
    return namespace, lease


def _parse_address(environment: Mapping[str, str], name: str, default: str) -> tuple[str, int]:
    text = environment.get(name, default)
    found = _ADDRESS.fullmatch(text)
    if found is None or not 0 < int(found["port"]) < 65536:
        raise ConfigurationError(f"{name}: must be HOST:PORT, or :PORT for all addresses, got {text!r}")
    return found["host"].strip("[]"), int(found["port"])
