"""Staging below a hidden prefix and publishing by one conditional request.

1. Copy the staged files, inside the store, to names that no other publish uses (see `keys`), and write the others.
2. Check that all of them are there with the right sizes.
3. Replace the manifest, on condition that it is still the one that this publish started from. This is the commit:
   readers see the old dataset before it and the new one after it.
4. Delete the files of the generation before, and staging.

A process may be killed between any two requests: repeating all of them leads to the same objects. If another writer
commits first, this one starts again from what that one published.
"""

import uuid
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import BinaryIO, Final

from deepsynth_api.errors import ConfigurationError, DataError
from deepsynth_api.reasons import Reason
from deepsynth_store.core.calls import OddAnswerError
from deepsynth_store.core.file_listing import (
    list_expected,
    parse_manifest,
    read_content,
    refuse_foreign_files,
    require_agreement,
    require_staged,
)
from deepsynth_store.core.interface import MANIFEST, OnWait, Published, StoredFile
from deepsynth_store.core.ranged_file import open_ranged
from deepsynth_store.core.uri import ObjectLocation
from deepsynth_store.objects.errors import ConflictError
from deepsynth_store.objects.keys import build_key, derive_generation, find_generation, is_hidden
from deepsynth_store.objects.reading import GENERATION, Head, compute_revision, read_head
from deepsynth_store.objects.requests import ObjectCalls, StoredObject

_PREVIOUS: Final = "previous"
"""Attribute of the manifest's object: the generation before, whose files can be deleted."""
_COPIES_AT_ONCE: Final = 8


class ObjectTarget:
    """See DatasetTarget. The revision is the manifest's sha256, as in a folder."""

    def __init__(
        self,
        location: ObjectLocation,
        digest: str,
        *,
        field: str,
        on_wait: OnWait | None = None,
        has_answered: bool = False,
    ) -> None:
        self.uri = location.uri
        self._calls = ObjectCalls(location, field=field, on_wait=on_wait, has_answered=has_answered)
        self._staging = f".deepsynth-{digest}"
        self._field = field

    def prepare(self) -> None:
        self._check_conditions()
        self._refuse_foreign_files(read_head(self._calls), [entry.key for entry in self._calls.list()])

    def put(self, files: Mapping[str, bytes | Path]) -> None:
        for path, content in files.items():
            self._calls.write(self._name_staged(path), content)

    def list_staged(self, prefix: str = "") -> Sequence[StoredFile]:
        return [file for file in self._select_staged(self._calls.list(self._staging)) if file.path.startswith(prefix)]

    def get(self, path: str) -> bytes:
        with self.open_staged(path) as file:
            return file.read()

    def open_staged(self, path: str) -> BinaryIO:
        found = self._calls.find(self._name_staged(path))
        if found is None:
            raise DataError(f"{path} is not staged in {self.uri}/{self._staging}")
        return open_ranged(found.size, lambda start, length: self._calls.read_range(found, start, length))

    def publish(self, copies: Mapping[str, str], files: Mapping[str, bytes | Path]) -> str:
        revision = self._calls.call("publish", lambda: self._publish_once(copies, files))
        self._calls.delete([entry.key for entry in self._calls.list(self._staging)])
        return revision

    def published(self) -> Published | None:
        return _describe(read_head(self._calls))

    def _check_conditions(self) -> None:
        """Also shows that these credentials may write and delete."""
        probe = f"{self._staging}/.probe-{uuid.uuid4().hex}"
        self._calls.write(probe, b"first")
        has_refused = not self._calls.replace(probe, b"second", None, {})
        self._calls.delete([probe])
        if not has_refused:
            raise ConfigurationError(
                f"{self._field}: {self.uri} is in a store that ignores If-None-Match, so two writers could corrupt "
                "each other; use a store with conditional writes",
                reason=Reason.STORE_REFUSED,
            )

    def _refuse_foreign_files(self, head: Head, keys: Sequence[str]) -> None:
        """Files with the name of a generation are left by a publish that was interrupted; no reader takes them."""
        known = [key for key in keys if not is_hidden(key) and find_generation(key) is None]
        refuse_foreign_files(head.manifest, known, self.uri, self._field)

    def _publish_once(self, copies: Mapping[str, str], files: Mapping[str, bytes | Path]) -> str:
        manifest = read_content(files[MANIFEST])
        head = read_head(self._calls)
        if (found := _describe(head)) and found.manifest == manifest:
            self._delete_previous(head)
            return found.revision
        try:
            self._commit_generation(head, manifest, copies, files)
        except DataError:
            # Another process may have published the same plan, and then it has removed staging.
            found = self.published()
            if found is None or found.manifest != manifest:
                raise
        return compute_revision(manifest)

    def _commit_generation(
        self, head: Head, manifest: bytes, copies: Mapping[str, str], files: Mapping[str, bytes | Path]
    ) -> None:
        require_agreement(copies, files)
        present = {entry.key: entry for entry in self._calls.list()}
        self._refuse_foreign_files(head, list(present))
        require_staged(copies, files, self._select_staged(list(present.values())), self.uri)
        previous = head.find_generation(present, self.uri)
        generation = derive_generation(previous, manifest)
        expected = {build_key(file.path, generation): file for file in list_expected(files) if file.path != MANIFEST}
        missing = {
            path: staged
            for path, staged in copies.items()
            if not _is_there(present, key := build_key(path, generation), expected[key])
        }
        self._copy(missing, generation)
        for path, content in files.items():
            if path != MANIFEST:
                self._calls.write(build_key(path, generation), content)
        written = self._check_arrived(expected)
        attributes = {GENERATION: generation, _PREVIOUS: previous}
        if not self._calls.replace(MANIFEST, manifest, head.content, attributes):
            self._delete_generation(generation)
            raise ConflictError("another publish was committed first")
        self._calls.delete(sorted(self._find_superseded(head, written) - set(expected)))

    def _copy(self, copies: Mapping[str, str], generation: str) -> None:
        with ThreadPoolExecutor(_COPIES_AT_ONCE) as pool:
            list(
                pool.map(
                    lambda item: self._calls.copy(self._name_staged(item[1]), build_key(item[0], generation)),
                    copies.items(),
                )
            )

    def _check_arrived(self, expected: Mapping[str, StoredFile]) -> list[str]:
        """All keys that are there."""
        present = {entry.key: entry for entry in self._calls.list()}
        for key, file in expected.items():
            if not _is_there(present, key, file):
                raise OddAnswerError(f"{key} was written, but is not there with {file.size:,} bytes")
        return list(present)

    def _find_superseded(self, head: Head, written: Sequence[str]) -> set[str]:
        """What the publish before has written, and publishes that were interrupted. A publish that is running now and
        can still be committed started after ours was, so `written`, which is older, holds nothing of it.
        """
        listed = set() if head.manifest is None else set(parse_manifest(head.manifest, self.uri))
        named = {key for key in listed & set(written) if key != MANIFEST}
        return named | {key for key in written if find_generation(key) is not None and not is_hidden(key)}

    def _delete_previous(self, head: Head) -> None:
        """What _delete_superseded has not deleted before its process was killed. No later publish has these names."""
        if head.content is not None and (previous := head.content.attributes.get(_PREVIOUS)):
            self._delete_generation(previous)

    def _delete_generation(self, generation: str) -> None:
        """Safe at any time: a generation that was not committed, or was replaced, is never read again."""
        data = self._calls.list("data")
        self._calls.delete([entry.key for entry in data if find_generation(entry.key) == generation])

    def _name_staged(self, path: str) -> str:
        if path.startswith("/") or is_hidden(path):
            raise DataError(f"{path!r} is not a path that can be staged")
        return f"{self._staging}/{path}"

    def _select_staged(self, entries: Sequence[StoredObject]) -> list[StoredFile]:
        start = f"{self._staging}/"
        names = [(entry.key.removeprefix(start), entry.size) for entry in entries if entry.key.startswith(start)]
        return [StoredFile(path, size, None) for path, size in names if not is_hidden(path)]


def _describe(head: Head) -> Published | None:
    return None if head.manifest is None else Published(compute_revision(head.manifest), head.manifest)


def _is_there(present: Mapping[str, StoredObject], key: str, file: StoredFile) -> bool:
    return key in present and present[key].size == file.size
