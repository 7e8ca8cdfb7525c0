"""Settings that turn kopf into a pure watcher: it watches, and writes nothing."""

from collections.abc import Iterator
from typing import Any

import kopf

from deepsynth_operator.kubernetes.api_paths import CHILDREN_SELECTOR
from deepsynth_operator.kubernetes.api_server import PAGE_SIZE


class EndlessBackoff:
    """Seconds between tries, without end: with a finite list, kopf ends the process after the last try."""

    def __iter__(self) -> Iterator[float]:
        yield from (0.5, 1.0, 2.0, 4.0)
        while True:
            yield 8.0


def build_kopf_settings() -> kopf.OperatorSettings:
    """Nothing is scanned, posted or stored on objects, and an outage does not end the process."""
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
    # Bookmarks come every minute. A connection without any is dead; the API server still has the missed events.
    settings.watching.inactivity_timeout = 70
    settings.networking.request_timeout = 60
    settings.networking.connect_timeout = 5
    settings.networking.error_backoffs = EndlessBackoff()
    settings.queueing.idle_timeout = 1.0
    settings.persistence.diffbase_storage = StoresNoDiffs()
    settings.persistence.progress_storage = StoresNoProgress()
    # kopf removes its finalizer from any object that has it. No object can have an empty one.
    settings.persistence.finalizer = ""
    return settings


class StoresNoDiffs(kopf.DiffBaseStorage):
    """Stores no last-seen state, so there is nothing to compare. By default kopf copies every object of every event."""

    def build(self, **_: Any) -> kopf.BodyEssence:
        return kopf.BodyEssence({})

    def fetch(self, **_: Any) -> None:
        return None

    def store(self, **_: Any) -> None:
        """Write nothing."""


class StoresNoProgress(kopf.ProgressStorage):
    """Stores no handler progress: our handlers only note what changed."""

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
