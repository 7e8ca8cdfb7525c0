"""What readers and writers of datasets see, wherever the bytes are.

A stored dataset:

    README.md                  the card
    data/*.parquet             pages
    deepsynth/manifest.json    which files belong to the dataset, with size and sha256; see file_listing

Every method may raise ConfigurationError (64: token, repository or field), DataError (65: the bytes differ from what
was promised) or TemporaryError (75: the Hub or a disk did not answer after a limited number of tries).
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final, Protocol

OWN_FOLDER: Final = "deepsynth/"
"""Of a dataset: what DeepSynth notes about it. No file in it has pages."""
MANIFEST: Final = f"{OWN_FOLDER}manifest.json"
README: Final = "README.md"

OnBytes = Callable[[int], None]
"""Called with the number of bytes that just arrived."""


@dataclass(frozen=True)
class Waiting:
    """Why a call pauses, for the status. seconds: how long it will sleep from now."""

    reason: str
    seconds: float


OnWait = Callable[[Waiting], None]
"""Called before each pause between two tries, for example while the Hub's rate limit is waited out, and every minute of
a longer pause.
"""


@dataclass(frozen=True)
class StoredFile:
    """path: relative, with slashes. size: bytes. sha256: hexadecimal, None if the store does not know it."""

    path: str
    size: int
    sha256: str | None


@dataclass(frozen=True)
class Published:
    """What a target holds now. manifest: the bytes of its deepsynth/manifest.json."""

    revision: str
    manifest: bytes


class DatasetFolder(Protocol):
    """One revision of a dataset (or of a model), for reading. Later changes at its URI are never mixed in."""

    @property
    def uri(self) -> str: ...

    @property
    def revision(self) -> str:
        """Hub: the commit's sha. Folder: sha256 of the manifest, or of the listing if there is no manifest."""

    def list_files(self, prefix: str = "") -> Sequence[StoredFile]:
        """All files whose path starts with `prefix`, sorted by path, without hidden ones."""

    def open(self, path: str) -> BinaryIO:
        """Random access that reads only what is asked for, so that pyarrow.parquet can fetch single row groups.
        The caller closes it. DataError when there is no such file.
        """

    def read(self, path: str) -> bytes:
        """A whole small file. DataError when there is no such file."""

    def download(self, path: str, local_path: Path, on_bytes: OnBytes | None = None) -> StoredFile:
        """Write the file to local_path atomically and return it with its sha256. DataError when its size or, where
        known, its sha256 is wrong; ConfigurationError with the figures when the disk is too small.
        """


class DatasetTarget(Protocol):
    """Where one generation (one plan digest) is staged and then published.

    Many processes may call put at the same time. Staging is kept until publish, so that a killed generation continues
    where it was. A generation with another digest never sees it.
    """

    @property
    def uri(self) -> str: ...

    def prepare(self) -> None:
        """Create the repository or folder and the staging area. Check that the token may write, that the visibility is
        right and that the manifest lists all files below `data/` (others would be mixed with the new ones).
        Repeatable. Call it before anything is rendered.
        """

    def put(self, files: Mapping[str, bytes | Path]) -> None:
        """Stage files (staging path -> content), replacing those of the same path. On the Hub they appear in one
        commit; in a folder one by one, in the given order. So put a receipt last: it then proves that its shard is
        complete.
        """

    def list_staged(self, prefix: str = "") -> Sequence[StoredFile]:
        """Sorted by path. Empty when nothing is staged yet, and after publish."""

    def get(self, path: str) -> bytes:
        """A whole small staged file. DataError when there is no such file; list_staged says whether there is."""

    def open_staged(self, path: str) -> BinaryIO:
        """A staged file for random access (see DatasetFolder.open)."""

    def publish(self, copies: Mapping[str, str], files: Mapping[str, bytes | Path]) -> str:
        """Make the dataset visible, remove staging and return the revision.

        copies: path in the dataset -> staged path. files: path -> content, among them README.md and
        deepsynth/manifest.json.

        On the Hub this is one atomic commit; in a folder the manifest is written last. Files that the previous manifest
        lists and this one does not are deleted in the same step; other files stay. If the target already holds this
        very manifest, only staging is removed (copies and other files need not be given), so the manifest must be a
        pure function of the plan. DataError when a shard is not staged as the manifest lists it.
        """

    def published(self) -> Published | None:
        """What the target holds now, None without a manifest. A publish step that is repeated after it succeeded finds
        its own plan digest here; staging is gone by then.
        """
