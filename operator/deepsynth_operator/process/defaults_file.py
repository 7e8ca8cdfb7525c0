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
        try:
            self._text = self._path.read_text(encoding="utf-8")
        except (OSError, ValueError) as error:
            self._text = ""
            raise ConfigurationError(f"DEEPSYNTH_JOB_DEFAULTS: {self._path} cannot be read: {error}") from error
        defaults = parse_job_defaults(self._text)
        check_defaults(defaults)
        return defaults

    async def follow(self, use: Callable[[tuple[JobDefault, ...]], None]) -> None:
        """Call `use` with the defaults each time they have changed. What cannot be used is logged once, and ignored."""
        while True:
            await self._pause(CHECK_SECONDS)
            before = self._text
            try:
                defaults = self.read()
            except ConfigurationError as error:
                if self._text != before:
                    _logger.warning("%s; the defaults of before stay in use", error.message)
                continue
            if self._text != before:
                use(defaults)
                _logger.info("%s has changed; Jobs that are created from now on have its defaults", self._path)
