"""What a `uri` in a resource means. Pure, but for the environment variable that says where volumes are mounted."""

import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from deepsynth_api.errors import ConfigurationError
from deepsynth_api.workload import VOLUMES_VARIABLE

SUPPORTED: Final = "hf://datasets/OWNER/NAME, hf://OWNER/NAME, pvc://CLAIM/PATH and file:///ABSOLUTE/PATH"

_NAME = r"[A-Za-z0-9][A-Za-z0-9._-]{0,95}"
_HUB_DATASET = re.compile(rf"datasets/({_NAME}(?:/{_NAME})?)")
_HUB_MODEL = re.compile(rf"({_NAME}/{_NAME})")


@dataclass(frozen=True)
class HubLocation:
    """A repository on the Hub. repo_id is OWNER/NAME, or NAME alone for the Hub's oldest data sets."""

    uri: str
    kind: Literal["dataset", "model"]
    repo_id: str


@dataclass(frozen=True)
class FolderLocation:
    """A folder that this process can reach: a path, or a path on a volume claim."""

    uri: str
    path: Path


def parse_uri(uri: str, field: str = "uri") -> HubLocation | FolderLocation:
    """Raise ConfigurationError that names `field` when the scheme is unknown or the rest does not fit it."""
    scheme, separator, rest = uri.partition("://")
    if separator and scheme == "hf":
        return _parse_hub(uri, rest, field)
    if separator and scheme == "pvc":
        return FolderLocation(uri, _volumes_folder(field) / _parse_claim_path(uri, rest, field))
    if separator and scheme == "file" and rest.startswith("/") and ".." not in rest.split("/"):
        return FolderLocation(uri, Path(rest))
    if scheme in {"s3", "gs", "az"}:
        raise ConfigurationError(f"{field}: {scheme}:// is not supported yet. Use {SUPPORTED}.")
    raise ConfigurationError(f"{field}: {uri!r} is not a URI that can be used. Supported are {SUPPORTED}.")


def _parse_hub(uri: str, rest: str, field: str) -> HubLocation:
    if match := _HUB_DATASET.fullmatch(rest):
        return HubLocation(uri, "dataset", match.group(1))
    if (match := _HUB_MODEL.fullmatch(rest)) and not rest.startswith(("datasets/", "spaces/", "buckets/")):
        return HubLocation(uri, "model", match.group(1))
    raise ConfigurationError(
        f"{field}: {uri!r} is not a Hub repository. Write hf://datasets/OWNER/NAME or hf://OWNER/NAME; "
        "a revision has a field of its own."
    )


def _parse_claim_path(uri: str, rest: str, field: str) -> Path:
    claim, _, path = rest.partition("/")
    if not re.fullmatch(r"[a-z0-9]([a-z0-9.-]*[a-z0-9])?", claim) or ".." in path.split("/"):
        raise ConfigurationError(f"{field}: {uri!r} must be pvc://CLAIM/PATH, with no '..' in the path.")
    return Path(claim) / path.lstrip("/")


def _volumes_folder(field: str) -> Path:
    folder = os.environ.get(VOLUMES_VARIABLE)
    if not folder:
        raise ConfigurationError(f"{field}: pvc:// needs {VOLUMES_VARIABLE}, the folder where volumes are mounted.")
    return Path(folder)
