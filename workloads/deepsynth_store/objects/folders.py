"""Prefixes of object stores as folders, for a user who looks at them: their sizes, copies of small files, deletion.

    measure(["s3://runs/a"])                             {"s3://runs/a": 123456}
    read_files("s3://runs/a", ["reports/*.log"], 10**6)  ("reports/attempt-1-rank-0.log", b"...")
    remove(["s3://runs/a"])

Credentials come from the environment, as for everything else here. A user waits for the answer, so a store that does
not answer is given up after seconds.
"""

import fnmatch
import glob
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from deepsynth_api.errors import ConfigurationError
from deepsynth_store.core.calls import give_up_long_waits
from deepsynth_store.core.uri import ObjectLocation, parse_uri
from deepsynth_store.objects.requests import ObjectCalls, StoredObject

_READS_AT_ONCE: Final = 8
_ESCAPED: Final = re.compile(r"\[([*?[])\]")


class PrefixFolder:
    """What is below a prefix, by path."""

    def __init__(self, location: ObjectLocation) -> None:
        self._calls = ObjectCalls(location, field="uri", on_wait=give_up_long_waits)

    def list(self, name: str = "") -> Mapping[str, StoredObject]:
        """All of it, or what is in one folder."""
        return {entry.key: entry for entry in self._calls.list(name)}

    def list_documents(self) -> Mapping[str, bytes]:
        """Files that are not objects of their own."""
        return {}

    def read(self, entry: StoredObject) -> bytes:
        """A whole small object; empty if it is gone."""
        content = self._calls.read(entry.key)
        return b"" if content is None else content.data

    def remove(self, names: Sequence[str]) -> None:
        """Folders in it. An empty name is all of it."""
        for name in names:
            self._calls.delete([entry.key for entry in self._calls.list(name)])


OpenFolder = Callable[[ObjectLocation], PrefixFolder]


def measure(uris: Sequence[str], open_folder: OpenFolder = PrefixFolder) -> dict[str, int]:
    """Bytes below each URI that has objects. The last part may be a pattern, which several folders may match."""
    sizes: Counter[str] = Counter()
    for parent, patterns in _group(uris).items():
        for path, size in _list_sizes(open_folder(_locate(parent)), patterns).items():
            first, is_in_folder, _ = path.partition("/")
            if "" in patterns:
                sizes[parent] += size
            if is_in_folder and any(fnmatch.fnmatchcase(first, pattern) for pattern in patterns):
                sizes[f"{parent}/{first}"] += size
    return dict(sizes)


def read_files(
    uri: str, patterns: Sequence[str], max_bytes: int, open_folder: OpenFolder = PrefixFolder
) -> Iterator[tuple[str, bytes]]:
    """Path and content of the files that match, in the order of the patterns, newest steps first, while they fit."""
    folder = open_folder(_locate(uri))
    documents, objects = folder.list_documents(), folder.list()
    sizes = {path: entry.size for path, entry in objects.items()} | {
        name: len(data) for name, data in documents.items()
    }
    chosen = []
    for path in _select(sizes, patterns):
        if sizes[path] <= max_bytes:
            max_bytes -= sizes[path]
            chosen.append(path)
    with ThreadPoolExecutor(_READS_AT_ONCE) as pool:
        found = pool.map(lambda path: documents[path] if path in documents else folder.read(objects[path]), chosen)
        yield from zip(chosen, found, strict=True)


def remove(uris: Sequence[str], open_folder: OpenFolder = PrefixFolder) -> None:
    """Everything below these URIs, which `measure` has found."""
    for parent, names in _group(uris).items():
        open_folder(_locate(parent)).remove(names)


def _group(uris: Sequence[str]) -> dict[str, list[str]]:
    """By what they are in: {"s3://runs": ["a", "b"]}. A whole bucket is in itself, with an empty name.

    Raises ConfigurationError for what is no URI of an object store.
    """
    groups = defaultdict(list)
    for uri in uris:
        _locate(_ESCAPED.sub("*", uri))
        parent, _, name = uri.rstrip("/").rpartition("/")
        is_bucket = parent.endswith(":/")
        groups[uri.rstrip("/") if is_bucket else parent].append("" if is_bucket else name)
    return groups


def _locate(uri: str) -> ObjectLocation:
    location = parse_uri(uri)
    if not isinstance(location, ObjectLocation):
        raise ConfigurationError(f"uri: must be in an object store, got {uri!r}")
    return location


def _list_sizes(folder: PrefixFolder, patterns: Sequence[str]) -> dict[str, int]:
    """Of what the patterns may match: a bucket can be large, so names without wildcards are looked up alone."""
    names = [_ESCAPED.sub(r"\1", pattern) for pattern in patterns]
    are_literal = all(glob.escape(name) == pattern for name, pattern in zip(names, patterns, strict=True))
    listed = [folder.list(name) for name in names] if are_literal else [folder.list()]
    return {path: entry.size for found in listed for path, entry in found.items()}


def _select(paths: Mapping[str, int], patterns: Sequence[str]) -> list[str]:
    """Each once. A `*` does not match a slash."""
    newest_first = sorted(paths, key=lambda path: (len(path), path), reverse=True)
    matching = (path for pattern in patterns for path in newest_first if _matches(path, pattern))
    return [*dict.fromkeys(matching)]


def _matches(path: str, pattern: str) -> bool:
    parts, expected = path.split("/"), pattern.split("/")
    return len(parts) == len(expected) and all(map(fnmatch.fnmatchcase, parts, expected)) and ".." not in parts
