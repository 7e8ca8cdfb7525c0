"""Names inside a checkpoint folder (drawn in the package's docstring), and where the folder is."""

import re
from pathlib import Path, PurePath

from deepsynth_api.errors import ConfigurationError
from deepsynth_store.core.uri import FolderLocation, parse_uri

OWNER_FILE = "owner.json"
PINS_FILE = "datasets.json"
INDEX_FILE = "sample-index.bin"
REPORTS = "reports"
LATEST = "latest"
BEST = "best"

MANIFEST_FILE = "manifest.json"
EVALUATION_FILE = "evaluation.json"
STATE_FILE = "state.json"
METRICS_FILE = "metrics.jsonl"
SHARDS = "shards"
MODEL = "model"
SAMPLES = "samples"

_STEP = re.compile(r"step-(\d+)")
_STAGING = re.compile(r"step-\d+\.tmp-attempt-(\d+)(\.\d+)?")
_CORRUPT = re.compile(r"step-(\d+)\.corrupt-attempt-(\d+)")
_DELETED = re.compile(rf"step-\d+(-[0-9a-f]{{12}}|\.(tmp|corrupt)-attempt-.+)?|{MODEL}|{SAMPLES}")
"""Folders that a run replaces or deletes, in a folder and in an object store."""


def step_name(step: int) -> str:
    return f"step-{step}"


def staging_name(step: int, attempt: int, restart: int = 0) -> str:
    """Of an attempt in pods of its own, or of workers that were started again in them."""
    return f"step-{step}.tmp-attempt-{attempt}" + (f".{restart}" if restart else "")


def corrupt_name(step: int, attempt: int) -> str:
    return f"step-{step}.corrupt-attempt-{attempt}"


def list_enclosing(path: PurePath) -> list[PurePath]:
    """Where a run would have its checkpoints that deletes `path` with its own: the run of /exp deletes /exp/step-2."""
    return [folder.parent for folder in (path, *path.parents) if _DELETED.fullmatch(folder.name)]


def list_steps(folder: Path) -> list[int]:
    """Committed steps in the folder, newest first, verified or not."""
    return sorted((int(m[1]) for m in map(_STEP.fullmatch, _names(folder)) if m), reverse=True)


def list_stale_staging(folder: Path, attempt: int) -> list[Path]:
    """Unfinished saves and unfinished deletions of this and earlier attempts."""
    return [folder / m[0] for m in map(_STAGING.fullmatch, _names(folder)) if m and int(m[1]) <= attempt]


def list_corrupt(folder: Path) -> list[Path]:
    """Checkpoints that were put aside, newest first."""
    found = [m for m in map(_CORRUPT.fullmatch, _names(folder)) if m]
    return [folder / m[0] for m in sorted(found, key=lambda m: (int(m[1]), int(m[2])), reverse=True)]


def _names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []


def resolve_folder(uri: str) -> Path:
    """Local path of a checkpoint URI (file:///path or pvc://CLAIM/path). Raises ConfigurationError for others."""
    location = parse_uri(uri, "spec.checkpoint.uri")
    if isinstance(location, FolderLocation):
        return location.path
    raise ConfigurationError(
        f"spec.checkpoint.uri: {uri} cannot hold checkpoints; use s3://BUCKET/PATH, gs://BUCKET/PATH, "
        "az://CONTAINER/PATH, pvc://CLAIM/PATH or file:///PATH (the Hub is for spec.publish.uri)"
    )
