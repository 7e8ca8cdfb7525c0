"""Where a training in Python has its checkpoints and its final model: a folder, or a prefix of an object store."""

from dataclasses import dataclass
from pathlib import Path

from deepsynth_api.errors import ConfigurationError
from deepsynth_store.core.uri import FolderLocation, parse_uri
from deepsynth_train.checkpoint.layout import MODEL
from deepsynth_train.checkpoint.opening import open_files
from deepsynth_train.notebook.arguments import expand_path, make_checkpoint_folder


@dataclass(frozen=True)
class Place:
    """uri: of config.checkpoint."""

    uri: str

    @property
    def folder(self) -> Path | None:
        """None in an object store."""
        location = parse_uri(self.uri, "checkpoint")
        return location.path if isinstance(location, FolderLocation) else None

    @property
    def model(self) -> Path | str:
        """Where the final model will be: a folder, or a URI."""
        return self.locate(MODEL)

    def locate(self, name: str) -> Path | str:
        """A folder or a URI below it."""
        return self.folder / name if self.folder else f"{self.uri.rstrip('/')}/{name}"

    def require_folder(self) -> Path:
        """Raises ConfigurationError in an object store."""
        if self.folder is None:
            raise ConfigurationError(f"checkpoint: {self.uri} is in an object store, so it has no folder; use `uri`")
        return self.folder

    def prepare(self) -> None:
        """Raise ConfigurationError if the folder cannot be written to. An attempt tries a store before it trains."""
        if self.folder:
            make_checkpoint_folder(self.folder)

    def find_model(self) -> str | None:
        """URI of the final model, else of that of the newest checkpoint; None if there is none.

        Raises ConfigurationError for a sharded checkpoint, which is no model folder, and the errors of a store.
        """
        files = open_files(self.uri)
        newest = files.find_newest()
        for name in (MODEL, f"{newest}/{MODEL}") if newest else (MODEL,):
            if files.list_files(name):
                return expand_path(self.locate(name))
        if newest:
            raise ConfigurationError(
                f"{self.locate(newest)} holds a sharded checkpoint, which cannot be opened as a model; finish the "
                "training"
            )
        return None
