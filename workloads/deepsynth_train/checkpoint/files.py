"""Small files next to the checkpoints of a run, and who owns them. Free of torch, because the launcher imports it."""

import shutil
from pathlib import Path
from typing import Protocol

from deepsynth_store.core.atomic import write_file_atomically
from deepsynth_train.checkpoint.layout import list_steps, step_name
from deepsynth_train.checkpoint.owner import Owner, check_ownership, read_owner


class RunFiles(Protocol):
    """What is at spec.checkpoint.uri. Names are relative to it, with slashes.

    Raises OSError (folders), and for object stores ConfigurationError (refused) and TemporaryError (no answer after
    many tries).
    """

    place: str
    """For messages."""

    def read(self, name: str) -> bytes | None:
        """A whole file; None if there is none."""

    def write(self, name: str, content: bytes) -> None:
        """Create or replace a file. Readers see the old content or the new one."""

    def list_files(self, folder: str) -> list[str]:
        """Names of all files in a folder and below it, sorted."""

    def delete(self, folder: str) -> None:
        """A folder with all that is in it."""

    def list_steps(self) -> list[int]:
        """Steps of committed checkpoints, newest first, verified or not."""

    def find_newest(self) -> str | None:
        """Name of the newest committed checkpoint's folder, verified or not; None if there is no checkpoint."""

    def read_owner(self) -> Owner | None:
        """Raises ConfigurationError when it cannot be parsed."""

    def check_ownership(self, owner: Owner) -> None:
        """Raises PeerLostError unless `owner` still owns the checkpoints."""


class FolderFiles:
    """See RunFiles."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.place = str(path)

    def read(self, name: str) -> bytes | None:
        try:
            return (self.path / name).read_bytes()
        except FileNotFoundError:
            return None
        except NotADirectoryError:
            if self.path.is_dir():  # a file stands where the folder in `name` would be
                return None
            raise

    def write(self, name: str, content: bytes) -> None:
        target = self.path / name
        target.parent.mkdir(parents=True, exist_ok=True)
        write_file_atomically(target, content)

    def list_files(self, folder: str) -> list[str]:
        paths = (self.path / folder).rglob("*")
        return sorted(path.relative_to(self.path).as_posix() for path in paths if path.is_file())

    def delete(self, folder: str) -> None:
        shutil.rmtree(self.path / folder, ignore_errors=True)

    def list_steps(self) -> list[int]:
        return list_steps(self.path)

    def find_newest(self) -> str | None:
        return next(map(step_name, self.list_steps()), None)

    def read_owner(self) -> Owner | None:
        return read_owner(self.path)

    def check_ownership(self, owner: Owner) -> None:
        check_ownership(self.path, owner)
