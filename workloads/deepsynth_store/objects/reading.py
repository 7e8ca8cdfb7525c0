"""Reading a dataset from an object store at a pinned revision."""

import hashlib
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final

from deepsynth_api.errors import ConfigurationError, DataError, TemporaryError
from deepsynth_store.core.download import write_download
from deepsynth_store.core.file_listing import DATA_FOLDER, parse_manifest
from deepsynth_store.core.interface import MANIFEST, OnBytes, OnWait, StoredFile
from deepsynth_store.core.ranged_file import open_ranged
from deepsynth_store.core.uri import ObjectLocation
from deepsynth_store.objects.client import PART_BYTES
from deepsynth_store.objects.keys import build_key, derive_generation, find_generation, is_hidden
from deepsynth_store.objects.requests import Content, ObjectCalls, StoredObject

GENERATION: Final = "generation"
"""Attribute of the manifest's object: the generation in the names of its files; see `keys`."""
_PARTS_AHEAD: Final = 4
"""Parts of a file that are fetched at once and kept in memory."""
_MAX_OPENINGS: Final = 3


@dataclass(frozen=True)
class Head:
    """What is published. content: of the manifest's object; None if there is none."""

    content: Content | None

    @property
    def manifest(self) -> bytes | None:
        return None if self.content is None else self.content.data

    def find_generation(self, listing: Mapping[str, StoredObject], uri: str) -> str:
        """Empty for files that were not published to the store by DeepSynth. listing: all objects, by key.

        Some stores keep no attributes, such as the Hub's buckets. There it is the one of which all files are listed.
        """
        if self.content is None:
            return ""
        if GENERATION in self.content.attributes:
            return self.content.attributes[GENERATION]
        known = parse_manifest(self.content.data, uri)
        return infer_generation(self.content.data, {path: file.size for path, file in known.items()}, listing)


def read_head(calls: ObjectCalls) -> Head:
    return Head(calls.read(MANIFEST))


class ObjectDataset:
    """See DatasetFolder. The objects are pinned by their ETags when it is opened.

    revision: sha256 of the manifest, as in a folder; without a manifest, of all names, sizes and ETags. A URI may also
    name one object, for sources.
    """

    def __init__(
        self, location: ObjectLocation, revision: str | None, *, field: str, on_wait: OnWait | None = None
    ) -> None:
        self.uri = location.uri
        self._calls = ObjectCalls(location, field=field, on_wait=on_wait, has_answered=revision is not None)
        head, self._objects, self._known = self._open()
        self.revision = compute_revision(_list_tags(self._objects) if head.manifest is None else head.manifest)
        if not self._objects:
            raise ConfigurationError(f"{field}: {self.uri} not found (no object of that name or below it)")
        if revision is not None and revision != self.revision:
            raise DataError(
                f"{self.uri} has changed: expected revision {revision}, got {self.revision}; "
                "restore the earlier content, or delete and re-apply the resource"
            )

    def list_files(self, prefix: str = "") -> Sequence[StoredFile]:
        return [self._describe(path) for path in sorted(self._objects) if path.startswith(prefix)]

    def open(self, path: str) -> BinaryIO:
        found = self._find(path)
        return open_ranged(found.size, lambda start, length: self._calls.read_range(found, start, length))

    def read(self, path: str) -> bytes:
        with self.open(path) as file:
            return file.read()

    def download(self, path: str, local_path: Path, on_bytes: OnBytes | None = None) -> StoredFile:
        try:
            return self._download_once(path, local_path, on_bytes)
        except DataError:  # perhaps damaged on the way
            return self._download_once(path, local_path, on_bytes)

    def _download_once(self, path: str, local_path: Path, on_bytes: OnBytes | None) -> StoredFile:
        parts = _read_parts(self._calls, self._find(path))
        return write_download(parts, self._describe(path), local_path, self.uri, on_bytes)

    def _describe(self, path: str) -> StoredFile:
        return StoredFile(path, self._objects[path].size, self._known[path].sha256 if path in self._known else None)

    def _find(self, path: str) -> StoredObject:
        if path not in self._objects:
            raise DataError(f"{self.uri} holds no file {path}")
        return self._objects[path]

    def _open(self) -> tuple[Head, Mapping[str, StoredObject], Mapping[str, StoredFile]]:
        """Manifest and listing are two requests: a publish between them is seen by what does not fit."""
        problem = ""
        for _ in range(_MAX_OPENINGS):
            head = read_head(self._calls)
            listing = {entry.key: entry for entry in self._calls.list()} or self._list_single()
            if head.manifest is None:
                return head, {key: entry for key, entry in listing.items() if not is_hidden(key)}, {}
            known = parse_manifest(head.manifest, self.uri)
            objects = select_published(listing, known, head.find_generation(listing, self.uri))
            wrong = [path for path, file in known.items() if path not in objects or objects[path].size != file.size]
            if not wrong:
                return head, objects, known
            problem = f"{self.uri} lacks {wrong[0]} as its manifest lists it"
        raise TemporaryError(f"{problem}: it is being published, or damaged; if this lasts, publish it again")

    def _list_single(self) -> Mapping[str, StoredObject]:
        """The object that the URI itself names. Its key is made relative to the folder that it is in."""
        folder, _, name = self._calls.location.path.rpartition("/")
        if not name:
            return {}
        calls = self._calls.move_to(folder)
        found = calls.find(name)
        if found is None:
            return {}
        self._calls = calls
        return {name: found}


def select_published(
    listing: Mapping[str, StoredObject], known: Mapping[str, StoredFile], generation: str
) -> dict[str, StoredObject]:
    """Path -> object. Below data/ only what the manifest lists; the rest may be of another publish."""
    objects = {key: entry for key, entry in listing.items() if not is_hidden(key) and not key.startswith(DATA_FOLDER)}
    keys = {path: build_key(path, generation) for path in known}
    return {**objects, **{path: listing[key] for path, key in keys.items() if key in listing}}


def infer_generation(manifest: bytes, sizes: Mapping[str, int], listing: Mapping[str, StoredObject]) -> str:
    """The generation of a manifest from the names that are there. sizes: of the files that it lists.

    Empty if no generation has all files, and for a folder that another program has copied, whose files have plain
    names. If several have all of them in the right sizes, a publish was interrupted after its commit: the last one is
    derived from another. What is read is verified by its hash in any case.
    """
    data = {path: size for path, size in sizes.items() if path.startswith(DATA_FOLDER)}

    def is_complete(generation: str) -> bool:
        keys = {build_key(path, generation): size for path, size in data.items()}
        return all(key in listing and listing[key].size == size for key, size in keys.items())

    marks = sorted({mark for key in listing if (mark := find_generation(key)) is not None})
    if not data or is_complete(""):
        return ""
    complete = [mark for mark in marks if is_complete(mark)]
    derived = {derive_generation(previous, manifest) for previous in ("", *marks)}
    return next(iter([mark for mark in complete if mark in derived] or complete), "")


def compute_revision(manifest: bytes) -> str:
    """As in a folder."""
    return hashlib.sha256(manifest).hexdigest()


def _list_tags(objects: Mapping[str, StoredObject]) -> bytes:
    """What stands for a manifest where there is none."""
    return "".join(f"{path}\0{objects[path].size}\0{objects[path].tag}\n" for path in sorted(objects)).encode()


def _read_parts(calls: ObjectCalls, file: StoredObject) -> Iterator[memoryview]:
    """The content in order. A few parts are fetched at the same time, because one connection to a store is slow."""
    starts = range(0, file.size, PART_BYTES)
    with ThreadPoolExecutor(_PARTS_AHEAD) as pool:
        pending: deque[Future[memoryview]] = deque()
        try:
            for start in starts:
                length = min(PART_BYTES, file.size - start)
                pending.append(pool.submit(calls.read_range, file, start, length))
                if len(pending) == _PARTS_AHEAD:
                    yield pending.popleft().result()
            while pending:
                yield pending.popleft().result()
        finally:
            for future in pending:
                future.cancel()
