"""What readers and writers of data sets see, whatever holds the bytes.

A stored data set is `data/*.parquet`, `README.md` and `deepsynth/manifest.json`. The manifest is JSON with a list
`files` of objects that have at least `path`, `size` (bytes) and `sha256`; it says which files belong to the data set,
so that the next generation knows which to take away and a reader knows what to expect.

Every method may raise ConfigurationError (64: token, repository, field), DataError (65: bytes are not what they were
promised to be) or TemporaryError (75: the Hub or a disk did not answer after a bounded number of tries).
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final, Protocol

MANIFEST: Final = "deepsynth/manifest.json"
README: Final = "README.md"

OnBytes = Callable[[int], None]
"""Called with the number of bytes that just arrived."""


@dataclass(frozen=True)
class Waiting:
    """Why a call is not going on: for the status. seconds: how long it will sleep from now."""

    reason: str
    seconds: float


OnWait = Callable[[Waiting], None]
"""Called before each pause between two tries, for example while the Hub's rate limit is waited out."""


@dataclass(frozen=True)
class StoredFile:
    """path: relative, with slashes. size: bytes. sha256: hexadecimal, None where the store does not know it."""

    path: str
    size: int
    sha256: str | None


@dataclass(frozen=True)
class Published:
    """What stands at the head of a target. manifest: the bytes of its deepsynth/manifest.json."""

    revision: str
    manifest: bytes


class DatasetFolder(Protocol):
    """One revision of a data set (or of a model), for reading. Later changes of the source are never mixed in."""

    @property
    def uri(self) -> str: ...

    @property
    def revision(self) -> str:
        """Hub: the commit's sha. Folder: sha256 of the manifest, or of the listing where there is none."""

    def list_files(self, prefix: str = "") -> Sequence[StoredFile]:
        """All files whose path starts with `prefix`, sorted by path; hidden ones are left out."""

    def open(self, path: str) -> BinaryIO:
        """Random access; reads only what is asked for, so that pyarrow.parquet fetches row group by row group.
        The caller closes it. DataError when there is no such file.
        """

    def read(self, path: str) -> bytes:
        """A whole small file. DataError when there is no such file."""

    def download(self, path: str, local_path: Path, on_bytes: OnBytes | None = None) -> StoredFile:
        """Write the file to local_path atomically; checks its size and, where known, its sha256 (DataError).
        ConfigurationError with the figures when the disk is too small. Returns it with its sha256.
        """


class DatasetTarget(Protocol):
    """Where one generation (one plan digest) is staged and then published.

    Many processes may put at the same time. Staging is kept until publish, so that a killed generation
    goes on where it was; another digest never sees it.
    """

    @property
    def uri(self) -> str: ...

    def prepare(self) -> None:
        """Create the repository or folder and the staging area; check that the token may write, that the
        visibility is right and that `data/` holds no files which no manifest lists (they would be mixed with ours).
        Repeatable. Call it once, before anything is rendered.
        """

    def put(self, files: Mapping[str, bytes | Path]) -> None:
        """Stage files (staging path -> content). On the Hub they appear in one commit. In a folder they appear
        in the given order, each whole: name the receipt last, then a receipt vouches for its shard. Replaces.
        """

    def list_staged(self, prefix: str = "") -> Sequence[StoredFile]:
        """Sorted by path. Empty when nothing was staged or after publish."""

    def get(self, path: str) -> bytes:
        """A whole small staged file. DataError when it is not there: ask list_staged first."""

    def open_staged(self, path: str) -> BinaryIO:
        """A staged file for random access (see DatasetFolder.open)."""

    def publish(self, copies: Mapping[str, str], files: Mapping[str, bytes | Path]) -> str:
        """Make the data set: copies (path in the data set -> staged path) and files, which hold README.md and
        deepsynth/manifest.json. One atomic commit on the Hub; in a folder the manifest is written last. Files of the
        previous manifest that are not in this one are deleted in the same step; other files stay.
        Then staging is removed. Returns the revision. When the head already holds this very manifest nothing
        but staging is changed and its revision is returned (copies and other files may then be left out), so the
        manifest must be a pure function of the plan. DataError when a shard is not staged as the manifest lists it.
        """

    def published(self) -> Published | None:
        """What the target holds now, None when it has no manifest. A publish step that starts again after its
        own success recognises its plan digest here (staging is gone by then).
        """
