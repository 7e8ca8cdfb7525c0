"""kopf as a pure watcher: what it is told to do, and above all not to do."""

from collections.abc import Iterator
from typing import Any

import kopf

from deepsynth_operator.kubernetes.api_paths import CHILDREN_SELECTOR
from deepsynth_operator.kubernetes.api_server import PAGE_SIZE


class EndlessBackoff:
    """Seconds between tries. After the last of a list kopf would end the process: an outage is no reason for that."""

    def __iter__(self) -> Iterator[float]:
        yield from (0.5, 1.0, 2.0, 4.0)
        while True:
            yield 8.0


def build_kopf_settings() -> kopf.OperatorSettings:
    """A pure watcher: it writes nothing anywhere, and an outage does not end it."""
    settings = kopf.OperatorSettings()
    settings.scanning.disabled = True
    settings.posting.enabled = False
    settings.peering.standalone = True
    settings.watching.label_selectors["batch", "v1", "jobs"] = CHILDREN_SELECTOR
    settings.watching.label_selectors["", "v1", "pods"] = CHILDREN_SELECTOR
    settings.watching.chunk_size = PAGE_SIZE
    settings.watching.server_timeout = 600
    settings.watching.client_timeout = 660
    settings.watching.connect_timeout = 5
    # Bookmarks come every minute; a connection without any is dead, and the events missed are still remembered.
    settings.watching.inactivity_timeout = 70
    settings.networking.request_timeout = 60
    settings.networking.connect_timeout = 5
    settings.networking.error_backoffs = EndlessBackoff()
    settings.queueing.idle_timeout = 1.0
    settings.persistence.diffbase_storage = NoDiffs()
    settings.persistence.progress_storage = NoProgress()
    # kopf takes its finalizer off whatever carries it, its own or not. No object can carry this one.
    settings.persistence.finalizer = ""
    return settings


class NoDiffs(kopf.DiffBaseStorage):
    """Nothing is kept on objects, so there is nothing to compare. kopf would copy each object of each event for it."""

    def build(self, **_: Any) -> kopf.BodyEssence:
        return kopf.BodyEssence({})

    def fetch(self, **_: Any) -> None:
        return None

    def store(self, **_: Any) -> None:
        """Write nothing."""


class NoProgress(kopf.ProgressStorage):
    """Handlers that only note have no progress."""

    def fetch(self, **_: Any) -> None:
        return None

    def store(self, **_: Any) -> None:
        """Write nothing."""

    def purge(self, **_: Any) -> None:
        """Write nothing."""

    def touch(self, **_: Any) -> None:
        """Write nothing."""

    def clear(self, *, essence: kopf.BodyEssence) -> kopf.BodyEssence:
        return essence
