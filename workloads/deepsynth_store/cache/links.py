"""The files of a model under their own names, as links to a cache that outlives this pod.

CACHE/models/URI-DIGEST/REVISION/       in the node-local cache (DEEPSYNTH_CACHE)
    config.json -> FOLDER/inputs-v1/KEY.ID
    .linked.json                        which patterns of files are there
"""

import fnmatch
import hashlib
import json
import os
from collections import defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from deepsynth_api.workload import CACHE_VARIABLE
from deepsynth_store.cache.files import FileCache, Item, build_key
from deepsynth_store.core.atomic import write_file_atomically
from deepsynth_store.core.interface import DatasetFolder, StoredFile

_LINKED: Final = ".linked.json"


def find_linked(uri: str, revision: str | None, patterns: Sequence[str], cache: FileCache | None = None) -> Path | None:
    """The folder, if all files of that revision that match the patterns are in it. cache: from now on it holds them."""
    folder = _locate(uri, revision) if revision else None
    if folder is None or not {*patterns} <= _read_linked(folder):
        return None
    links = list(folder.rglob("*"))
    if cache:
        cache.hold(links)
    return folder if all(link.exists() for link in links) else None  # those of a killed process may be evicted


def link_folder(
    cache: FileCache, dataset: DatasetFolder, patterns: Sequence[str], on_progress: Callable[[], None]
) -> Path:
    """A folder, named by the revision, with the files that match `patterns`: linked, or copied where the cache has no
    room for them.
    """
    folder = _locate(dataset.uri, dataset.revision)
    if folder is None:
        raise ValueError(f"{CACHE_VARIABLE} must be set")
    found = [file for file in dataset.list_files() if any(fnmatch.fnmatch(file.path, each) for each in patterns)]
    files = defaultdict[str, list[StoredFile]](list)  # one with the same content as another has its key
    for file in found:
        files[build_key("file", file, dataset.uri, dataset.revision)].append(file)
    items = [_build_item(key, same[0], dataset, on_progress) for key, same in files.items()]
    for item, content in cache.fetch(items, on_progress):
        for file in files[item.key]:
            _place(dataset, file, content, folder / file.path)
    write_file_atomically(folder / _LINKED, json.dumps(sorted(_read_linked(folder) | {*patterns})).encode())
    return folder


def _build_item(key: str, file: StoredFile, dataset: DatasetFolder, on_progress: Callable[[], None]) -> Item:
    return Item(key, file.size, lambda path: dataset.download(file.path, path, lambda _: on_progress()))


def _place(dataset: DatasetFolder, file: StoredFile, content: Path | None, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    target.unlink(missing_ok=True)
    if content:
        target.symlink_to(content)
    else:
        dataset.download(file.path, target)


def _locate(uri: str, revision: str) -> Path | None:
    """None outside of a pod, where every program uses the caches of the user."""
    cache = os.environ.get(CACHE_VARIABLE)
    place = hashlib.sha256(uri.encode()).hexdigest()[:16]
    return Path(cache) / "models" / place / revision if cache else None


def _read_linked(folder: Path) -> set[str]:
    try:
        return {*json.loads((folder / _LINKED).read_bytes())}
    except FileNotFoundError:
        return set()
