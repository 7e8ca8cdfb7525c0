"""Settings that apply to all resources, read from environment variables. Settings of one resource are in its spec."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import version
from typing import Final, Self

from deepsynth_api.errors import ConfigurationError

IMAGE_REPOSITORY = "ghcr.io/deepsynth/deepsynth"
_VERSION: Final = version("deepsynth-operator")


@dataclass(frozen=True, slots=True)
class Settings:
    """What decisions and manifests need to know besides the resource. The same on a cluster and on a laptop.

    render_image, train_image: used where spec.image is not set.
    poll_seconds: how often reports of running pods are read; also the shortest time between two writes of progress.
    """

    render_image: str = f"{IMAGE_REPOSITORY}-cpu:{_VERSION}"
    train_image: str = f"{IMAGE_REPOSITORY}-gpu:{_VERSION}"
    poll_seconds: int = 15

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> Self:
        """Read DEEPSYNTH_RENDER_IMAGE, DEEPSYNTH_TRAIN_IMAGE and DEEPSYNTH_POLL_SECONDS.

        Raises ConfigurationError if the poll interval is not a positive integer.
        """
        default = cls()
        return cls(
            render_image=environment.get("DEEPSYNTH_RENDER_IMAGE", default.render_image),
            train_image=environment.get("DEEPSYNTH_TRAIN_IMAGE", default.train_image),
            poll_seconds=parse_positive(environment, "DEEPSYNTH_POLL_SECONDS", default.poll_seconds),
        )


def parse_positive(environment: Mapping[str, str], name: str, default: int) -> int:
    """A variable that holds a positive integer. Raises ConfigurationError, naming the variable."""
    text = environment.get(name, str(default))
    if not text.isdecimal() or int(text) < 1:
        raise ConfigurationError(f"{name}: must be a positive integer, got {text!r}")
    return int(text)
