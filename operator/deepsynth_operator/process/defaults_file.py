"""The file with defaults for Jobs. It is a mounted ConfigMap, which changes while the operator runs."""

import asyncio
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from deepsynth_api.errors import ConfigurationError
from deepsynth_operator.core.job_defaults import JobDefault, parse_job_defaults
from deepsynth_operator.manifests.defaults import check_defaults

CHECK_SECONDS: Final = 10.0
_logger = logging.getLogger(__name__)


class DefaultsFile:
    """pause: waits between two looks at the file."""

    def __init__(self, path: Path, pause: Callable[[float], Any] = asyncio.sleep) -> None:
        self._path, self._pause = path, pause
        self._text = ""

    def read(self) -> tuple[JobDefault, ...]:
        """Raises ConfigurationError, naming the file or the field."""
        self._text = self._load()
        return _parse(self._text)

    async def follow(self, use: Callable[[tuple[JobDefault, ...]], None]) -> None:
        """Call `use` with the defaults each time they have changed. What cannot be used is logged once, and ignored."""
        while True:
            await self._pause(CHECK_SECONDS)
            before, self._text = self._text, ""
            try:
                self._text = self._load()
                if self._text == before:
                    continue
                # A ConfigMap of 1 MiB takes seconds, in which the lease must be renewed.
                defaults = await asyncio.to_thread(_parse, self._text)
            except ConfigurationError as error:
                if self._text != before:
                    _logger.warning("%s; the previous defaults stay in use", error.message)
                continue
            use(defaults)
            _logger.info("%s has changed; Jobs that are created from now on have its defaults", self._path)

    def _load(self) -> str:
        try:
            return self._path.read_text(encoding="utf-8")
        except (OSError, ValueError) as error:
            raise ConfigurationError(f"DEEPSYNTH_JOB_DEFAULTS: {self._path} cannot be read: {error}") from error


def _parse(text: str) -> tuple[JobDefault, ...]:
    defaults = parse_job_defaults(text)
    check_defaults(defaults)
    return defaults
