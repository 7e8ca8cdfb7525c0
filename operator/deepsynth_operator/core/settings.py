"""Settings of the operator, read from the environment once. Those of one resource are in its spec."""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import version
from typing import Final, Literal, Self, TypeVar, get_args

from deepsynth_api.errors import ConfigurationError

IMAGE_REPOSITORY = "ghcr.io/deepsynth/deepsynth"
LogFormat = Literal["text", "json"]
LogLevel = Literal["debug", "info", "warning", "error"]
Word = TypeVar("Word", bound=str)
_VERSION: Final = version("deepsynth-operator")
_NAMESPACE: Final = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
_ADDRESS: Final = re.compile(r"(?P<host>|[0-9.]+|\[[0-9a-fA-F:]+\]|[a-z0-9.-]+):(?P<port>[0-9]{1,5})")


@dataclass(frozen=True, slots=True)
class Settings:
    """What holds for all resources.

    render_image, train_image: used where spec.image is not set.
    poll_seconds: how often reports of running pods are read, and progress is written at most.
    """

    render_image: str = f"{IMAGE_REPOSITORY}-cpu:{_VERSION}"
    train_image: str = f"{IMAGE_REPOSITORY}-gpu:{_VERSION}"
    poll_seconds: int = 15

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> Self:
        """Read DEEPSYNTH_RENDER_IMAGE, DEEPSYNTH_TRAIN_IMAGE and DEEPSYNTH_POLL_SECONDS.

        Raises ConfigurationError for a poll interval that is no positive number.
        """
        default = cls()
        return cls(
            render_image=environment.get("DEEPSYNTH_RENDER_IMAGE", default.render_image),
            train_image=environment.get("DEEPSYNTH_TRAIN_IMAGE", default.train_image),
            poll_seconds=_parse_count(environment, "DEEPSYNTH_POLL_SECONDS", default.poll_seconds),
        )


@dataclass(frozen=True, slots=True)
class ProcessSettings:
    """What holds for the operator's process on a cluster.

    namespaces: those that are looked at; empty: the whole cluster.
    workers: resources that are reconciled at the same time.
    reports_through_api_server: read reports by the API server's pod proxy, which needs a right to reach every pod.
    http_host, http_port: where /healthz, /readyz and /metrics are served; an empty host is every address.
    shutdown_seconds: how long running reconciles may take after SIGTERM.
    """

    namespaces: tuple[str, ...] = ()
    workers: int = 16
    reports_through_api_server: bool = False
    http_host: str = ""
    http_port: int = 8080
    log_format: LogFormat = "text"
    log_level: LogLevel = "info"
    shutdown_seconds: int = 20

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> Self:
        """Read DEEPSYNTH_ and the field's name in capitals; DEEPSYNTH_HTTP_ADDRESS is HOST:PORT.

        Raises ConfigurationError, naming the variable, for a value that cannot be used.
        """
        default = cls()
        host, port = _parse_address(environment, "DEEPSYNTH_HTTP_ADDRESS", f":{default.http_port}")
        return cls(
            namespaces=_parse_namespaces(environment, "DEEPSYNTH_NAMESPACES"),
            workers=_parse_count(environment, "DEEPSYNTH_WORKERS", default.workers),
            reports_through_api_server=_parse_switch(environment, "DEEPSYNTH_REPORTS_THROUGH_API_SERVER"),
            http_host=host,
            http_port=port,
            log_format=_parse_word(environment, "DEEPSYNTH_LOG_FORMAT", get_args(LogFormat), default.log_format),
            log_level=_parse_word(environment, "DEEPSYNTH_LOG_LEVEL", get_args(LogLevel), default.log_level),
            shutdown_seconds=_parse_count(environment, "DEEPSYNTH_SHUTDOWN_SECONDS", default.shutdown_seconds),
        )


def _parse_count(environment: Mapping[str, str], name: str, default: int) -> int:
    text = environment.get(name, str(default))
    if not text.isdecimal() or int(text) < 1:
        raise ConfigurationError(f"{name}: {text!r} is no whole number above 0")
    return int(text)


def _parse_switch(environment: Mapping[str, str], name: str) -> bool:
    return _parse_word(environment, name, ("true", "false"), "false") == "true"


def _parse_word(environment: Mapping[str, str], name: str, words: tuple[Word, ...], default: Word) -> Word:
    text = environment.get(name, default)
    for word in words:
        if text == word:
            return word
    raise ConfigurationError(f"{name}: {text!r} is none of {', '.join(words)}")


def _parse_namespaces(environment: Mapping[str, str], name: str) -> tuple[str, ...]:
    namespaces = [item.strip() for item in environment.get(name, "").split(",") if item.strip()]
    for namespace in namespaces:
        if not _NAMESPACE.fullmatch(namespace):
            raise ConfigurationError(f"{name}: {namespace!r} is no name of a namespace; write NAME,NAME")
    return tuple(dict.fromkeys(namespaces))


def _parse_address(environment: Mapping[str, str], name: str, default: str) -> tuple[str, int]:
    text = environment.get(name, default)
    found = _ADDRESS.fullmatch(text)
    if found is None or not 0 < int(found["port"]) < 65536:
        raise ConfigurationError(f"{name}: {text!r} is no address; write HOST:PORT, or :PORT for every address")
    return found["host"].strip("[]"), int(found["port"])
