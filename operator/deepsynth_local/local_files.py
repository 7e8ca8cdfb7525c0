"""The files of local resources: volumes are folders of this machine; object stores are asked with its environment."""

import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from deepsynth_client.errors import InvalidError
from deepsynth_client.file_copies import copy_files
from deepsynth_client.interface import is_object, is_remote, warn_of_link
from deepsynth_local.runs.runs_folder import RunsFolder

_MAX_FETCHED_BYTES: Final = 2**30
"""Of the files of one answer."""


class LocalFiles:
    """Implements Files."""

    def __init__(self, runs: RunsFolder) -> None:
        self._runs = runs

    def measure(self, uris: Sequence[str]) -> dict[str, int]:
        sizes = {found: _measure(folder) for uri in uris for found, folder in self._expand(uri)}
        if objects := [*filter(is_object, uris)]:
            from deepsynth_train.checkpoint import store_folders  # slow to import: the client of object stores

            sizes |= store_folders.measure(objects)
        return sizes

    def _expand(self, uri: str) -> Iterator[tuple[str, Path]]:
        """The folders of a URI whose last part may be a pattern, with their own URIs."""
        parent, _, pattern = uri.rstrip("/").rpartition("/")
        folder = self._runs.find_folder(f"{parent}/")
        for found in sorted(folder.glob(pattern)) if folder is not None and pattern else ():
            if found.is_dir():
                yield f"{parent}/{found.name}", found

    def remove(self, uris: Sequence[str]) -> None:
        for uri in uris:
            folder = self._runs.find_folder(uri)
            if folder is None or not folder.is_dir():
                continue
            if folder.is_symlink():
                warn_of_link(uri, str(folder.readlink()))
                folder.unlink()
                continue
            if folder.resolve() in {Path.home(), Path("/")}:
                raise InvalidError(f"{folder} is not a folder of data; remove it yourself")
            shutil.rmtree(folder)
        if objects := [*filter(is_object, uris)]:
            from deepsynth_train.checkpoint import store_folders

            store_folders.remove(objects)

    def fetch(self, uri: str, patterns: Sequence[str]) -> Path | None:
        return _fetch_objects(uri, patterns) if is_object(uri) else self.find_folder(uri)

    def fetch_pages(self, uri: str) -> Path | None:
        if not is_remote(uri):
            return self.find_folder(uri)
        from deepsynth_render.documents.sample_pages import fetch_sample_pages

        return copy_files(uri, fetch_sample_pages(uri, _MAX_FETCHED_BYTES))

    def find_folder(self, uri: str) -> Path | None:
        return self._runs.find_real_folder(uri)


def _fetch_objects(uri: str, patterns: Sequence[str]) -> Path:
    from deepsynth_train.checkpoint import store_folders

    return copy_files(uri, store_folders.read_files(uri, patterns, _MAX_FETCHED_BYTES))


def _measure(folder: Path) -> int:
    """What its removal frees: 0 of a link."""
    return 0 if folder.is_symlink() else sum(file.lstat().st_size for file in folder.rglob("*") if file.is_file())
