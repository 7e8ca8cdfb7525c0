"""Files of the administrator that may change while the operator runs: defaults for Jobs, prices. Mounted ConfigMaps."""

import asyncio
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, Generic, TypeVar

from deepsynth_api.errors import ConfigurationError
from deepsynth_operator.core.job_defaults import JobDefault, parse_job_defaults
from deepsynth_operator.core.prices import PriceTable, parse_prices
from deepsynth_operator.manifests.defaults import check_defaults

CHECK_SECONDS: Final = 10.0
Content = TypeVar("Content")
_logger = logging.getLogger(__name__)


class FollowedFile(Generic[Content]):
    """variable: names the file in errors. parse: raises ConfigurationError. pause: waits between two looks."""

    def __init__(
        self,
        variable: str,
        path: Path,
        parse: Callable[[str], Content],
        pause: Callable[[float], Any] = asyncio.sleep,
    ) -> None:
        self._variable, self._path, self._parse, self._pause = variable, path, parse, pause
        self._text = ""

    def read(self) -> Content:
        """Raises ConfigurationError, naming the file or the field."""
        self._text = self._load()
        return self._parse(self._text)

    async def follow(self, use: Callable[[Content], None]) -> None:
        """Call `use` with the content each time it has changed. What cannot be used is logged once, and ignored."""
        while True:
            await self._pause(CHECK_SECONDS)
            before, self._text = self._text, ""
            try:
                self._text = self._load()
                if self._text == before:
                    continue
                # A ConfigMap of 1 MiB takes seconds, in which the lease must be renewed.
                content = await asyncio.to_thread(self._parse, self._text)
            except ConfigurationError as error:
                if self._text != before:
                    _logger.warning("%s; the previous content of %s stays in use", error.message, self._path)
                continue
            use(content)
            _logger.info("%s has changed; it counts for Jobs that start from now on", self._path)

    def _load(self) -> str:
        try:
            return self._path.read_text(encoding="utf-8")
        except (OSError, ValueError) as error:
            raise ConfigurationError(f"{self._variable}: {self._path} cannot be read: {error}") from error


def follow_defaults(path: Path, pause: Callable[[float], Any] = asyncio.sleep) -> FollowedFile[tuple[JobDefault, ...]]:
    return FollowedFile("DEEPSYNTH_JOB_DEFAULTS", path, _parse_defaults, pause)


def follow_prices(path: Path, pause: Callable[[float], Any] = asyncio.sleep) -> FollowedFile[PriceTable]:
    return FollowedFile("DEEPSYNTH_PRICES", path, lambda text: parse_prices(text, "prices"), pause)


def _parse_defaults(text: str) -> tuple[JobDefault, ...]:
    defaults = parse_job_defaults(text)
    check_defaults(defaults)
    return defaults
