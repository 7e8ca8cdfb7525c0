"""Checks that only this machine can make before anything runs: references, folders, GPUs, free disk space."""

import shutil
from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Final

from deepsynth_api.errors import ConfigurationError
from deepsynth_api.kinds import list_outputs
from deepsynth_api.presets import PRESETS
from deepsynth_api.v1alpha1 import DatasetGeneration, TrainingRun
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
                    f"in these files or in the runs folder; add its file with -f{_name_preset(key)}"
                )


def _name_preset(key: ResourceKey) -> str:
    """For a dataset that `deepsynth template` names after a preset: how to render it."""
    preset = next((name for name in PRESETS if name.replace("_", "-") == key.name), None)
    if key.kind != "DatasetGeneration" or preset is None:
        return ""
    return (
        f", or render the preset first: make generate-dataset DATASET={preset} (which is: deepsynth template dataset "
        f"{preset} | deepsynth local -f -)"
    )


def check_folders(resources: Iterable[Manifest]) -> None:
    """Raise ConfigurationError for a source, model or dataset that is neither there nor written by `resources`.

    A resource would find it only after its process has started, and most fields can no longer be changed then.
    """
    resources = list(resources)
    written = tuple(uri for resource in resources for uri in list_outputs(resource))
    problems = []
    for resource in resources:
        status = resource.get("status", {})
        if status.get("completionTime") or status.get("plan"):  # a plan holds the texts
            continue
        for field, uri in _list_inputs(resource):
            path = Path(uri.removeprefix("file://"))
            if not uri.startswith("file://") or uri.startswith(written):
                continue
            may_be_file = resource["kind"] == "DatasetGeneration"
            if not (path.exists() if may_be_file else path.is_dir()):
                near = get_close_matches(path.name, _list_names(path.parent, files=may_be_file), n=1)
                remedy = f"did you mean file://{path.parent / near[0]}?" if near else "correct the path"
                what = "file or folder" if may_be_file else "folder"
                problems.append(
                    f'{resource["kind"]} "{resource["metadata"]["name"]}": {field}: no {what} {path}; {remedy}'
                )
    if problems:
        raise ConfigurationError("\n".join(problems))


def _list_inputs(resource: Manifest) -> list[tuple[str, str]]:
    """Fields with the URIs that a resource reads."""
    if resource["kind"] == "DatasetGeneration":
        source = DatasetGeneration.model_validate(resource).spec.source
        return [("spec.source.uri", source.uri)] if source is not None else []
    spec = TrainingRun.model_validate(resource).spec
    places = [(f"spec.datasets[{dataset.name}].uri", dataset.uri or "") for dataset in spec.datasets]
    return [("spec.model.uri", spec.model.uri), *places]


def _list_names(parent: Path, *, files: bool) -> list[str]:
    return [path.name for path in parent.iterdir() if files or path.is_dir()] if parent.is_dir() else []


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
