"""`deepsynth template` and `deepsynth datasets`: resources for the common cases, to run as they are or to edit.

With HF_USERNAME set, datasets are on the Hub as hf://datasets/HF_USERNAME/deepsynth-NAME-images; else they are on the
volume `datasets`, which is a folder for `deepsynth local` and a claim in a cluster.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final, get_args

import yaml

from deepsynth_api.errors import ConfigurationError
from deepsynth_api.kinds import API_VERSION
from deepsynth_api.presets import PRESETS
from deepsynth_api.v1alpha1.dataset_generation import PresetName
from deepsynth_local.columns import format_table

DEFAULT_MODEL: Final = "hf://deepseek-community/DeepSeek-OCR-2"
USERNAME_VARIABLE: Final = "HF_USERNAME"

Resource = dict[str, Any]


def build_generation(preset: str, max_rows: int | None, environment: Mapping[str, str]) -> Resource:
    """A DatasetGeneration of a preset, of the first `max_rows` rows of each split.

    Raises ConfigurationError for an unknown preset.
    """
    name = _check_preset(preset)
    if max_rows is None:
        what: Resource = {"preset": name}
    else:
        source = PRESETS[name].model_dump(mode="json", by_alias=True, exclude_defaults=True)
        what = {"source": {**source, "maxRowsPerSplit": max_rows}}
    return _build("DatasetGeneration", _name(name), {**what, "output": {"uri": _find_output(name, environment)}})


def build_run(presets: Sequence[str], model: str, gpus: int, environment: Mapping[str, str]) -> Resource:
    """A TrainingRun on the datasets of these presets. Raises ConfigurationError for an unknown or repeated preset."""
    if len(set(presets)) != len(presets):
        raise ConfigurationError(f"{' '.join(presets)}: name each dataset once")
    name = "-".join(["read", *map(_name, presets)])
    resources = {"resourcesPerNode": {"limits": {"nvidia.com/gpu": gpus}}} if gpus else {}
    spec = {
        "model": {"uri": model},
        "datasets": [_build_dataset(_check_preset(preset), environment) for preset in presets],
        **resources,
        "checkpoint": {"uri": f"pvc://checkpoints/{name}"},
    }
    return _build("TrainingRun", name, spec)


def format_resource(resource: Resource) -> str:
    return yaml.safe_dump(resource, sort_keys=False, allow_unicode=True, width=120)


def format_presets() -> str:
    """The table of `deepsynth datasets`."""
    rows = [["PRESET", "SOURCE", "CONFIG", "TEXT", "SUMMARY"]]
    for name, source in PRESETS.items():
        columns = source.columns
        rows.append([name, source.uri, source.config or "", columns.text or "", columns.summary or ""])
    return format_table(rows)


def _check_preset(preset: str) -> PresetName:
    for name in get_args(PresetName):
        if preset == name:
            known: PresetName = name
            return known
    raise ConfigurationError(f"{preset}: is no preset; choose from {', '.join(PRESETS)}")


def _name(preset: str) -> str:
    """Names of resources have no underscores."""
    return preset.replace("_", "-")


def _find_output(preset: str, environment: Mapping[str, str]) -> str:
    user = environment.get(USERNAME_VARIABLE)
    return f"hf://datasets/{user}/deepsynth-{preset}-images" if user else f"pvc://datasets/{_name(preset)}"


def _build_dataset(preset: str, environment: Mapping[str, str]) -> Resource:
    """On the Hub it may have been made elsewhere; on a volume it was made by a resource of this name."""
    if environment.get(USERNAME_VARIABLE):
        return {"name": _name(preset), "uri": _find_output(preset, environment)}
    return {"name": _name(preset), "datasetGenerationRef": {"name": _name(preset)}}


def _build(kind: str, name: str, spec: Resource) -> Resource:
    return {"apiVersion": API_VERSION, "kind": kind, "metadata": {"name": name}, "spec": spec}
