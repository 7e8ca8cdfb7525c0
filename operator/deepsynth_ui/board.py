"""The resources of a place in memory, kept current by a watch of each kind in a thread of its own.

Pages read from here, so that looking at them asks nothing of an API server and reads no file of a resource again.
"""

import threading
import time
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any, Final

from deepsynth_api.errors import WorkloadError
from deepsynth_api.kinds import KINDS
from deepsynth_client.errors import ClientError, NotFoundError
from deepsynth_client.interface import Manifest, Resources, Selection
from deepsynth_ui.addresses import Key, get_key

_ROUND_SECONDS: Final = 300.0
_RETRY_SECONDS: Final = 5.0
_LATE_SECONDS: Final = 120.0
"""After the time of a list, until it counts as missing: an API server may be away for a moment."""


@dataclass(frozen=True, eq=False)
class Watch:
    """One kind in one place."""

    resources: Resources
    kind: str


class Board:
    """resources: what pages ask for logs, Events and files, too. others: further places to watch, such as namespaces.

    round_seconds: after this time, resources are listed again, and what vanished without a trace is dropped.
    """

    def __init__(
        self,
        resources: Resources,
        selection: Selection | None = None,
        *,
        others: Sequence[Resources] = (),
        round_seconds: float = _ROUND_SECONDS,
        retry_seconds: float = _RETRY_SECONDS,
    ) -> None:
        self.resources = resources
        self._selection = selection or Selection()
        self._round_seconds, self._retry_seconds = round_seconds, retry_seconds
        self._found: dict[Key, Manifest] = {}
        self._versions: dict[Key, int] = {}
        self._version = 0
        self._problems: dict[Watch, str] = {}
        self._listed: dict[Watch, float] = {}
        self._lock = threading.Lock()
        self._stopped = threading.Event()
        self._watches = [Watch(place, kind) for place in (resources, *others) for kind in KINDS]
        self._threads = [
            threading.Thread(target=self._follow, args=(watch,), name=f"watch-{watch.kind}", daemon=True)
            for watch in self._watches
        ]

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Watches end at their next change, or with the process."""
        self._stopped.set()

    @property
    def place(self) -> str:
        """What a user sees of where the resources are."""
        first = self.resources.place
        if self._selection.all_namespaces:
            return f"{first.partition(', namespace ')[0]}, all namespaces"
        return ", ".join([first, *(watch.resources.place.rpartition(" ")[2] for watch in self._watches[2::2])])

    @property
    def is_alive(self) -> bool:
        """False after a defect has ended a watch."""
        return all(thread.is_alive() for thread in self._threads)

    @property
    def is_listed(self) -> bool:
        """Whether everything has been listed once."""
        return len(self._listed) == len(self._watches)

    def list_problems(self) -> list[str]:
        """Why what is shown may be old or not whole."""
        late = [
            f"no news of {KINDS[watch.kind].plural} for {int(age)} s; what is shown is as old"
            for watch, listed in [*self._listed.items()]
            if (age := time.monotonic() - listed) > self._round_seconds + _LATE_SECONDS and watch not in self._problems
        ]
        return [*dict.fromkeys(self._problems.values()), *late]

    def list_all(self, *kinds: str) -> list[Manifest]:
        with self._lock:
            return [item for key, item in self._found.items() if not kinds or key.kind in kinds]

    def find(self, key: Key) -> Manifest:
        """Raises NotFoundError."""
        found = self._found.get(key)
        if found is None:
            raise NotFoundError(f'{KINDS[key.kind].full_name} "{key.name}" not found in namespace {key.namespace}')
        return found

    def get_version(self, keys: Collection[Key] = ()) -> int:
        """A number that grows with each change of these resources, or of any."""
        with self._lock:
            return max((self._versions.get(key, 0) for key in keys), default=0) if keys else self._version

    def _follow(self, watch: Watch) -> None:
        known: set[Key] = set()
        while not self._stopped.is_set():
            try:
                self._follow_round(watch, known)
            except (ClientError, WorkloadError) as error:
                self._set_problem(watch, error.message)
                self._stopped.wait(self._retry_seconds)

    def _follow_round(self, watch: Watch, known: set[Key]) -> None:
        """known: the resources of this watch, which change with what it reports."""
        missing = set(known)
        for change in watch.resources.watch(watch.kind, self._selection, seconds=self._round_seconds):
            if self._stopped.is_set():
                return
            if change.type == "LISTED":
                for key in missing:
                    self._set(key, None)
                known -= missing
                missing.clear()
                self._set_problem(watch, "")
                self._listed[watch] = time.monotonic()
                continue
            key, is_gone = get_key(change.resource), change.type == "DELETED"
            (known.discard if is_gone else known.add)(key)
            missing.discard(key)
            self._set(key, None if is_gone else change.resource)

    def _set(self, key: Key, resource: Manifest | None) -> None:
        shown = None if resource is None else _strip(resource)
        with self._lock:
            if self._found.get(key) == shown:
                return
            if shown is None:
                del self._found[key]
            else:
                self._found[key] = shown
            self._version += 1
            self._versions[key] = self._version

    def _set_problem(self, watch: Watch, problem: str) -> None:
        with self._lock:
            if self._problems.get(watch, "") != problem:
                self._version += 1
            self._problems.pop(watch, None)
            if problem:
                self._problems[watch] = problem


def _strip(resource: Manifest) -> Manifest:
    """Without managedFields, which may be larger than all else and which no page shows."""
    metadata: dict[str, Any] = {key: value for key, value in resource["metadata"].items() if key != "managedFields"}
    return {**resource, "metadata": metadata}
