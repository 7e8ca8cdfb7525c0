"""Errors of an attempt with the names of Python: `spec.optimizer.learningRate` -> `optimizer.learning_rate`."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from deepsynth_api.errors import WorkloadError
from deepsynth_api.v1alpha1 import TrainingSettings
from deepsynth_train.notebook.suggestions import list_paths

DATASET: Final = "pages"
"""Name of the only dataset of a run in Python."""

_PLACES: Final = {
    rf"spec\.datasets\[{DATASET}\]\.(trainSplit|validationSplit)": r"\1",
    rf"spec\.datasets\[{DATASET}\](\.uri)?": "data",
    r"spec\.datasets": "data",
    r"spec\.cache\.sizeLimit": "the cache (the folder in DEEPSYNTH_CACHE)",
    r"spec\.cache\.features(\.uri)?": "feature_cache",
    r"spec\.model\.secretRef": "the token in HF_TOKEN",
    r"spec\.(checkpoint|publish)\.uri": r"\1",
    "the Secret that secretRef names": "your environment",
    r"spec\.model\.uri": "model",
    "or delete and re-apply the resource": "or choose another folder for checkpoint",
    r"\bspec\.": "",
    r"\bspec:": "TrainConfig:",
}

_MODEL_SETTING: Final = r'Write model=\{"uri": \.\.\., "(lora|freeze|quantize)": (.*)\}'


@contextmanager
def name_arguments(*, split: str | None = None) -> Iterator[None]:
    """Errors that are raised inside keep their class and reason.

    split: the argument that names the only split, where `train_split` and `validation_split` do not exist.
    """
    try:
        yield
    except WorkloadError as error:
        error.message = rename_fields(error.message)
        if split:
            error.message = re.sub(r"\b(train|validation)_split\b", split, error.message)
        error.args = (error.message,)
        raise
    except RuntimeError as error:
        if type(error).__name__ == "OutOfMemoryError":
            error.add_note("lower micro_batch_size, set gradient_checkpointing=True, or train adapters (lora)")
        raise


@contextmanager
def write_model_settings() -> Iterator[None]:
    """Errors show settings of the model as create_trainer takes them.

    Write model={"uri": ..., "lora": {"rank": 4}}   ->   Write lora={"rank": 4}
    """
    try:
        yield
    except WorkloadError as error:
        error.message = re.sub(_MODEL_SETTING, r"Write \1=\2", error.message)
        error.args = (error.message,)
        raise


def rename_fields(message: str) -> str:
    for pattern, replacement in _PLACES.items():
        message = re.sub(pattern, replacement, message)
    return re.sub(r"\b[a-z]+(?:[A-Z][a-z]+)+\b", lambda word: _NAMES.get(word[0], word[0]), message)


def _to_camel(name: str) -> str:
    return re.sub("_([a-z])", lambda letter: letter[1].upper(), name)


_NAMES: Final = {
    _to_camel(name): name
    for name in {path.rpartition(".")[2] for path in list_paths(TrainingSettings)} | {"train_split", "validation_split"}
}
