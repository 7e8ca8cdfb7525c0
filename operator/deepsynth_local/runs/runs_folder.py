"""The folder with everything a local run keeps, and the lock that lets one command at a time use it.

deepsynth-runs/
  trainingruns/NAME.yaml         resources with their status (other namespaces: NAMESPACE/trainingruns/NAME.yaml)
  datasetgenerations/NAME.yaml
  volumes/CLAIM/                 the data of pvc://CLAIM/
  logs/POD.log                   output of each pod
  logs/controller.log            output of the process that runs resources in the background
  logs/fork-server.log           errors of the process that starts pods
  pods/POD/                      ConfigMaps, scratch volumes and the termination log while a pod runs
  events.jsonl                   Events about resources
  requests/                      what other commands ask of the process that runs the resources
  report.html
"""

import contextlib
import fcntl
import os
import shlex
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from deepsynth_api.errors import ConfigurationError

DEFAULT_RUNS: Final = "deepsynth-runs"
_TRIES: Final = 6
_TRY_SECONDS: Final = 0.02
_PID_BYTES: Final = 20


class LockedError(ConfigurationError):
    """Another process has locked the folder."""


@dataclass(frozen=True)
class RunsFolder:
    """Paths in one folder; `path` is absolute."""

    path: Path

    @property
    def option(self) -> str:
        """What chooses this folder in a command, with a space before it; empty where it is chosen by default."""
        is_default = self.path == Path(DEFAULT_RUNS).resolve()
        return "" if is_default else f" --runs {shlex.quote(self.shorten(self.path))}"

    def shorten(self, path: Path) -> str:
        """Relative to the current folder, if it is inside.

        The process in the background works in this folder, and its users do not: for them the path is absolute.
        """
        here = Path.cwd()
        return str(path.relative_to(here) if path.is_relative_to(here) and here != self.path else path)

    @property
    def volumes(self) -> Path:
        return self.path / "volumes"

    @property
    def report(self) -> Path:
        return self.path / "report.html"

    @property
    def requests(self) -> Path:
        return self.path / "requests"

    @property
    def events(self) -> Path:
        return self.path / "events.jsonl"

    @property
    def controller_log(self) -> Path:
        return self.path / "logs" / "controller.log"

    @property
    def fork_server_log(self) -> Path:
        return self.path / "logs" / "fork-server.log"

    def find_folder(self, uri: str) -> Path | None:
        """The folder of a file:// or pvc:// URI on this machine, as the pods see it; None for the Hub."""
        scheme, _, rest = uri.partition("://")
        if scheme == "pvc":
            return self.volumes / rest
        return Path(rest) if scheme == "file" else None

    def find_real_folder(self, uri: str) -> Path | None:
        """The same, with links in its path resolved; None too if there is no such folder."""
        folder = self.find_folder(uri)
        return folder.resolve() if folder is not None and folder.is_dir() else None

    def localize(self, name: str) -> str:
        """A pvc:// URI as the file:// URI of its folder on this machine; any other name as it is."""
        return f"file://{self.find_folder(name)}" if name.startswith("pvc://") else name

    def log_file(self, pod: str) -> Path:
        return self.path / "logs" / f"{pod}.log"

    def pod_folder(self, pod: str) -> Path:
        return self.path / "pods" / pod

    @classmethod
    def open(cls, path: Path) -> "RunsFolder":
        """The folder, created if it does not exist. Raises ConfigurationError when it cannot be written."""
        folder = cls(path.resolve())
        try:
            for name in ("logs", "pods", "volumes"):
                (folder.path / name).mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise folder._refuse(error) from error
        return folder

    def _refuse(self, error: OSError) -> ConfigurationError:
        return ConfigurationError(
            f"{self.path}: cannot be written: {error.strerror}; choose another folder with --runs"
        )

    @property
    def is_locked(self) -> bool:
        """Whether a process runs the folder's resources."""
        if not self.path.is_dir():
            return False
        try:
            with self.lock():
                return False
        except LockedError:
            return True

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Lock the folder. The operating system frees it when this process ends, even if it is killed.

        Raises LockedError when another command has locked it, ConfigurationError when it cannot be written.
        """
        try:
            handle = os.open(self.path / ".lock", os.O_RDWR | os.O_CREAT, 0o644)
        except OSError as error:
            raise self._refuse(error) from error
        try:
            _lock(handle)
        except BlockingIOError as error:
            owner = os.pread(handle, _PID_BYTES, 0).decode(errors="replace")
            os.close(handle)
            raise LockedError(
                f"{self.path}: another deepsynth command is using this folder (process {owner or 'unknown'}); wait "
                f"for it (`deepsynth wait NAME{self.option}`), have it save and stop (`deepsynth suspend "
                f"NAME{self.option}`, or `kill {owner or 'PID'}`), or choose another folder with --runs"
            ) from error
        with contextlib.suppress(OSError):  # of a full disk: the number is only for that message
            os.truncate(handle, 0)
            os.pwrite(handle, str(os.getpid()).encode(), 0)
        try:
            yield
        finally:
            os.close(handle)


def _lock(handle: int) -> None:
    """Try for a moment: `is_locked` of another command holds the lock that long. Raises BlockingIOError."""
    for _ in range(_TRIES - 1):
        with contextlib.suppress(BlockingIOError):
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        time.sleep(_TRY_SECONDS)
    fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
