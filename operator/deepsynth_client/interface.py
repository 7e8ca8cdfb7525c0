"""Resources: what a client does with DatasetGenerations and TrainingRuns, in a cluster or in a folder.

Verbs and notebooks use this Protocol and never ask which implementation they have. A resource is a dict as it comes
over the wire, with the status that the operator (or the local controller) wrote.
"""

import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final, Literal, Protocol

from deepsynth_client.manifest_file import ParsedManifest

_logger = logging.getLogger(__name__)

Manifest = Mapping[str, Any]
ChangeType = Literal["ADDED", "MODIFIED", "DELETED", "LISTED"]
Outcome = Literal["created", "configured", "unchanged"]


@dataclass(frozen=True)
class Selection:
    """Which resources of a kind: selectors as kubectl writes them. all_namespaces: not only the chosen one."""

    labels: str = ""
    fields: str = ""
    all_namespaces: bool = False


@dataclass(frozen=True)
class Change:
    """What happened to a resource. A watch begins with ADDED for all that exist; one LISTED, without any, follows."""

    type: ChangeType
    resource: Manifest


LISTED: Final = Change("LISTED", {})


@dataclass(frozen=True)
class Note:
    """An Event about a resource. kind: Normal or Warning. time: of its last repetition."""

    time: datetime
    kind: str
    reason: str
    message: str
    count: int = 1


@dataclass(frozen=True)
class PodLog:
    """The log of a pod that can be read now. index: node rank or shard."""

    pod: str
    job: str
    index: int
    is_over: bool


@dataclass(frozen=True)
class WaitingPod:
    """A pod that has not started, so that it has no log. index: node rank or shard. obstacle: may be empty."""

    pod: str
    job: str
    index: int
    obstacle: str


def is_object(uri: str) -> bool:
    """Whether it is in an object store."""
    return uri.startswith(("s3://", "gs://", "az://", "hf://buckets/"))


def is_remote(uri: str) -> bool:
    """Whether it is in an object store or on the Hub."""
    return is_object(uri) or uri.startswith("hf://")


def warn_of_link(uri: str, target: str) -> None:
    """Log that `remove` keeps data."""
    _logger.warning("%s is a link: it is removed, and what it leads to is kept: %s", uri, target)


class Files(Protocol):
    """Files that a resource names by URI, of volumes and object stores. What is on the Hub has no files here.

    Checkpoints in an object store have the names that they would have in a folder: step-120.
    """

    def measure(self, uris: Sequence[str]) -> dict[str, int]:
        """Bytes below each URI that is a folder here; others are not in the answer. The last part may be a pattern.

        A link to a folder has 0 bytes, see `remove`.
        """
        ...

    def remove(self, uris: Sequence[str]) -> None:
        """Remove these folders. Of a link only the link itself: what it leads to may be more than the user saw."""
        ...

    def find_folder(self, uri: str) -> Path | None:
        """The folder itself, if this machine has it; none of an object store. No part of its path is a link."""
        ...

    def fetch(self, uri: str, patterns: Sequence[str]) -> Path | None:
        """A folder on this machine with the files of `uri` that match (such as reports/*.log); None if there is none.

        No part of its path is a link. It may have other files too. The caller must not change it. Objects of a store
        with names that this machine does not take are not in it; a warning is logged.
        """
        ...

    def fetch_pages(self, uri: str) -> Path | None:
        """A folder on this machine with the dataset of `uri`, or with a few of its pages as data/*.parquet; None if
        there is none. Also of the Hub. Gives up after a minute; a pod after two. No part of its path is a link.
        """
        ...


class Resources(Protocol):
    """Errors are ClientErrors. place: what the user sees of where the resources are."""

    @property
    def place(self) -> str: ...

    def list_all(self, kind: str, selection: Selection = ...) -> list[Manifest]:
        """Oldest first."""
        ...

    def list_neighbours(self, kind: str) -> list[Manifest]:
        """All that see the same volumes: of the namespace in a cluster, of all namespaces in a folder."""
        ...

    def read(self, kind: str, name: str) -> Manifest:
        """Raises NotFoundError."""
        ...

    def watch(self, kind: str, selection: Selection = ..., *, seconds: float | None = None) -> Iterator[Change]:
        """Those that exist, then every change: for `seconds`, or without an end. Lost connections are not seen."""
        ...

    def apply(self, manifests: Iterable[ParsedManifest], *, force: bool = False) -> list[tuple[Manifest, Outcome]]:
        """Create these resources, or change their specs. force: take over fields of other managers."""
        ...

    def suspend(self, kind: str, name: str, *, suspend: bool) -> Manifest:
        """Set spec.suspend."""
        ...

    def delete(self, kind: str, name: str) -> None:
        """Delete the resource and its pods, not its data. Raises NotFoundError."""
        ...

    def list_notes(self, resource: Manifest) -> list[Note]:
        """The Events about a resource that are still kept, oldest first."""
        ...

    def list_logs(self, resource: Manifest) -> list[PodLog]:
        """The logs of its pods that can still be read."""
        ...

    def list_waiting(self, resource: Manifest) -> list[WaitingPod]:
        """Its pods that have not started. A folder has none: there, a pod is a process."""
        ...

    def read_log(
        self, resource: Manifest, log: PodLog, *, follow: bool = False, tail: int | None = None
    ) -> Iterator[str]:
        """The lines of a pod's log. follow: until the pod is over; lost connections are not seen. tail: the last N."""
        ...

    def open_files(self, resource: Manifest) -> Files: ...

    def explain_silence(self) -> str:
        """What to look at if nobody works on a new resource."""
        ...
