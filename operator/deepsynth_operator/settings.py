"""Settings of the operator, read from the environment once. Those of one resource are in its spec."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

from deepsynth_api.errors import ConfigurationError

IMAGE_REPOSITORY = "ghcr.io/deepsynth/deepsynth"


@dataclass(frozen=True, slots=True)
class Settings:
    """What holds for all resources.

    render_image, train_image: used where spec.image is not set.
    poll_seconds: how often reports of running pods are read, and progress is written at most.
    """

    render_image: str = f"{IMAGE_REPOSITORY}-cpu:0.1.0"
    train_image: str = f"{IMAGE_REPOSITORY}-gpu:0.1.0"
    poll_seconds: int = 15

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> Self:
        """Read DEEPSYNTH_RENDER_IMAGE, DEEPSYNTH_TRAIN_IMAGE and DEEPSYNTH_POLL_SECONDS.

        Raises ConfigurationError for a poll interval that is no positive number.
        """
        default = cls()
        poll = environment.get("DEEPSYNTH_POLL_SECONDS", str(default.poll_seconds))
        if not poll.isdecimal() or int(poll) < 1:
            raise ConfigurationError(f"DEEPSYNTH_POLL_SECONDS: {poll!r} is no whole number of seconds above 0")
        return cls(
            render_image=environment.get("DEEPSYNTH_RENDER_IMAGE", default.render_image),
            train_image=environment.get("DEEPSYNTH_TRAIN_IMAGE", default.train_image),
            poll_seconds=int(poll),
        )
