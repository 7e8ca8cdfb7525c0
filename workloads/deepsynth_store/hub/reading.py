"""Reading a repository of the Hub at one commit."""

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import BinaryIO, Final

from huggingface_hub.errors import EntryNotFoundError, RevisionNotFoundError
from huggingface_hub.hf_api import RepoFile

from deepsynth_api.errors import DataError
from deepsynth_store.core.calls import OddAnswerError
from deepsynth_store.core.download import write_download
from deepsynth_store.core.interface import OnBytes, OnWait, StoredFile
from deepsynth_store.core.uri import HubLocation, is_commit
from deepsynth_store.hub.calls import HubCalls
from deepsynth_store.hub.file import HubStream, open_hub_file

CONVERTED: Final = "refs/convert/parquet"
"""Revision with the Hub's Parquet form of a dataset that is a script: CONFIG/SPLIT/NNNN.parquet."""

_PATHS_PER_REQUEST = 500


class HubDataset:
    """See DatasetFolder. Without a revision, a dataset that is a script is read in its converted form."""

    def __init__(
        self, location: HubLocation, revision: str | None, *, field: str, on_wait: OnWait | None = None
    ) -> None:
        self.uri = location.uri
        self._calls = HubCalls(location, field=field, on_wait=on_wait, has_answered=is_commit(revision))
        self.revision = self._pin(revision)

    def list_files(self, prefix: str = "") -> Sequence[StoredFile]:
        return [file for path, file in self._files.items() if path.startswith(prefix)]

    def open(self, path: str) -> BinaryIO:
        return open_hub_file(self._calls, self.revision, self._find(path))

    def read(self, path: str) -> bytes:
        with self.open(path) as file:
            return file.read()

    def download(self, path: str, local_path: Path, on_bytes: OnBytes | None = None) -> StoredFile:
        file = self._find(path)
        try:
            return self._download_once(file, local_path, on_bytes)
        except DataError:  # damaged on the way: what the Hub keeps has the hash that it lists
            return self._download_once(file, local_path, on_bytes)

    def _download_once(self, file: StoredFile, local_path: Path, on_bytes: OnBytes | None) -> StoredFile:
        with HubStream(self._calls, self.revision, file) as chunks:
            return write_download(chunks, file, local_path, self.uri, on_bytes)

    @cached_property
    def _files(self) -> dict[str, StoredFile]:
        return {file.path: file for file in list_tree(self._calls, self.revision)}

    def _find(self, path: str) -> StoredFile:
        if path not in self._files:
            raise DataError(f"{self.uri} holds no file {path} at revision {self.revision}")
        return self._files[path]

    def _pin(self, revision: str | None) -> str:
        sha = self._read_sha(revision)
        if revision is None and self._calls.location.kind == "dataset":
            names = {file.path for file in list_tree(self._calls, sha)}
            script = self._calls.location.repo_id.split("/")[-1] + ".py"
            if script in names and not any(name.endswith(".parquet") for name in names):
                return self._read_sha(CONVERTED)
        return sha

    def _read_sha(self, revision: str | None) -> str:
        return self._calls.call("read", lambda: read_commit(self._calls, revision))


def read_commit(calls: HubCalls, revision: str | None) -> str:
    """The commit that a branch or tag names now. Not repeated here."""
    sha: object = calls.api.repo_info(**calls.repo, revision=revision).sha
    if not isinstance(sha, str) or not sha:
        raise OddAnswerError(f"a repository's commit must be a string, got {sha!r}")
    return sha


def list_tree(calls: HubCalls, revision: str, folder: str | None = None) -> list[StoredFile]:
    """All files of a revision, sorted by path. With a folder: those below it, none if there is no such folder."""

    def list_once() -> list[StoredFile]:
        entries = calls.api.list_repo_tree(**calls.repo, revision=revision, path_in_repo=folder, recursive=True)
        try:
            return [_to_stored_file(entry) for entry in entries if isinstance(entry, RepoFile)]
        except (EntryNotFoundError, RevisionNotFoundError):
            if folder is None:
                raise
            return []

    return sorted(calls.call("list", list_once), key=lambda file: file.path)


def find_paths(calls: HubCalls, revision: str, paths: Sequence[str]) -> list[StoredFile]:
    """Those of `paths` that are files of the revision, in no particular order."""

    def find_once() -> list[StoredFile]:
        found = []
        for start in range(0, len(paths), _PATHS_PER_REQUEST):
            some = list(paths[start : start + _PATHS_PER_REQUEST])
            found += calls.api.get_paths_info(**calls.repo, paths=some, revision=revision)
        return [_to_stored_file(entry) for entry in found if isinstance(entry, RepoFile)]

    return calls.call("read", find_once)


def _to_stored_file(entry: RepoFile) -> StoredFile:
    """Raises OddAnswerError: the library takes the types in an answer for granted."""
    sha256: object = entry.lfs.sha256 if entry.lfs else None
    path: object = entry.path
    size: object = entry.size
    if not isinstance(path, str) or type(size) is not int or size < 0 or not isinstance(sha256, str | None):
        raise OddAnswerError(f"a file must have path, size and hash, got {path!r:.200}, {size!r:.50}, {sha256!r:.100}")
    return StoredFile(path, size, sha256)
