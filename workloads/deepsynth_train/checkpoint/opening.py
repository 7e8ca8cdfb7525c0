"""From spec.checkpoint.uri to the files there. Free of torch, because the launcher imports it."""

from deepsynth_store import OnWait
from deepsynth_store.core.uri import ObjectLocation, parse_uri
from deepsynth_train.checkpoint.files import FolderFiles, RunFiles
from deepsynth_train.checkpoint.layout import resolve_folder


def open_files(uri: str, on_wait: OnWait | None = None, *, has_answered: bool = False) -> RunFiles:
    """on_wait: see OnWait. has_answered: see ObjectFiles.

    Raises ConfigurationError for what cannot hold checkpoints, such as the Hub.
    """
    location = parse_uri(uri, "spec.checkpoint.uri")
    if isinstance(location, ObjectLocation):
        from deepsynth_train.checkpoint.object_files import ObjectFiles  # the library takes a tenth of a second

        return ObjectFiles(location, on_wait, has_answered=has_answered)
    return FolderFiles(resolve_folder(uri))
