"""What only this machine can say about resources before they run: references, GPUs, disk."""

import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final

from deepsynth_api.errors import ConfigurationError
from deepsynth_api.v1alpha1 import TrainingRun
from deepsynth_operator.controller.references import find_references
from deepsynth_operator.manifests.train_job import count_gpus_per_node
from deepsynth_simulator.object_store import ObjectKey

Resource = Mapping[str, Any]
LEAST_FREE_BYTES: Final = 1_000_000_000
_DEVICES: Final = Path("/proc/driver/nvidia/gpus")


def check_references(resources: Iterable[Resource], known: Mapping[ObjectKey, Resource]) -> None:
    """Raise ConfigurationError when a resource would wait for ever: no file and no earlier run has what it names."""
    for resource in resources:
        for field, (kind, namespace, name) in find_references(resource):
            if (kind, namespace, name) not in known:
                raise ConfigurationError(
                    f'{resource["kind"]} "{resource["metadata"]["name"]}": {field}: there is no {kind} "{name}" in '
                    "these files or in the runs folder; add its file with -f"
                )


def check_gpus(resource: Resource, available: int) -> None:
    """Raise ConfigurationError when a TrainingRun asks for more GPUs than this machine has."""
    if resource["kind"] != "TrainingRun":
        return
    run = TrainingRun.model_validate(resource)
    wanted = count_gpus_per_node(run) * run.spec.num_nodes
    if wanted > available:
        raise ConfigurationError(
            f'TrainingRun "{run.metadata.name}": spec.resourcesPerNode.limits[nvidia.com/gpu]: {wanted} GPUs are '
            f"asked for over all nodes, this machine has {available}; lower numNodes or the limit, or remove the limit "
            "to train on the CPU"
        )


def count_gpus() -> int:
    """NVIDIA GPUs of this machine, as the driver shows them."""
    return len(list(_DEVICES.iterdir())) if _DEVICES.is_dir() else 0


def check_disk(folder: Path) -> None:
    """Raise ConfigurationError when there is too little room to begin."""
    free = shutil.disk_usage(folder).free
    if free < LEAST_FREE_BYTES:
        raise ConfigurationError(
            f"{folder}: {free / 1e6:.0f} MB are free, at least {LEAST_FREE_BYTES / 1e6:.0f} MB are needed; "
            "free some space or choose another folder with --runs"
        )
