"""TrainConfig: the settings of a training in Python."""

import re
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Annotated, Any, Final, Self

from pydantic import Field, ModelWrapValidatorHandler, ValidationError, model_validator

from deepsynth_api.errors import ConfigurationError
from deepsynth_api.v1alpha1 import TrainingSettings
from deepsynth_api.v1alpha1.shared.patterns import REMEDY
from deepsynth_api.workload import FeatureCache, TrainWorkload, WorkloadDataset
from deepsynth_train.notebook.arguments import convert_arguments
from deepsynth_train.notebook.errors import rename_fields
from deepsynth_train.notebook.suggestions import find_nested, list_fields

SEPARATOR: Final = "; "
MAX_SHOWN_CHARACTERS: Final = 100
_KINDS: Final = {
    "bool_parsing": "must be True or False",
    "bool_type": "must be True or False",
    "int_from_float": "must be a whole number",
    "int_parsing": "must be a whole number",
    "int_type": "must be a whole number",
    "list_type": "must be a list",
    "string_type": "must be text",
}
"""By pydantic's type of the error."""
_OTHER_ITEMS: Final = {"all-linear": "language.*"}
"""What peft calls a set of layers, and the pattern for it in model.lora.target_modules."""


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
            config = validate(convert_arguments(cls, given) if isinstance(given, Mapping) else given)
        except ValidationError as error:
            raise ConfigurationError(SEPARATOR.join(_describe(dict(item)) for item in error.errors())) from None
        if faults := list(find_conflicts(config)):
            raise ConfigurationError(SEPARATOR.join(faults))
        return config


def find_conflicts(config: TrainingSettings) -> Iterator[str]:
    """Settings that do not go together, which the API server refuses in a resource."""
    optimizer, evaluation, early = config.optimizer, config.evaluation, config.evaluation.early_stopping
    if config.epochs is not None and config.max_steps is not None:
        yield "epochs: set epochs or max_steps, not both"
    if isinstance(config.micro_batch_size, int) and config.micro_batch_size > config.global_batch_size:
        yield f"global_batch_size: must be at least micro_batch_size, got {config.global_batch_size}"
    if config.publish and config.publish.format == "adapter" and config.model.lora is None:
        yield 'publish.format: "adapter" needs model.lora; set model.lora, or set format to "merged"'
    if optimizer.warmup_steps is not None and optimizer.warmup_ratio is not None:
        yield "optimizer.warmup_ratio: set warmup_steps or warmup_ratio, not both"
    if not 0 < float(optimizer.learning_rate) <= 1:
        yield f"optimizer.learning_rate: must be above 0 and at most 1, got {optimizer.learning_rate}"
    if float(optimizer.weight_decay) > 1:
        yield f"optimizer.weight_decay: must be at most 1, got {optimizer.weight_decay}"
    if any(float(beta) >= 1 for beta in optimizer.betas):
        yield f"optimizer.betas: must be below 1, got {', '.join(optimizer.betas)}"
    if config.sharding == "full" and optimizer.type != "adamw":
        yield 'optimizer.type: must be "adamw" with sharding="full", which splits the moments over the GPUs'
    ranking = {"best_metric": evaluation.best_metric, "early_stopping.metric": early.metric if early else None}
    for name, metric in ranking.items():
        if metric not in {None, "loss", *evaluation.metrics}:
            yield f"evaluation.{name}: {metric} must also be in evaluation.metrics"
    if early and not config.checkpoint.keep_best:
        yield "checkpoint.keep_best: must be True with evaluation.early_stopping"


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
        field = dict(list_fields(TrainConfig)).get(_rename(path))
        purpose = (field.description or "").partition(". ")[0].rstrip(".") if field is not None else ""
        return f"{_rename(path)}: is missing" + (f" ({rename_fields(purpose)})" if purpose else "")
    if error["type"] in {"model_type", "model_attributes_type"}:
        return f"{_rename(path)}: {_describe_settings(_rename(path), _quote(error['input']))}"
    if error["type"] == "list_type" and isinstance(error["input"], str):
        item = _OTHER_ITEMS.get(error["input"], error["input"])
        return f"{_rename(path)}: must be a list, got {_quote(error['input'])}; write [{_quote(item)}]"
    pattern = error.get("ctx", {}).get("pattern")
    what = (
        _list_remedies().get(pattern)
        or _KINDS.get(error["type"])
        or str(error["msg"]).removeprefix("Input ").removeprefix("String ")
    )
    return f"{_rename(path)}: {what}, got {_quote(error['input'])}"


def _quote(given: Any) -> str:
    text = repr(given) if isinstance(given, str | int | float | None) else type(given).__name__
    return text[:MAX_SHOWN_CHARACTERS]


def _describe_settings(name: str, given: str) -> str:
    """Such as `must be a dict of settings (metric, patience, min_delta), such as {"patience": ...}, got 3`."""
    fields = dict(list_fields(TrainConfig))
    kind = find_nested(fields[name].annotation) if name in fields else None
    if kind is None:
        return f"must be a dict of settings, got {given}"
    required = [key for key, field in kind.model_fields.items() if field.is_required()] or list(kind.model_fields)[:1]
    example = ", ".join(f'"{key}": ...' for key in required)
    return f"must be a dict of settings ({', '.join(kind.model_fields)}), such as {{{example}}}, got {given}"


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
