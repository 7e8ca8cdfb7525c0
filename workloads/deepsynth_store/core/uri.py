"""What a `uri` in a resource means. Pure, except that an environment variable says where volumes are mounted.

The forms of a URI and what they become:

hf://datasets/OWNER/NAME    HubLocation("dataset")
hf://OWNER/NAME             HubLocation("model")
pvc://CLAIM/PATH            FolderLocation($DEEPSYNTH_VOLUMES/CLAIM/PATH)
file:///ABSOLUTE/PATH       FolderLocation(/ABSOLUTE/PATH)
s3://BUCKET/PATH            ObjectLocation("s3", "BUCKET", "PATH"), also gs:// and az://CONTAINER/PATH
hf://buckets/OWNER/NAME/PATH    ObjectLocation("hf", "NAME", "PATH", owner="OWNER")
"""

import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from deepsynth_api.errors import ConfigurationError
from deepsynth_api.workload import VOLUMES_VARIABLE

SUPPORTED: Final = (
    "hf://datasets/OWNER/NAME, hf://OWNER/NAME, hf://buckets/OWNER/NAME/PATH, s3://BUCKET/PATH, gs://BUCKET/PATH, "
    "az://CONTAINER/PATH, pvc://CLAIM/PATH and file:///ABSOLUTE/PATH"
)

_NAME = r"[A-Za-z0-9][A-Za-z0-9._-]{0,95}"
_HUB_DATASET = re.compile(rf"datasets/({_NAME}(?:/{_NAME})?)")
_BUCKET = re.compile(r"[a-z0-9][a-z0-9._-]{1,220}[a-z0-9]")
_HUB_MODEL = re.compile(rf"({_NAME}/{_NAME})")


@dataclass(frozen=True)
class HubLocation:
    """A repository on the Hub. repo_id is OWNER/NAME, or only NAME for the Hub's oldest datasets."""

    uri: str
    kind: Literal["dataset", "model"]
    repo_id: str


@dataclass(frozen=True)
class FolderLocation:
    """A folder in this process's file system, on a volume claim or anywhere else."""

    uri: str
    path: Path


@dataclass(frozen=True)
class ObjectLocation:
    """A prefix in a bucket, or a container of Azure. path: without slashes at its ends, empty for the whole bucket.
    owner: of a bucket on the Hub, whose scheme is hf.
    """

    uri: str
    scheme: str
    bucket: str
    path: str
    owner: str = ""


Location = HubLocation | FolderLocation | ObjectLocation


def parse_uri(uri: str, field: str = "uri") -> Location:
    """Raises ConfigurationError that names `field` when the scheme is unknown or the rest does not match it."""
    scheme, separator, rest = uri.partition("://")
    if separator and scheme == "hf" and rest.startswith("buckets/"):
        return _parse_hub_bucket(uri, rest.removeprefix("buckets/"), field)
    if separator and scheme == "hf":
        return _parse_hub(uri, rest, field)
    if separator and scheme == "pvc":
        return FolderLocation(uri, _volumes_folder(field) / _parse_claim_path(uri, rest, field))
    if separator and scheme == "file" and rest.startswith("/") and ".." not in rest.split("/"):
        return FolderLocation(uri, Path(rest))
    if separator and scheme in {"s3", "gs", "az"}:
        return _parse_object(uri, scheme, rest, field)
    raise ConfigurationError(f"{field}: must be one of {SUPPORTED}, got {uri!r}")


def is_commit(revision: str | None) -> bool:
    """Whether it names a commit of the Hub, which never changes, and not a branch or tag."""
    return revision is not None and re.fullmatch(r"[0-9a-f]{40}", revision) is not None


def is_repository(uri: str) -> bool:
    """Whether it is a repository on the Hub, whose files have revisions."""
    return uri.startswith("hf://") and not uri.startswith("hf://buckets/")


def is_remote(uri: str) -> bool:
    """Whether its files must be fetched, and can be pinned: the Hub and object stores."""
    return uri.startswith(("hf://", "s3://", "gs://", "az://"))


def is_pinned(revision: str | None) -> bool:
    """Whether it names what never changes: a commit of the Hub, or the digest of what an object store holds."""
    return is_commit(revision) or (revision is not None and re.fullmatch(r"[0-9a-f]{64}", revision) is not None)


def _parse_hub(uri: str, rest: str, field: str) -> HubLocation:
    if match := _HUB_DATASET.fullmatch(rest):
        return HubLocation(uri, "dataset", match.group(1))
    if (match := _HUB_MODEL.fullmatch(rest)) and not rest.startswith(("datasets/", "spaces/")):
        return HubLocation(uri, "model", match.group(1))
    raise ConfigurationError(
        f"{field}: must be hf://datasets/OWNER/NAME or hf://OWNER/NAME, got {uri!r}; a revision has its own field"
    )


def _parse_object(uri: str, scheme: str, rest: str, field: str) -> ObjectLocation:
    bucket, _, path = rest.partition("/")
    if not _BUCKET.fullmatch(bucket):
        # Without the URI: what is before an @ or behind a ? may be a key.
        raise ConfigurationError(
            f"{field}: must be {scheme}://BUCKET/PATH with the name of a bucket and without credentials; those belong "
            "in the Secret that secretRef names"
        )
    return ObjectLocation(uri, scheme, bucket, _clean_path(path, f"{scheme}://BUCKET/PATH", field))


def _parse_hub_bucket(uri: str, rest: str, field: str) -> ObjectLocation:
    owner, _, rest = rest.partition("/")
    bucket, _, path = rest.partition("/")
    form = "hf://buckets/OWNER/NAME/PATH"
    if not re.fullmatch(f"{_NAME}/{_NAME}", f"{owner}/{bucket}"):
        raise ConfigurationError(
            f"{field}: must be {form} with the names of an owner and a bucket and without credentials; those belong in "
            "the Secret that secretRef names"
        )
    return ObjectLocation(uri, "hf", bucket, _clean_path(path, form, field), owner)


def _clean_path(path: str, form: str, field: str) -> str:
    parts = path.strip("/").split("/")
    if {".", ".."} & {*parts} or (len(parts) > 1 and "" in parts) or re.search(r"[?#\x00-\x1f\x7f]", path):
        raise ConfigurationError(
            f"{field}: must be {form} without '.', '..', empty parts, '?' and '#'; credentials belong in the Secret "
            "that secretRef names"
        )
    return "/".join(parts)


def _parse_claim_path(uri: str, rest: str, field: str) -> Path:
    claim, _, path = rest.partition("/")
    if not re.fullmatch(r"[a-z0-9]([a-z0-9.-]*[a-z0-9])?", claim) or ".." in path.split("/"):
        raise ConfigurationError(f"{field}: must be pvc://CLAIM/PATH without '..' in the path, got {uri!r}")
    return Path(claim) / path.lstrip("/")


def _volumes_folder(field: str) -> Path:
    folder = os.environ.get(VOLUMES_VARIABLE)
    if not folder:
        raise ConfigurationError(f"{field}: pvc:// needs {VOLUMES_VARIABLE}, the folder where volumes are mounted")
    return Path(folder)
