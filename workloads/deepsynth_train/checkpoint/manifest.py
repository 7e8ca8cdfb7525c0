"""manifest.json: size and sha256 of every file of a checkpoint. A folder without it is not a checkpoint."""

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

from deepsynth_store.core.atomic import compute_sha256, fsync_file, write_file_atomically
from deepsynth_train.checkpoint.layout import MANIFEST_FILE

FORMAT = 1


@dataclass(frozen=True)
class FileDigest:
    """path: relative to the checkpoint, with forward slashes. size: bytes."""

    path: str
    size: int
    sha256: str


@dataclass(frozen=True)
class CheckpointManifest:
    """One checkpoint. time: RFC 3339. loss: validation loss at this step, None when it was not evaluated."""

    step: int
    time: str
    attempt: int
    world_size: int
    fingerprint: str
    loss: float | None
    files: tuple[FileDigest, ...]
    format: int = FORMAT

    @property
    def bytes(self) -> int:
        return sum(file.size for file in self.files)

    def to_json(self) -> str:
        return json.dumps(asdict(self), indent=1)

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Raises ValueError when the text is not a manifest of this format."""
        try:
            data: dict[str, Any] = json.loads(text)
            if data["format"] != FORMAT:
                raise ValueError(f"format must be {FORMAT}, got {data['format']}")
            return cls(**{**data, "files": tuple(FileDigest(**file) for file in data["files"])})
        except (KeyError, TypeError) as error:
            raise ValueError(f"not a checkpoint manifest: {error!r}") from error


@dataclass(frozen=True)
class CheckpointRecord:
    """A committed checkpoint as the report shows it. sha256: of manifest.json, which covers every other file."""

    step: int
    uri: str
    time: datetime
    bytes: int
    sha256: str
    loss: float | None


def compute_digest(root: Path, path: Path) -> FileDigest:
    """Read and hash one file below `root`."""
    return FileDigest(path.relative_to(root).as_posix(), path.stat().st_size, compute_sha256(path))


def sync_and_digest(root: Path, paths: Iterable[Path]) -> list[FileDigest]:
    """Fsync and hash the files that one rank wrote."""
    digests = []
    for path in sorted(paths):
        fsync_file(path)
        digests.append(compute_digest(root, path))
    return digests


def find_damage(root: Path, files: Iterable[FileDigest]) -> str | None:
    """Describes the first file that does not match its digest; None when all match."""
    for expected in files:
        path = root / expected.path
        try:
            if path.stat().st_size != expected.size:
                return f"{expected.path}: expected {expected.size} bytes, found {path.stat().st_size}"
            if compute_digest(root, path) != expected:
                return f"{expected.path}: sha256 does not match the manifest"
        except OSError as error:
            return f"{expected.path}: cannot be read ({error.strerror})"
    return None


def write_manifest(root: Path, manifest: CheckpointManifest) -> None:
    write_file_atomically(root / MANIFEST_FILE, manifest.to_json().encode())


def read_manifest(root: Path) -> CheckpointManifest:
    """Raises ValueError or OSError when the manifest is missing or cannot be parsed."""
    return CheckpointManifest.from_json((root / MANIFEST_FILE).read_text())


def build_record(root: Path, uri: str) -> CheckpointRecord:
    """The record of the committed checkpoint in `root`. Raises the errors of `read_manifest`."""
    manifest = read_manifest(root)
    return CheckpointRecord(
        step=manifest.step,
        uri=uri,
        time=datetime.fromisoformat(manifest.time),
        bytes=manifest.bytes,
        sha256=compute_sha256(root / MANIFEST_FILE),
        loss=manifest.loss,
    )


def format_now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
