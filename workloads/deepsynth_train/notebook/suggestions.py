"""The nearest existing argument to an unknown one, for error messages."""

from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from types import UnionType
from typing import Any, Final, Union, get_args, get_origin

from pydantic.fields import FieldInfo

from deepsynth_api.other_names import OTHER_NAMES
from deepsynth_api.v1alpha1 import ApiModel

TRAINER_NAMES: Final[Mapping[str, str]] = {
    "callback": "callbacks",
    "callbacks": "callbacks",
    "data": "data",
    "dataset": "data",
    "datasets": "data",
    "disable_tqdm": "progress",
    "eval_dataset": "data",
    "progress": "progress",
    "split": "train_split",
    "train_data": "data",
    "train_dataset": "data",
    "train_split": "train_split",
    "validation_split": "validation_split",
}
"""Arguments of Trainer and create_trainer, which are not settings, and other names for them."""

REMARKS: Final[Mapping[str, str]] = {
    "per_device_train_batch_size": ", and global_batch_size=... for the samples of a step on all GPUs",
}
"""What else to set for a name of another library that has no exact counterpart."""

RESUME: Final = "resume_from_checkpoint"
RESUME_REMEDY: Final = "remove it: train() continues from the newest checkpoint in the checkpoint folder by itself"
"""For the argument of transformers' train() that is not needed here."""


def suggest(name: str, path: str, config: type[ApiModel]) -> str | None:
    """The dotted path of the argument that was probably meant, such as `optimizer.learning_rate`; None if unclear.

    name: in snake_case. path: where it was given, "" for the top level.
    """
    paths = list(list_paths(config))
    siblings = {_last(known): known for known in paths if known.rpartition(".")[0] == path}
    if near := get_close_matches(name, siblings, n=1, cutoff=0.8):
        return siblings[near[0]]
    if name in OTHER_NAMES:
        return OTHER_NAMES[name]
    by_name: dict[str, str] = {}
    for known in paths:
        by_name.setdefault(_last(known), known)
        by_name.setdefault(known.replace(".", "_"), known)  # lora_rank -> model.lora.rank
        by_name.setdefault("_".join(known.split(".")[-2:]), known)
    near = get_close_matches(name, by_name, n=1, cutoff=0.7)
    return by_name[near[0]] if near else None


def list_paths(config: type[ApiModel], prefix: str = "") -> Iterator[str]:
    """All arguments, nested ones included: `model`, `model.uri`, `model.lora`, `model.lora.rank`, ..."""
    return (path for path, _ in list_fields(config, prefix))


def list_fields(config: type[ApiModel], prefix: str = "") -> Iterator[tuple[str, FieldInfo]]:
    for name, field in config.model_fields.items():
        yield f"{prefix}{name}", field
        if nested := find_nested(field.annotation):
            yield from list_fields(nested, f"{prefix}{name}.")


def find_nested(annotation: Any) -> type[ApiModel] | None:
    """The settings class in `X`, `X | None` and `list[X]`; None for other types."""
    if isinstance(annotation, type) and issubclass(annotation, ApiModel):
        return annotation
    if get_origin(annotation) in {list, Union, UnionType}:
        return next(filter(None, map(find_nested, get_args(annotation))), None)
    return None


def write_out(path: str, config: type[ApiModel], setting: str | float | None = None) -> str:
    """How the argument is written: `model.lora.rank` -> `model={"uri": ..., "lora": {"rank": ...}}`.

    setting: its value; None: any.
    """
    first, *rest = path.split(".")
    value = "..." if setting is None else f'"{setting}"' if isinstance(setting, str) else repr(setting)
    for name in reversed(rest):
        value = f'{{"{name}": {value}}}'
    nested = find_nested(config.model_fields[first].annotation)
    if rest and rest[0] != "uri" and nested and "uri" in nested.model_fields:
        value = f'{{"uri": ..., {value.removeprefix("{")}'
    return f"{first}={value}"


def _last(path: str) -> str:
    return path.rpartition(".")[2]
