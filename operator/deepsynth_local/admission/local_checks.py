"""Checks that only this machine can make before anything runs: references, GPUs, free disk space."""

import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final

from deepsynth_api.errors import ConfigurationError
from deepsynth_api.v1alpha1 import TrainingRun
from deepsynth_operator.controller.references import find_references
from deepsynth_operator.core.observed import Manifest
from deepsynth_operator.core.resource_key import ResourceKey
from deepsynth_operator.manifests.train_job import count_gpus_per_node

MIN_FREE_BYTES: Final = 1_000_000_000
_DEVICES: Final = Path("/proc/driver/nvidia/gpus")


def check_references(resources: Iterable[Manifest], known: Mapping[ResourceKey, Manifest]) -> None:
    """Raise ConfigurationError for a reference to nothing: in a cluster such a resource would wait indefinitely."""
    for resource in resources:
        for field, key in find_references(resource):
            if key not in known:
                raise ConfigurationError(
                    f'{resource["kind"]} "{resource["metadata"]["name"]}": {field}: {key.kind} "{key.name}" not found '
                    "in these files or in the runs folder; add its file with -f"
                )


def check_gpus(resource: Manifest, available: int) -> None:
    """Raise ConfigurationError when a TrainingRun asks for more GPUs than this machine has."""
    if resource["kind"] != "TrainingRun":
        return
    run = TrainingRun.model_validate(resource)
    wanted = count_gpus_per_node(run) * run.spec.num_nodes
    if wanted > available:
        raise ConfigurationError(
            f'TrainingRun "{run.metadata.name}": spec.resourcesPerNode.limits[nvidia.com/gpu]: all nodes together ask '
            f"for {wanted} GPUs, but this machine has {available}; lower numNodes or the limit, or remove the limit to "
            "train on the CPU"
        )


def count_gpus() -> int:
    """Number of NVIDIA GPUs that the driver shows."""
    return len(list(_DEVICES.iterdir())) if _DEVICES.is_dir() else 0


def check_disk(folder: Path, needed: int = MIN_FREE_BYTES) -> None:
    """Raise ConfigurationError when fewer than `needed` bytes are free."""
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise ConfigurationError(
            f"{folder}: at least {needed / 1e6:.0f} MB must be free, found {free / 1e6:.0f} MB; "
            "free some space or choose another folder with --runs"
        )
