"""The way in: from a URI to the object that reads or writes there."""

import hashlib
import json
from collections.abc import Callable, Sequence
from pathlib import Path

from deepsynth_store.cache.files import FileCache
from deepsynth_store.cache.links import find_linked, link_folder
from deepsynth_store.core.atomic import compute_sha256
from deepsynth_store.core.interface import MANIFEST, DatasetFolder, DatasetTarget, OnWait
from deepsynth_store.core.uri import FolderLocation, ObjectLocation, is_pinned, parse_uri
from deepsynth_store.folder.reading import FolderDataset
from deepsynth_store.folder.writing import FolderTarget


def open_dataset(
    uri: str, revision: str | None = None, *, field: str = "uri", on_wait: OnWait | None = None
) -> DatasetFolder:
    """Pin a dataset (or a model's files) at `revision`. On the Hub: a branch, tag or sha; default: the main branch.

    For folders and object stores, `revision` is what an earlier call returned: DataError when the content has changed
    since. `field` is the URI's field, for messages. on_wait: see OnWait. Tokens, keys and addresses are read from the
    environment: HF_TOKEN, HF_ENDPOINT, AWS_ACCESS_KEY_ID and so on.
    """
    location = parse_uri(uri, field)
    if isinstance(location, FolderLocation):
        return FolderDataset(location, revision, field=field)
    if isinstance(location, ObjectLocation):
        from deepsynth_store.objects.reading import ObjectDataset

        return ObjectDataset(location, revision, field=field, on_wait=on_wait)
    from deepsynth_store.hub.reading import HubDataset  # the Hub's client takes half a second to import

    return HubDataset(location, revision, field=field, on_wait=on_wait)


def fetch_folder(
    uri: str,
    revision: str | None,
    patterns: Sequence[str],
    *,
    field: str = "uri",
    on_wait: OnWait | None = None,
    on_progress: Callable[[], None] | None = None,
    cache: FileCache | None = None,
) -> Path:
    """A folder on this machine with the files of a model: `uri` itself, or the remote files that match `patterns`.

    revision: as for open_dataset; a folder has none. Faults of the Hub are waited out as for datasets, and
    while it is down, files that are cached already are used. Files of a commit that are all cached are used without
    asking the Hub. A fetched folder has the name of its commit or revision: pass it on to read more of the same one.
    on_progress: called now and then while files arrive, from any thread. Whether the folder exists is not checked.
    cache: where the files of a pinned revision are shared; other processes of the pod then find them here too.
    """
    location = parse_uri(uri, field)
    if isinstance(location, FolderLocation):
        return location.path
    if linked := find_linked(uri, revision, patterns, cache):
        return linked
    if cache and is_pinned(revision):
        dataset = open_dataset(uri, revision, field=field, on_wait=on_wait)
        return link_folder(cache, dataset, patterns, on_progress or (lambda: None))
    if isinstance(location, ObjectLocation):
        from deepsynth_store.objects.snapshot import fetch_objects

        return fetch_objects(location, revision, patterns, field=field, on_wait=on_wait, on_progress=on_progress)
    from deepsynth_store.hub.snapshot import fetch_snapshot

    return fetch_snapshot(location, revision, patterns, field=field, on_wait=on_wait, on_progress=on_progress)


def open_target(
    uri: str,
    digest: str,
    *,
    private: bool = True,
    field: str = "spec.output.uri",
    on_wait: OnWait | None = None,
    has_answered: bool = False,
) -> DatasetTarget:
    """A place to stage and publish the generation with this plan digest (hexadecimal, at least 12 digits).

    Nothing is touched before `prepare`. private: visibility of a repository on the Hub. has_answered: an earlier
    process has reached this server, so if it is unreachable now, wait for it as in any outage.
    """
    location = parse_uri(uri, field)
    if isinstance(location, FolderLocation):
        return FolderTarget(location, digest, field=field)
    if isinstance(location, ObjectLocation):
        from deepsynth_store.objects.writing import ObjectTarget

        return ObjectTarget(location, digest, field=field, on_wait=on_wait, has_answered=has_answered)
    from deepsynth_store.hub.writing import HubTarget

    return HubTarget(location, digest, private=private, field=field, on_wait=on_wait, has_answered=has_answered)


def publish_folder(
    folder: Path,
    uri: str,
    *,
    private: bool = True,
    field: str = "spec.publish.uri",
    on_wait: OnWait | None = None,
    has_answered: bool = False,
) -> str:
    """Publish all files of a finished folder, such as a trained model, in one step and return the revision.

    Files that an earlier call published there and that `folder` lacks are deleted in the same step. Publishing the same
    again changes nothing. A deepsynth/manifest.json with the files' hashes is added. has_answered: as for open_target.
    Errors: as for DatasetTarget.
    """
    files = {path.relative_to(folder).as_posix(): path for path in sorted(folder.rglob("*")) if path.is_file()}
    files.pop(MANIFEST, None)  # the folder was published before
    listing = [
        {"path": name, "size": path.stat().st_size, "sha256": compute_sha256(path)} for name, path in files.items()
    ]
    manifest = json.dumps({"files": listing}, indent=1).encode()
    digest = hashlib.sha256(manifest).hexdigest()
    target = open_target(uri, digest, private=private, field=field, on_wait=on_wait, has_answered=has_answered)
    target.prepare()
    return target.publish({}, {**files, MANIFEST: manifest})
