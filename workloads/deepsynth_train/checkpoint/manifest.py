"""manifest.json: size and sha256 of every file of a checkpoint. A folder without it is not a checkpoint.

evaluation.json, if there is one, was written later: a step is saved before it is evaluated, so that a hang in the
evaluation costs no training. Both files hold a sha256 over their own fields.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

from deepsynth_store.core.atomic import compute_sha256, fsync_file, write_file_atomically
from deepsynth_train.checkpoint.layout import EVALUATION_FILE, MANIFEST_FILE

FORMAT = 2
UNSIGNED = 1
"""The first format. Its manifests have no sha256 over their own fields."""


@dataclass(frozen=True)
class FileDigest:
    """path: relative to the checkpoint, with forward slashes. size: bytes."""

    path: str
    size: int
    sha256: str


@dataclass(frozen=True)
class BaseReference:
    """The model that frozen weights come from. sha256: over all of them, see base.py."""

    uri: str
    revision: str | None
    sha256: str


@dataclass(frozen=True)
class CheckpointManifest:
    """One checkpoint. time: RFC 3339. loss: validation loss at this step, None when it was not known at the save.

    base: where frozen weights come from, which the checkpoint does not hold; None if there are none, and in format 1.
    """

    step: int
    time: str
    attempt: int
    world_size: int
    fingerprint: str
    loss: float | None
    files: tuple[FileDigest, ...]
    base: BaseReference | None = None
    format: int = FORMAT

    @property
    def bytes(self) -> int:
        return sum(file.size for file in self.files)

    def to_json(self) -> str:
        return _sign(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Raises ValueError when the text is not a manifest of a known format, or does not match its own sha256."""
        try:
            data = json.loads(text)
            if data["format"] not in {FORMAT, UNSIGNED}:
                raise ValueError(f"format must be {FORMAT} or {UNSIGNED}, got {data['format']}")
            fields = data if data["format"] == UNSIGNED else _verify(data)
            base = BaseReference(**fields["base"]) if fields.get("base") else None
            return cls(**{**fields, "base": base, "files": tuple(FileDigest(**file) for file in fields["files"])})
        except (KeyError, TypeError) as error:
            raise ValueError(f"not a checkpoint manifest: {error!r}") from error


@dataclass(frozen=True)
class Evaluation:
    """What was measured at a checkpoint's step after it was saved.

    loss: validation loss. line: of the curve, such as {"step": 40, "validation_loss": 2.5}. score: decides which
    checkpoint is the best, lower is better; None: the loss does. metric, value: what the score was made from, such as
    cer and 0.034.
    """

    loss: float
    line: dict[str, Any]
    score: float | None = None
    metric: str | None = None
    value: float | None = None


@dataclass(frozen=True)
class CheckpointRecord:
    """A committed checkpoint as the report shows it. sha256: of manifest.json, which covers every other file.

    score, metric, value: see Evaluation; None where the loss decides.
    """

    step: int
    uri: str
    time: datetime
    bytes: int
    sha256: str
    loss: float | None
    score: float | None = None
    metric: str | None = None
    value: float | None = None


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


def write_evaluation(root: Path, evaluation: Evaluation) -> None:
    write_file_atomically(root / EVALUATION_FILE, _sign(asdict(evaluation)).encode())


def read_evaluation(root: Path) -> Evaluation | None:
    """None when there is none that can be trusted; the step is then evaluated again by the attempt that loads it."""
    try:
        return Evaluation(**_verify(json.loads((root / EVALUATION_FILE).read_text())))
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def build_record(root: Path, uri: str) -> CheckpointRecord:
    """The record of the committed checkpoint in `root`. Raises the errors of `read_manifest`."""
    manifest = read_manifest(root)
    evaluation = read_evaluation(root)
    return CheckpointRecord(
        step=manifest.step,
        uri=uri,
        time=datetime.fromisoformat(manifest.time),
        bytes=manifest.bytes,
        sha256=compute_sha256(root / MANIFEST_FILE),
        loss=evaluation.loss if evaluation and manifest.loss is None else manifest.loss,
        score=evaluation.score if evaluation else None,
        metric=evaluation.metric if evaluation else None,
        value=evaluation.value if evaluation else None,
    )


def format_now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def _sign(fields: Mapping[str, Any]) -> str:
    return json.dumps({**fields, "sha256": _hash_fields(fields)}, indent=1)


def _verify(signed: Mapping[str, Any]) -> dict[str, Any]:
    """The fields without their sha256. Raises ValueError when it does not match, KeyError when there is none."""
    fields = {name: value for name, value in signed.items() if name != "sha256"}
    if signed["sha256"] != _hash_fields(fields):
        raise ValueError("its fields do not match its own sha256")
    return fields


def _hash_fields(fields: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(fields, sort_keys=True, separators=(",", ":")).encode()).hexdigest()
