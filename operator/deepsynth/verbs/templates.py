"""`deepsynth template` and `deepsynth datasets`: resources for common cases, to run as they are or to edit.

With HF_USERNAME set, datasets go to the Hub as hf://datasets/HF_USERNAME/deepsynth-NAME-images. Without it they go to
pvc://datasets/: a folder for `deepsynth local`, a PersistentVolumeClaim in a cluster.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final, get_args

import yaml

from deepsynth.verbs.suggestions import suggest
from deepsynth_api.errors import ConfigurationError
from deepsynth_api.kinds import API_VERSION
from deepsynth_api.presets import PRESETS
from deepsynth_api.v1alpha1.dataset_generation import PresetName
from deepsynth_client.interface import Manifest
from deepsynth_client.tables import format_table

DEFAULT_MODEL: Final = "hf://deepseek-community/DeepSeek-OCR-2"
ALL: Final = "all"
_COMMENT_WITH_GPUS: Final = """\
# All weights of this model are trained. `deepsynth fit --compare -f FILE` shows the GPU memory that this needs.
"""
_COMMENT_WITHOUT_GPU: Final = """\
# This model needs a GPU: add --gpus 1 to the command, and train only adapters (lora), as examples/lora.yaml does.
# Without a GPU, --model config://deepseek-ocr2-tiny shows in minutes that everything works, but is too small to learn
# to read. examples/demo.yaml trains a small model that does.
"""
USERNAME_VARIABLE: Final = "HF_USERNAME"


def build_generations(
    presets: Sequence[str], max_rows: int | None, environment: Mapping[str, str]
) -> list[dict[str, Any]]:
    """A DatasetGeneration from each preset; from every preset there is, if `presets` is only "all"."""
    names = list(PRESETS) if list(presets) == [ALL] else list(dict.fromkeys(presets))
    return [build_generation(name, max_rows, environment) for name in names]


def build_generation(preset: str, max_rows: int | None, environment: Mapping[str, str]) -> dict[str, Any]:
    """A DatasetGeneration from a preset. max_rows: use only the first rows of each split; None: all.

    Raises ConfigurationError for an unknown preset.
    """
    name = _check_preset(preset)
    if max_rows is None:
        data: dict[str, Any] = {"preset": name}
    else:
        source = PRESETS[name].model_dump(mode="json", by_alias=True, exclude_defaults=True)
        data = {"source": {**source, "maxRowsPerSplit": max_rows}}
    return _build("DatasetGeneration", _name(name), {**data, "output": {"uri": _find_output(name, environment)}})


def build_run(presets: Sequence[str], model: str, gpus: int, environment: Mapping[str, str]) -> dict[str, Any]:
    """A TrainingRun on datasets from these presets, or from every preset if they are only "all".

    Raises ConfigurationError for an unknown or repeated preset.
    """
    presets = list(PRESETS) if list(presets) == [ALL] else presets
    if len(set(presets)) != len(presets):
        raise ConfigurationError(f"{' '.join(presets)}: every preset must be named only once")
    name = "read-all" if len(presets) == len(PRESETS) else "-".join(["read", *map(_name, presets)])
    resources = {"resourcesPerNode": {"limits": {"nvidia.com/gpu": gpus}}} if gpus else {}
    spec = {
        "model": {"uri": model},
        "datasets": [_build_dataset(_check_preset(preset), environment) for preset in presets],
        **resources,
        "checkpoint": {"uri": f"pvc://checkpoints/{name}"},
    }
    return _build("TrainingRun", name, spec)


def describe_run(model: str, gpus: int) -> str:
    """Comments above a TrainingRun: what the default model needs of the machine, and what to use without it."""
    if model != DEFAULT_MODEL:
        return ""
    if gpus:
        return _COMMENT_WITH_GPUS
    return _COMMENT_WITHOUT_GPU


def format_resource(resource: Manifest) -> str:
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
    raise ConfigurationError(f"unknown preset {preset!r}; {suggest(preset, PRESETS)}")


def _name(preset: str) -> str:
    """The preset as a name of a resource, which must not contain underscores."""
    return preset.replace("_", "-")


def _find_output(preset: str, environment: Mapping[str, str]) -> str:
    user = environment.get(USERNAME_VARIABLE)
    return f"hf://datasets/{user}/deepsynth-{preset}-images" if user else f"pvc://datasets/{_name(preset)}"


def _build_dataset(preset: str, environment: Mapping[str, str]) -> dict[str, Any]:
    """On the Hub the dataset may come from elsewhere, so by URI; on a volume it comes from a DatasetGeneration."""
    if environment.get(USERNAME_VARIABLE):
        return {"name": _name(preset), "uri": _find_output(preset, environment)}
    return {"name": _name(preset), "datasetGenerationRef": {"name": _name(preset)}}


def _build(kind: str, name: str, spec: dict[str, Any]) -> dict[str, Any]:
    return {"apiVersion": API_VERSION, "kind": kind, "metadata": {"name": name}, "spec": spec}
