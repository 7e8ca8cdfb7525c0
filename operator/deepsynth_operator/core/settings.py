"""Settings that apply to all resources, read from environment variables. Settings of one resource are in its spec."""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Final, Literal, Self, TypeVar, cast, get_args

from deepsynth_api.errors import ConfigurationError
from deepsynth_api.logs import LogFormat, read_log_format
from deepsynth_operator.core.job_defaults import JobDefault
from deepsynth_operator.core.observed import Manifest
from deepsynth_operator.core.prices import NO_PRICES, PriceTable

IMAGE_REPOSITORY = "ghcr.io/deepsynth/deepsynth"
PROGRESS_POLLS: Final = 2
"""How many polls there are for each write of mere progress. With polls every 15 s: two writes a minute."""
_PEER_FIELDS: Final = frozenset({"ipBlock", "namespaceSelector", "podSelector"})
GangApi = Literal["volcano", "coscheduling", "kai", "kubernetes-v1alpha2", "kubernetes-v1beta1"]
"""How a scheduler learns which pods belong together; after the dash, the version of scheduling.k8s.io."""
Choice = TypeVar("Choice", bound=str)


@cache
def _name_image(processor: str) -> str:
    from importlib.metadata import version  # slow to import, and `deepsynth local` needs no image

    return f"{IMAGE_REPOSITORY}-{processor}:{version('deepsynth-operator')}"


@dataclass(frozen=True, slots=True)
class Settings:
    """What decisions and manifests need to know besides the resource. The same on a cluster and on a laptop.

    render_image, train_image: used where spec.image is not set.
    report_peers: who may reach the report port of pods, as in a NetworkPolicy's `from`; empty means everyone.
        None: resources get no NetworkPolicy.
    job_defaults: from an administrator; see `core.job_defaults`.
    prices: from an administrator; see `core.prices`.
    gang_schedulers: how each scheduler, by the schedulerName of pods, learns which pods it must start together.
        None: pods need no scheduler, as on one machine.
    notifies: whether there is a webhook that is notified of the end of resources.
    openshift: whether the cluster chooses the users of pods that name none; else they run as user 65532.
    poll_seconds: how often reports of running pods are read. Progress alone is written at most every second time.
    log_format: of pods.
    progress_stretch: how many times as long progress waits because very many resources are at work.
    """

    render_image: str = field(default_factory=lambda: _name_image("cpu"))
    train_image: str = field(default_factory=lambda: _name_image("gpu"))
    poll_seconds: int = 15
    log_format: LogFormat = "text"
    progress_stretch: float = 1.0
    report_peers: tuple[Manifest, ...] | None = None
    job_defaults: tuple[JobDefault, ...] = ()
    prices: PriceTable = NO_PRICES
    gang_schedulers: Mapping[str, GangApi] | None = field(default_factory=dict)
    notifies: bool = False
    openshift: bool = False

    @property
    def has_scheduler(self) -> bool:
        """Whether pods run on one of several nodes."""
        return self.gang_schedulers is not None

    @property
    def progress_seconds(self) -> float:
        """Seconds between two writes of mere progress of a resource."""
        return PROGRESS_POLLS * self.poll_seconds * self.progress_stretch

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> Self:
        """Read DEEPSYNTH_ plus the field's name in capitals.

        DEEPSYNTH_REPORT_PEERS is a JSON list, DEEPSYNTH_GANG_SCHEDULERS is SCHEDULER=API,SCHEDULER=API. `notifies` is
        whether DEEPSYNTH_WEBHOOK_URL is set.

        Raises ConfigurationError, naming the variable, if a value is invalid.
        """
        default = cls()
        return cls(
            render_image=environment.get("DEEPSYNTH_RENDER_IMAGE", default.render_image),
            train_image=environment.get("DEEPSYNTH_TRAIN_IMAGE", default.train_image),
            poll_seconds=parse_positive(environment, "DEEPSYNTH_POLL_SECONDS", default.poll_seconds),
            log_format=read_log_format(environment),
            report_peers=_parse_peers(environment, "DEEPSYNTH_REPORT_PEERS"),
            gang_schedulers=_parse_gang_schedulers(environment, "DEEPSYNTH_GANG_SCHEDULERS"),
            notifies=bool(environment.get("DEEPSYNTH_WEBHOOK_URL")),
            openshift=parse_switch(environment, "DEEPSYNTH_OPENSHIFT"),
        )


def _parse_gang_schedulers(environment: Mapping[str, str], name: str) -> dict[str, GangApi]:
    schedulers: dict[str, GangApi] = {}
    for item in filter(None, environment.get(name, "").split(",")):
        scheduler, _, api = item.partition("=")
        if not scheduler or api not in get_args(GangApi):
            apis = ", ".join(get_args(GangApi))
            raise ConfigurationError(f"{name}: must be SCHEDULER=API,..., with an API of {apis}, got {item[:200]!r}")
        schedulers[scheduler] = cast("GangApi", api)
    return schedulers


def _parse_peers(environment: Mapping[str, str], name: str) -> tuple[Manifest, ...] | None:
    if not (text := environment.get(name)):
        return None
    try:
        peers = json.loads(text)
    except ValueError:
        peers = None
    if not isinstance(peers, list) or not all(isinstance(peer, dict) and peer.keys() <= _PEER_FIELDS for peer in peers):
        fields = ", ".join(sorted(_PEER_FIELDS))
        raise ConfigurationError(f"{name}: must be a JSON list of NetworkPolicy peers ({fields}), got {text[:200]!r}")
    return tuple(peers)


def parse_positive(environment: Mapping[str, str], name: str, default: int) -> int:
    """A variable that holds a positive integer. Raises ConfigurationError, naming the variable."""
    text = environment.get(name, str(default))
    if not text.isdecimal() or int(text) < 1:
        raise ConfigurationError(f"{name}: must be a positive integer, got {text!r}")
    return int(text)


def parse_switch(environment: Mapping[str, str], name: str) -> bool:
    """A variable that is true or false, by default false. Raises ConfigurationError, naming the variable."""
    return parse_choice(environment, name, ("true", "false"), "false") == "true"


def parse_choice(environment: Mapping[str, str], name: str, choices: tuple[Choice, ...], default: Choice) -> Choice:
    """A variable that is one of `choices`. Raises ConfigurationError, naming the variable."""
    text = environment.get(name, default)
    for choice in choices:
        if text == choice:
            return choice
    raise ConfigurationError(f"{name}: must be one of {', '.join(choices)}, got {text!r}")
