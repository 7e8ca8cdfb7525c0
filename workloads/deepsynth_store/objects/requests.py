"""The requests to an object store, each repeated by the rules of core.calls, and each answer checked.

Traps of obstore and of servers that are caught here: a proxy's page is taken for an empty listing, for an object, or on
Google Cloud Storage for a deletion; its 404 is taken for an absent object; an empty page in the middle ends a listing
early; a condition fails because the first try had succeeded and only its answer was lost. Writes need no check: without
an ETag in the answer, obstore itself fails.
"""

import itertools
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Final

import obstore
from obstore.exceptions import AlreadyExistsError, PreconditionError

from deepsynth_api.errors import TemporaryError, WorkloadError
from deepsynth_api.reasons import Reason
from deepsynth_store.core.backoff import TRUST_REMEDY, Fault
from deepsynth_store.core.calls import Calls, OddAnswerError
from deepsynth_store.core.interface import OnWait
from deepsynth_store.core.uri import ObjectLocation
from deepsynth_store.objects.client import PART_BYTES, Store, open_client
from deepsynth_store.objects.errors import classify, describe, explain, find_status
from deepsynth_store.objects.retry_after import ask_retry_after

if TYPE_CHECKING:
    from obstore import PutMode, UpdateVersion

_PARALLEL_PARTS: Final = 4
_PARALLEL_DELETIONS: Final = 8
_PAGE: Final = 1000


@dataclass(frozen=True)
class StoredObject:
    """key: relative to the location. tag: the ETag, which changes with the content."""

    key: str
    size: int
    tag: str


@dataclass(frozen=True)
class Content:
    """A whole small object. version: for a conditional replacement."""

    data: bytes
    attributes: Mapping[str, str]
    version: "UpdateVersion"


class ObjectCalls(Calls):
    """Requests about one location. Keys are relative to it."""

    server = "the object store"
    remedies: ClassVar[Mapping[Fault, str]] = {
        Fault.UNREACHABLE: "; check the network and the endpoint in the Secret that secretRef names",
        Fault.UNTRUSTED: TRUST_REMEDY,
        Fault.UNREADABLE: "; check the endpoint, and proxies on the way to it",
    }
    unreachable = Reason.STORE_UNREACHABLE
    unavailable = Reason.STORE_UNAVAILABLE

    def __init__(
        self, location: ObjectLocation, *, field: str, on_wait: OnWait | None, has_answered: bool = False
    ) -> None:
        client = open_client(location, field)
        super().__init__(location.uri, client.address, on_wait=on_wait, has_answered=has_answered)
        self.location = location
        self._store, self._patient = client.store, client.patient
        self._field = field
        self._prefix = f"{location.path}/" if location.path else ""

    def classify(self, error: BaseException) -> Fault | None:
        return classify(error)

    def is_answer(self, error: BaseException) -> bool:
        return find_status(error) is not None

    def find_asked_seconds(self, error: BaseException) -> float | None:
        return ask_retry_after(self._store, self.location) if find_status(error) in {429, 503} else None

    def describe(self, error: BaseException) -> str:
        return describe(error)

    def explain(self, error: BaseException) -> WorkloadError | None:
        return explain(error, self.location, self._field)

    def move_to(self, path: str) -> "ObjectCalls":
        """Requests about another location in the same bucket, with the same URI in messages."""
        return ObjectCalls(replace(self.location, path=path), field=self._field, on_wait=self._on_wait)

    def list(self, folder: str = "") -> Sequence[StoredObject]:
        """All objects below the location or a folder in it, sorted."""
        return self.call("list", lambda: self._list_once(folder))

    def read(self, key: str) -> Content | None:
        """A whole small object; None if there is none."""
        return self.call(f"read {key} of", lambda: self._read_once(key))

    def find(self, key: str) -> StoredObject | None:
        """None if there is no such object."""
        return self.call(f"read {key} of", lambda: self._find_once(key))

    def read_range(self, file: StoredObject, start: int, length: int) -> memoryview:
        """Exactly these bytes of the very object that was listed. Raises TemporaryError if it has changed."""
        return self.call(f"read {file.key} of", lambda: self._read_range_once(file, start, length))

    def write(self, key: str, content: bytes | Path) -> None:
        """Create or replace an object."""
        self.call(f"write {key} to", lambda: self._write_once(key, content))

    def upload(self, key: str, read: Callable[[], Iterator[bytes | bytearray]]) -> None:
        """Create or replace an object of any size. read: its content in pieces of PART_BYTES; called for each try."""
        self.call(f"write {key} to", lambda: self._upload_once(key, read))

    def replace(self, key: str, content: bytes, expected: Content | None, attributes: Mapping[str, str]) -> bool:
        """Create an object (expected: None) or replace that version of it; False if another writer was faster.

        True too if the object has this very content already: then the answer to an earlier try was lost.
        """
        return self.call(f"write {key} to", lambda: self._replace_once(key, content, expected, attributes))

    def copy(self, source: str, target: str) -> None:
        """Within the store. The caller checks that the copy is there: a proxy's page looks like a success."""
        self.call(f"copy {source} of", lambda: obstore.copy(self._patient, self._name(source), self._name(target)))

    def delete(self, keys: Sequence[str]) -> None:
        """Objects that do not exist count as deleted."""
        names = [self._name(key) for key in keys]
        for start in range(0, len(names), _PAGE):
            page = names[start : start + _PAGE]
            self.call("delete objects of", lambda page=page: self._delete_once(page))  # type: ignore[misc]

    def _name(self, key: str) -> str:
        return self._prefix + key

    def _list_once(self, folder: str) -> Sequence[StoredObject]:
        prefix = self._name(folder)
        found: dict[str, StoredObject] = {}
        while page := self._list_after(prefix, max(found, default=None)):
            found.update({entry.key: entry for entry in page})
        if not found:
            self._require_empty(prefix, folder)
        start = len(self._prefix)
        relative = [StoredObject(key[start:], entry.size, entry.tag) for key, entry in found.items()]
        return sorted(relative, key=lambda entry: entry.key)

    def _list_after(self, prefix: str, last: str | None) -> Sequence[StoredObject]:
        """Asking again from the last key on shows whether a listing was complete."""
        entries = obstore.list(self._store, prefix or None, offset=last, chunk_size=_PAGE).collect()
        folder = prefix.rstrip("/") + "/" if prefix else ""
        return [
            StoredObject(entry["path"], entry["size"], _quote(entry["e_tag"]))
            for entry in entries
            if entry["path"].startswith(folder) and (last is None or entry["path"] > last)
        ]

    def _require_empty(self, prefix: str, folder: str) -> None:
        """A page that a proxy sends now and then is an empty listing too: ask again, with a question whose answer is
        known in between.
        """
        self._require_absence(f"{folder}/.deepsynth-absent-{uuid.uuid4().hex}".lstrip("/"))
        if self._list_after(prefix, None):
            raise OddAnswerError("a listing was empty, and is not; a proxy answers for the store")

    def _require_absence(self, key: str) -> None:
        """The body of the answer shows whether the store sent it."""
        try:
            obstore.get(self._store, self._name(key))
        except FileNotFoundError as error:
            self._require_bucket(error)
        else:
            raise OddAnswerError(f"expected no object {key}, found one; a proxy answers for the store")

    def _read_once(self, key: str) -> Content | None:
        try:
            result = obstore.get(self._store, self._name(key))
        except FileNotFoundError as error:
            self._require_bucket(error)
            return None
        data = bytes(result.bytes())
        meta = result.meta
        if not meta["e_tag"] or len(data) != meta["size"]:
            raise OddAnswerError(f"expected an object with an ETag, got {len(data):,} bytes of something else")
        attributes = {str(name): str(value) for name, value in result.attributes.items()}
        version: UpdateVersion = {"e_tag": meta["e_tag"]}
        if meta["version"] is not None:
            version["version"] = meta["version"]
        return Content(data, attributes, version)

    def _find_once(self, key: str) -> StoredObject | None:
        try:
            meta = obstore.head(self._store, self._name(key))
        except FileNotFoundError:
            self._require_absence(key)
            return None
        if not meta["e_tag"]:
            raise OddAnswerError("expected an object with an ETag, got something else")
        return StoredObject(key, meta["size"], _quote(meta["e_tag"]))

    def _require_bucket(self, error: FileNotFoundError) -> None:
        """Raise for an absent bucket and for a proxy's page; an absent object is an answer."""
        if self.classify(error) or self.explain(error):
            raise error

    def _read_range_once(self, file: StoredObject, start: int, length: int) -> memoryview:
        try:
            result = obstore.get(
                self._store,
                self._name(file.key),
                options={"range": (start, start + length), **({"if_match": file.tag} if file.tag else {})},
            )
        except (FileNotFoundError, PreconditionError) as error:
            if isinstance(error, FileNotFoundError):
                self._require_bucket(error)
            raise TemporaryError(f"{file.key} of {self._uri} changed while it was read; try again") from error
        data = memoryview(result.bytes())
        tag = _quote(result.meta["e_tag"])
        found = (tag, result.meta["size"], len(data))
        if found != (file.tag or tag, file.size, length):
            raise OddAnswerError(f"expected {length:,} bytes at {start:,} of {file.size:,}, got {found}")
        return data

    def _write_once(self, key: str, content: bytes | Path) -> None:
        self._put(self._patient if isinstance(content, Path) else self._store, key, content)

    def _upload_once(self, key: str, read: Callable[[], Iterator[bytes | bytearray]]) -> None:
        """The library reads ahead of its uploads by as many parts as it sends at once."""
        pieces = read()
        first = next(pieces, b"")
        if len(first) < PART_BYTES:
            self._put(self._store, key, bytes(first))
        else:
            self._put(self._patient, key, itertools.chain([first], pieces))

    def _put(self, store: Store, key: str, content: bytes | Path | Iterator[bytes | bytearray]) -> None:
        """If the answer to its completion is lost, an upload in parts is not known any more when that is repeated."""
        try:
            obstore.put(store, self._name(key), content, chunk_size=PART_BYTES, max_concurrency=_PARALLEL_PARTS)
        except FileNotFoundError as error:
            self._require_bucket(error)
            if find_status(error) is None:  # a file on this machine
                raise
            raise OddAnswerError(f"the upload in parts is gone ({describe(error)})") from error

    def _replace_once(self, key: str, content: bytes, expected: Content | None, attributes: Mapping[str, str]) -> bool:
        mode: PutMode = "create" if expected is None else expected.version
        try:
            obstore.put(self._store, self._name(key), content, mode=mode, attributes=dict(attributes))
        except (AlreadyExistsError, PreconditionError, FileNotFoundError) as error:
            if isinstance(error, FileNotFoundError):
                self._require_bucket(error)
            found = self._read_once(key)
            return found is not None and found.data == content and _has_kept(found.attributes, attributes)
        return True

    def _delete_once(self, names: Sequence[str]) -> None:
        """The library stops at the first object that is absent, where the store says so (Azure, Google)."""
        if self.location.scheme != "gs":
            try:
                obstore.delete(self._store, list(names))
            except FileNotFoundError as error:
                self._require_bucket(error)
            else:
                return
        with ThreadPoolExecutor(_PARALLEL_DELETIONS) as pool:
            list(pool.map(self._delete_single, names))

    def _delete_single(self, name: str) -> None:
        """On Google Cloud Storage, the library takes any answer for success. So an object counts as deleted when
        another request finds nothing to delete.
        """
        try:
            for _ in range(2):
                obstore.delete(self._store, [name])
        except FileNotFoundError as error:
            self._require_bucket(error)
        else:
            raise OddAnswerError("an object is still there after its deletion, or a proxy answered for the store")


def _has_kept(found: Mapping[str, str], written: Mapping[str, str]) -> bool:
    """Some stores keep no attributes, others none that are empty."""
    return all(found.get(name, value) == value for name, value in written.items())


def _quote(tag: str | None) -> str:
    """As headers have it: the listings of Azure lack the quotes."""
    return f'"{tag}"' if tag and not tag.startswith(('"', "W/")) else tag or ""
