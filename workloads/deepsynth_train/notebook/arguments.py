"""From what a user writes in Python to what the API types take: numbers, plain paths, and no unknown names.

{"model": "me/ocr", "optimizer": {"learning_rate": 1e-4}, "checkpoint": "runs/first"}
    -> {"model": {"uri": "hf://me/ocr"}, "optimizer": {"learning_rate": "0.0001"},
        "checkpoint": {"uri": "file:///home/me/runs/first"}}
"""

import os
import re
from collections.abc import Mapping
from decimal import Decimal
from difflib import get_close_matches
from numbers import Real
from pathlib import Path
from types import UnionType
from typing import Any, Final, Union, get_args, get_origin

from pydantic.alias_generators import to_snake

from deepsynth_api.errors import ConfigurationError
from deepsynth_api.other_names import OTHER_NAMES, OTHER_VALUES
from deepsynth_api.v1alpha1 import ApiModel
from deepsynth_store.core.atomic import make_folder_durably
from deepsynth_train.notebook.suggestions import (
    REMARKS,
    RESUME,
    RESUME_REMEDY,
    TRAINER_NAMES,
    find_nested,
    suggest,
    write_out,
)

_HUB_NAME: Final = re.compile("[A-Za-z0-9][A-Za-z0-9._-]*/[A-Za-z0-9][A-Za-z0-9._-]*")
_URI: Final = "uri"


def convert_arguments(config: type[ApiModel], given: Mapping[str, Any]) -> dict[str, Any]:
    """`given` in the form that `config` validates. Raises ConfigurationError for an unknown name, at any depth."""
    return _convert_fields(config, given, "", config)


def expand_path(path: str | Path) -> str:
    """The file:// URI of a path, which may be relative or begin with ~. URIs stay as they are."""
    text = str(path)
    return text if "://" in text else f"file://{Path(text).expanduser().resolve()}"


def expand_model(name: str | Path) -> str:
    """The URI of a model: hf://OWNER/NAME for OWNER/NAME, unless there is a folder of that name."""
    is_hub_name = _HUB_NAME.fullmatch(str(name)) and not Path(name).exists()
    return f"hf://{name}" if is_hub_name else expand_path(name)


def check_model_folder(uri: str) -> None:
    """Raise ConfigurationError for a folder that does not exist, with the nearest name next to it."""
    folder = Path(uri.removeprefix("file://"))
    if not uri.startswith("file://") or folder.is_dir():
        return
    names = [path.name for path in folder.parent.iterdir() if path.is_dir()] if folder.parent.is_dir() else []
    near = get_close_matches(folder.name, names, n=1)
    hint = f"did you mean {folder.parent / near[0]}?" if near else "name one with a model, or OWNER/NAME on the Hub"
    raise ConfigurationError(f"model: no folder {folder}; {hint}")


def make_checkpoint_folder(folder: Path) -> None:
    """Raise ConfigurationError if the folder cannot be created or written to, before anything is loaded."""
    try:
        make_folder_durably(folder)
    except OSError as error:
        why = f"cannot be created ({error.strerror or error})"
    else:
        if os.access(folder, os.W_OK | os.X_OK):
            return
        why = "cannot be written to"
    raise ConfigurationError(f"checkpoint: {folder} {why}; choose another folder")


def _convert_fields(
    kind: type[ApiModel], given: Mapping[str, Any], path: str, config: type[ApiModel]
) -> dict[str, Any]:
    converted = {}
    for key, value in given.items():
        name = _find_name(key)
        if name not in kind.model_fields:
            raise ConfigurationError(_refuse(key, value, path, kind, config))
        field = f"{path}.{name}".removeprefix(".")
        converted[name] = _convert(kind.model_fields[name].annotation, value, field, config)
    return converted


def _convert(annotation: Any, value: Any, path: str, config: type[ApiModel]) -> Any:
    if isinstance(value, Mapping) and (nested := find_nested(annotation)):
        return _convert_fields(nested, value, path, config)
    if isinstance(value, str | Path):
        return _convert_text(annotation, value, path)
    if path == "model" and hasattr(value, "save_pretrained"):
        raise ConfigurationError(
            "model: must be a folder or a name on the Hub, got a model; save it and give its folder"
        )
    if isinstance(value, list | tuple):
        item = next((part for part in _unpack(annotation) if get_origin(part) is list), None)
        return [
            _convert(get_args(item)[0] if item else Any, part, f"{path}[{n}]", config) for n, part in enumerate(value)
        ]
    if isinstance(value, Real | Decimal) and not isinstance(value, bool) and _takes_text(annotation):
        return format(Decimal(str(value)), "f")  # resources have decimal strings, because YAML's floats are not exact
    return value


def _convert_text(annotation: Any, value: str | Path, path: str) -> Any:
    """Paths and names of models where a URI is expected; `checkpoint="runs/first"` stands for {"uri": "runs/first"}."""
    nested = find_nested(annotation)
    if nested and _URI in nested.model_fields:
        return {_URI: _convert_text(str, value, f"{path}.{_URI}")}
    if path.rpartition(".")[2] != _URI:
        return str(value) if isinstance(value, Path) else value
    return expand_model(value) if path == "model.uri" else expand_path(value)


def _takes_text(annotation: Any) -> bool:
    kinds = _unpack(annotation)
    return str in kinds and not {int, float} & set(kinds)


def _unpack(annotation: Any) -> list[Any]:
    """`X | None` -> [X, None]; metadata of Annotated is dropped."""
    if hasattr(annotation, "__metadata__"):
        return _unpack(annotation.__origin__)
    if get_origin(annotation) in {Union, UnionType}:
        return [part for argument in get_args(annotation) for part in _unpack(argument)]
    return [annotation]


def _find_name(key: str) -> str:
    """In snake_case. The camelCase of resources is accepted, so that a spec can be pasted."""
    return key if key in OTHER_NAMES else to_snake(key)  # which turns bf16 into bf_16


def _refuse(key: str, value: Any, path: str, kind: type[ApiModel], config: type[ApiModel]) -> str:
    name = _find_name(key)
    where = f"{path}.{key}".removeprefix(".")
    if not path and name in TRAINER_NAMES:
        return f"{where}: not a setting; pass it to Trainer or create_trainer as {TRAINER_NAMES[name]}"
    if name == RESUME:
        return f"{where}: unknown argument; {RESUME_REMEDY}"
    if near := suggest(name, path, config):
        setting = _find_setting(name, value, is_same_object=bool(path) and near.rpartition(".")[0] == path)
        written = write_out(near, config, setting)
        return f"{where}: unknown argument; did you mean {near}? Write {written}{REMARKS.get(name, '')}"
    return f"{where}: unknown argument; the arguments {f'of {path} ' if path else ''}are {', '.join(kind.model_fields)}"


def _find_setting(name: str, value: Any, *, is_same_object: bool) -> str | float | None:
    """The value to show for the argument that was meant, where it is certain; None where it is not.

    A number keeps its meaning if only the name within an object is another one, as in lora={"r": 4}.
    """
    if name in OTHER_VALUES:
        return OTHER_VALUES[name] if value else None
    return value if is_same_object and isinstance(value, int | float) else None
