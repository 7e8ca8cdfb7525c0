"""From a URI to the object that reads or writes there."""

from deepsynth_store.folder.reading import FolderDataset
from deepsynth_store.folder.writing import FolderTarget
from deepsynth_store.interface import DatasetFolder, DatasetTarget, OnWait
from deepsynth_store.uri import FolderLocation, parse_uri


def open_dataset(
    uri: str, revision: str | None = None, *, field: str = "uri", on_wait: OnWait | None = None
) -> DatasetFolder:
    """Pin a data set (or a model's files) at `revision` (Hub: branch, tag or sha; default its main branch).

    For a folder, `revision` is what an earlier opening returned: DataError when the content has changed since.
    `field` names the URI's field in messages; on_wait: see OnWait. The Hub's token is read from HF_TOKEN and its
    address from HF_ENDPOINT.
    """
    location = parse_uri(uri, field)
    if isinstance(location, FolderLocation):
        return FolderDataset(location, revision, field=field)
    from deepsynth_store.hub.reading import HubDataset  # the client costs half a second, folders need none

    return HubDataset(location, revision, field=field, on_wait=on_wait)


def open_target(
    uri: str,
    digest: str,
    *,
    private: bool = True,
    field: str = "output.uri",
    on_wait: OnWait | None = None,
    has_answered: bool = False,
) -> DatasetTarget:
    """A place to stage and publish the generation with this plan digest (hexadecimal, at least 12 digits).

    Nothing is touched before `prepare`. `private` is the visibility of a repository on the Hub. `has_answered`:
    an earlier process has reached this Hub, so when it cannot be reached now, it is waited for as in any outage.
    """
    location = parse_uri(uri, field)
    if isinstance(location, FolderLocation):
        return FolderTarget(location, digest, field=field)
    from deepsynth_store.hub.writing import HubTarget

    return HubTarget(location, digest, private=private, field=field, on_wait=on_wait, has_answered=has_answered)
