"""Volumes of a pod and their mounts: our own, one per claim that a pvc:// URI names, and those of the template."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from deepsynth_api.errors import ConfigurationError
from deepsynth_api.v1alpha1.pod.pod_template import PodTemplate, Volume
from deepsynth_api.v1alpha1.shared.base import Quantity
from deepsynth_api.workload import CACHE_PATH, DOCUMENT_PATH, VOLUMES_PATH
from deepsynth_operator.manifests.names import build_volume_name

DOCUMENT_FOLDER, _, DOCUMENT_KEY = DOCUMENT_PATH.rpartition("/")
TEMPORARY_FOLDER: Final = "/tmp"  # noqa: S108 - a volume of the pod
_PVC: Final = "pvc://"
OWN_NAMES: Final = frozenset({"document", "tmp", "shm", "cache"})
CLAIM_PREFIX: Final = "claim-"


@dataclass(frozen=True, slots=True)
class Location:
    """A URI of the spec, the field that holds it, and whether the pod writes to it."""

    field: str
    uri: str | None
    is_written: bool = False


@dataclass(frozen=True, slots=True)
class MountedVolume:
    """A pod's volume and its mount in the container."""

    volume: dict[str, Any]
    mount: dict[str, Any]


def build_document_volume(config_map: str) -> MountedVolume:
    """The workload document."""
    return MountedVolume(
        volume={"name": "document", "configMap": {"name": config_map}},
        mount={"name": "document", "mountPath": DOCUMENT_FOLDER, "readOnly": True},
    )


def build_scratch_volumes() -> list[MountedVolume]:
    """A writable /tmp, as the root is read-only, and a /dev/shm above the default 64 MB, for NCCL and data workers."""
    return [
        MountedVolume(
            volume={"name": "tmp", "emptyDir": {}},
            mount={"name": "tmp", "mountPath": TEMPORARY_FOLDER},
        ),
        MountedVolume(
            volume={"name": "shm", "emptyDir": {"medium": "Memory"}},
            mount={"name": "shm", "mountPath": "/dev/shm"},  # noqa: S108 - a volume of the pod
        ),
    ]


def build_cache_volume(size_limit: Quantity) -> MountedVolume:
    """Node disk for the dataset in Arrow form. Deleted together with the pod."""
    return MountedVolume(
        volume={"name": "cache", "emptyDir": {"sizeLimit": str(size_limit)}},
        mount={"name": "cache", "mountPath": CACHE_PATH},
    )


def build_claim_volumes(locations: Sequence[Location]) -> list[MountedVolume]:
    """One volume per claim that a pvc:// URI names, mounted read-only unless the pod writes to one of its URIs.

    Raises ConfigurationError, naming the field, for a URI without a claim.
    """
    written: dict[str, bool] = {}
    for location in locations:
        if location.uri is not None and location.uri.startswith(_PVC):
            claim = _get_claim(location)
            written[claim] = written.get(claim, False) or location.is_written
    return [_build_claim_volume(claim, is_written) for claim, is_written in written.items()]


def build_template_volumes(template: PodTemplate) -> list[MountedVolume]:
    """The volumes of spec.template. Raises ConfigurationError if a name is one of our own."""
    for index, volume in enumerate(template.volumes):
        if volume.name in OWN_NAMES or volume.name.startswith(CLAIM_PREFIX):
            raise ConfigurationError(
                f"spec.template.volumes[{index}].name: {volume.name} is used by DeepSynth; choose another name"
            )
    return [_build_template_volume(volume) for volume in template.volumes]


def _get_claim(location: Location) -> str:
    claim = (location.uri or "").removeprefix(_PVC).partition("/")[0]
    if not claim:
        raise ConfigurationError(f"{location.field}: must be pvc://CLAIM/PATH, got {location.uri}")
    return claim


def _build_claim_volume(claim: str, is_written: bool) -> MountedVolume:
    name = build_volume_name(claim)
    return MountedVolume(
        volume={"name": name, "persistentVolumeClaim": {"claimName": claim}},
        mount={
            "name": name,
            "mountPath": f"{VOLUMES_PATH}/{claim}",
            **({} if is_written else {"readOnly": True}),
        },
    )


def _build_template_volume(volume: Volume) -> MountedVolume:
    mount = {"name": volume.name, "mountPath": volume.mount_path, "subPath": volume.sub_path}
    kinds = volume.to_dict().keys() - {"name", "mountPath", "readOnly", "subPath"}
    return MountedVolume(
        volume={"name": volume.name, **{kind: volume.to_dict()[kind] for kind in sorted(kinds)}},
        mount={**_drop_unset(mount.items()), **({"readOnly": True} if volume.read_only else {})},
    )


def _drop_unset(items: Iterable[tuple[str, Any]]) -> dict[str, Any]:
    return {key: value for key, value in items if value is not None}
