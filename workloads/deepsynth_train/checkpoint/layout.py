"""Names inside a checkpoint folder, and writes that survive a crash."""

import os
import re
from pathlib import Path
from uuid import uuid4

from deepsynth_api.errors import ConfigurationError
from deepsynth_api.workload import VOLUMES_PATH, VOLUMES_VARIABLE

LATEST = "latest"
BEST = "best"
_STEP = re.compile(r"step-(\d+)")
_STAGING = re.compile(r"step-\d+\.tmp-attempt-(\d+)")
_CORRUPT = re.compile(r"step-\d+\.corrupt-attempt-\d+")


def step_name(step: int) -> str:
    return f"step-{step}"


def staging_name(step: int, attempt: int) -> str:
    return f"step-{step}.tmp-attempt-{attempt}"


def corrupt_name(step: int, attempt: int) -> str:
    return f"step-{step}.corrupt-attempt-{attempt}"


def list_steps(folder: Path) -> list[int]:
    """Committed steps in the folder, newest first; whether they verify is another question."""
    return sorted((int(m[1]) for m in map(_STEP.fullmatch, _names(folder)) if m), reverse=True)


def has_steps(folder: Path) -> bool:
    return bool(list_steps(folder))


def list_stale_staging(folder: Path, attempt: int) -> list[Path]:
    """Unfinished saves and unfinished deletions of this and earlier attempts."""
    return [folder / m[0] for m in map(_STAGING.fullmatch, _names(folder)) if m and int(m[1]) <= attempt]


def list_corrupt(folder: Path) -> list[Path]:
    return [folder / m[0] for m in map(_CORRUPT.fullmatch, _names(folder)) if m]


def _names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []


def resolve_folder(uri: str) -> Path:
    """Local path of a checkpoint URI (file:///path or pvc://CLAIM/path).

    Raises ConfigurationError for every other scheme: a commit here is a rename, which the Hub does not have.
    """
    scheme, separator, rest = uri.partition("://")
    if separator and scheme == "file" and rest.startswith("/"):
        return Path(rest)
    if separator and scheme == "pvc" and rest.strip("/"):
        return Path(os.environ.get(VOLUMES_VARIABLE, VOLUMES_PATH)) / rest.strip("/")
    raise ConfigurationError(
        f"spec.checkpoint.uri: {uri} cannot hold checkpoints; use pvc://CLAIM/folder or file:///folder"
        + (" (a model repository on the Hub is for spec.publish.uri)" if scheme == "hf" else ""),
        reason="BadCheckpointUri",
    )


def write_durably(path: Path, text: str) -> None:
    """Replace `path` by `text` so that a crash leaves the old or the new content, never a mixture."""
    temporary = path.with_name(f".{path.name}.{uuid4().hex}")
    with temporary.open("w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)
    sync_folder(path.parent)


def sync_file(path: Path) -> None:
    """Make a file durable that another library wrote."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sync_folder(folder: Path) -> None:
    """Make the names in a folder durable."""
    sync_file(folder)
