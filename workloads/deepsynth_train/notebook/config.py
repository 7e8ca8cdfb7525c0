"""TrainConfig: the settings of a training in Python."""

import re
from collections.abc import Mapping
from functools import cache
from typing import Annotated, Any, Final, Self

from pydantic import Field, ModelWrapValidatorHandler, ValidationError, model_validator

from deepsynth_api.errors import ConfigurationError
from deepsynth_api.v1alpha1 import TrainingSettings
from deepsynth_api.v1alpha1.patterns import REMEDY
from deepsynth_api.workload import FeatureCache, TrainWorkload, WorkloadDataset
from deepsynth_train.notebook.arguments import convert_arguments
from deepsynth_train.notebook.errors import rename_fields
from deepsynth_train.notebook.suggestions import list_fields

SEPARATOR: Final = "; "
MAX_SHOWN_CHARACTERS: Final = 100


class TrainConfig(TrainingSettings):
    """The spec of a TrainingRun without the fields for a cluster: same names and defaults, snake_case or camelCase.

        TrainConfig(model="config://vit-gpt2-tiny", checkpoint="runs/first", optimizer={"learning_rate": 1e-4})

    Numbers may be numbers. A model is a folder, a name on the Hub or a URI; other places are folders or URIs. Raises
    ConfigurationError that names the argument; for an unknown one, also the nearest that exists.
    """

    feature_cache: Annotated[
        FeatureCache | None,
        Field(
            description=(
                "Keep what the frozen vision part makes of a page on disk, for later epochs, evaluations and "
                "trainings: a folder, or {} for one in the dataset cache."
            )
        ),
    ] = None

    @model_validator(mode="wrap")
    @classmethod
    def _accept_python(cls, given: Any, validate: ModelWrapValidatorHandler[Self]) -> Self:
        try:
            return validate(convert_arguments(cls, given) if isinstance(given, Mapping) else given)
        except ValidationError as error:
            raise ConfigurationError(SEPARATOR.join(_describe(dict(item)) for item in error.errors())) from None


def build_workload(config: TrainConfig, dataset: WorkloadDataset, *, name: str, fingerprint: str) -> TrainWorkload:
    """The document of an attempt in this process, or in each process of a torchrun. name: for cards and trackers."""
    return TrainWorkload(
        **dict(config),
        name=name,
        namespace="default",
        uid=f"notebook-{fingerprint[:16]}",
        datasets=[dataset],
        num_nodes=1,
        num_proc_per_node=1,
        attempt=1,
        fingerprint=fingerprint,
        output_uri=f"{config.checkpoint.uri.rstrip('/')}/model",
    )


def describe_arguments() -> str:
    """A line for each argument, such as `optimizer.learning_rate  Peak learning rate: ... Default: 0.0002.`"""
    lines = []
    for path, field in list_fields(TrainConfig):
        if "secret_ref" in path or path == "hang_timeout_seconds":
            continue  # they only matter on a cluster
        default = f" Default: {field.default}." if isinstance(field.default, str | int) else ""
        text = rename_fields(field.description or "").replace("decimal string", "number")
        lines.append(f"    {path}: {text}{default}")
    return "\n".join(lines)


def _describe(error: dict[str, Any]) -> str:
    """A pydantic error as `optimizer.schedule: should be 'cosine', 'linear' or 'constant', got 'cos'`."""
    path = re.sub(r"\.(\d+)", r"[\1]", ".".join(str(part) for part in error["loc"]))
    if error["type"] == "missing":
        return f"{_rename(path)}: is missing"
    pattern = error.get("ctx", {}).get("pattern")
    what = _list_remedies().get(pattern) or str(error["msg"]).removeprefix("Input ").removeprefix("String ")
    given = error["input"]
    text = repr(given) if isinstance(given, str | int | float | None) else type(given).__name__
    return f"{_rename(path)}: {what}, got {text[:MAX_SHOWN_CHARACTERS]}"


def _rename(path: str) -> str:
    return re.sub("[A-Z]", lambda letter: f"_{letter[0].lower()}", path)


@cache
def _list_remedies() -> dict[str, str]:
    """What a value must be, by the pattern that it must match. In Python, numbers need no quotes."""
    found: dict[str, str] = {}

    def collect(schema: Any) -> None:
        if isinstance(schema, dict):
            if "pattern" in schema and REMEDY in schema:
                found[schema["pattern"]] = schema[REMEDY].replace(" in quotes", "").replace('"', "")
            schema = list(schema.values())
        if isinstance(schema, list):
            for part in schema:
                collect(part)

    collect(TrainingSettings.model_json_schema())
    return found


TrainConfig.__doc__ = f"{TrainConfig.__doc__}\n    Arguments:\n\n{describe_arguments()}\n"
