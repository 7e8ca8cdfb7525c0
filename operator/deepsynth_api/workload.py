"""What the operator passes to the containers: workload documents, their paths, and environment variables.

Each Job has one document, in an immutable ConfigMap. The operator writes it and the container parses it with the same
type. Unknown fields are an error, so that an operator and an image of different versions fail at once.
"""

import hashlib
import json
from typing import Annotated, Any, Final, Literal, Self

from pydantic import Field, ValidationError

from deepsynth_api.errors import ConfigurationError
from deepsynth_api.v1alpha1.settings.rendering_settings import RenderingSettings, Source
from deepsynth_api.v1alpha1.settings.result_settings import EvaluationSettings
from deepsynth_api.v1alpha1.settings.training_settings import DatasetSplits, OptimizerSettings, TrainingSettings
from deepsynth_api.v1alpha1.shared.base import ApiModel

DOCUMENT_PATH: Final = "/etc/deepsynth/workload.json"
TERMINATION_LOG_PATH: Final = "/dev/termination-log"
VOLUMES_PATH: Final = "/mnt/volumes"
CACHE_PATH: Final = "/var/cache/deepsynth"
FEATURES_FOLDER: Final = "v1"
"""All that is kept of features of pages, in the folder that spec.cache.features names. It changes with the format."""
INPUTS_FOLDER: Final = "inputs-v1"
"""The same for datasets and models, in the folder that spec.cache.uri names."""
REPORT_PORT: Final = 8470
RENDEZVOUS_PORT: Final = 29400

TERMINATION_LOG_VARIABLE: Final = "DEEPSYNTH_TERMINATION_LOG"
REPORT_ADDRESS_VARIABLE: Final = "DEEPSYNTH_REPORT_ADDRESS"
VOLUMES_VARIABLE: Final = "DEEPSYNTH_VOLUMES"
CACHE_VARIABLE: Final = "DEEPSYNTH_CACHE"
MASTER_ADDRESS_VARIABLE: Final = "DEEPSYNTH_MASTER_ADDRESS"
NODE_NAME_VARIABLE: Final = "DEEPSYNTH_NODE_NAME"
JOB_UID_VARIABLE: Final = "DEEPSYNTH_JOB_UID"
GRACE_PERIOD_VARIABLE: Final = "DEEPSYNTH_GRACE_PERIOD_SECONDS"
MAX_RESTARTS_VARIABLE: Final = "DEEPSYNTH_MAX_RESTARTS"
"""How often the launchers may start failed workers again in the same pods. A variable and no field of the document, so
that an image of before this existed ignores it, and without it, as from an older operator, there is no such restart."""
RENDER_AHEAD_VARIABLE: Final = "DEEPSYNTH_RENDER_AHEAD"
"""Set to 1: the plan step stages finished shards while it reads on; 0: all at its end. A variable for the same reason:
without it, the staging folder is named by the digest of the plan, where an older operator looks for it."""
COMPLETION_INDEX_VARIABLE: Final = "JOB_COMPLETION_INDEX"

RESERVED_PREFIXES: Final = ("DEEPSYNTH_", "PET_", "TORCHELASTIC_")
RESERVED_VARIABLES: Final = frozenset(
    {
        "JOB_COMPLETION_INDEX",
        "MASTER_ADDR",
        "MASTER_PORT",
        "RANK",
        "LOCAL_RANK",
        "WORLD_SIZE",
        "LOCAL_WORLD_SIZE",
    }
)


def is_reserved_variable(name: str) -> bool:
    """Whether the launcher sets this variable, so that spec.template.env must not."""
    return name in RESERVED_VARIABLES or name.startswith(RESERVED_PREFIXES)


class Workload(ApiModel):
    """Base of the workload documents."""

    version: Literal["v1alpha1"] = "v1alpha1"
    name: Annotated[str, Field(description="Name of the resource.")]
    namespace: Annotated[str, Field(description="Namespace of the resource.")]
    uid: Annotated[str, Field(description="UID of the resource.")]

    @classmethod
    def parse(cls, text: str | bytes) -> Self:
        """Parse a container's document.

        Raises ConfigurationError if it does not match the type: image and operator are of different versions.
        """
        try:
            workload = cls.model_validate_json(text)
        except ValidationError as error:
            first = error.errors()[0]
            field = ".".join(str(part) for part in first["loc"]) or "document"
            raise ConfigurationError(f"{field}: {first['msg']}; {_REMEDY}") from error
        unknown = find_unknown(json.loads(text), workload.model_dump(mode="json", by_alias=True))
        if unknown:
            raise ConfigurationError(f"{unknown}: unknown field; {_REMEDY}")
        return workload

    def to_json(self) -> str:
        """The document for the ConfigMap. Equal documents give equal bytes."""
        return self.model_dump_json(by_alias=True, exclude_none=True, indent=2)


_REMEDY: Final = "use an image of the operator's own version"


def find_unknown(given: Any, known: Any, path: str = "") -> str | None:
    """Path of the first field in `given` that the type does not know; None if it knows all."""
    if isinstance(given, list) and isinstance(known, list):
        found = (find_unknown(*pair, f"{path}[{index}]") for index, pair in enumerate(zip(given, known, strict=True)))
        return next(filter(None, found), None)
    if not (isinstance(given, dict) and isinstance(known, dict)):
        return None
    for name, value in given.items():
        field = f"{path}.{name}".removeprefix(".")
        unknown = find_unknown(value, known[name], field) if name in known else field
        if unknown:
            return unknown
    return None


class PlanReference(ApiModel):
    """The plan that the steps render and publish work from."""

    digest: Annotated[str, Field(description="sha256 of the plan. Empty while the plan step still reads.")]
    revision: str
    shards: Annotated[int, Field(description="Number of shards, so far while the plan step still reads.")]
    staging: Annotated[
        str | None, Field(description="sha256 that names the staging folder. Unset if it is that of the plan.")
    ] = None
    first_shard: Annotated[
        int | None, Field(description="Shard of the pod with completion index 0. Unset if it is 0.")
    ] = None


class RenderWorkload(Workload, RenderingSettings):
    """Document of the steps plan, render and publish. The plan step itself has no `plan`."""

    kind: Literal["Render"] = "Render"
    source: Source
    source_name: Annotated[str, Field(description="Written to the column source_dataset.")]
    plan: PlanReference | None = None


class WorkloadDataset(DatasetSplits):
    """A dataset whose URI and revision are resolved."""

    uri: str
    revision: str | None = None
    origin: Annotated[
        str | None, Field(description="What the user calls the data, if `uri` is a copy of it; for the model card.")
    ] = None


class FeatureCache(ApiModel):
    """Where and how much of what a frozen vision part makes of pages is kept."""

    uri: Annotated[
        str | None, Field(description="Folder of the features, which runs can share. Default: in the dataset cache.")
    ] = None
    size_bytes: Annotated[int, Field(ge=1, description="Upper limit for the size of the folder.")] = 20 * 2**30


class InputCache(ApiModel):
    """Where datasets and models are kept for other attempts, runs and nodes."""

    uri: Annotated[str, Field(description="Folder of the files, which runs share.")]
    size_bytes: Annotated[int, Field(ge=1, description="Upper limit for the size of the folder.")]


class TrainWorkload(Workload, TrainingSettings):
    """Document of one attempt of a TrainingRun."""

    kind: Literal["Train"] = "Train"
    datasets: list[WorkloadDataset]
    num_nodes: int
    num_proc_per_node: int
    min_nodes: Annotated[
        int | None, Field(description="Later attempts may have only as many nodes; null: always numNodes.")
    ] = None
    attempt: Annotated[int, Field(ge=1, description="Number of the attempt, which owns the checkpoint folder.")]
    restart: Annotated[
        int | None,
        Field(ge=1, description="How often the workers were started again in the same pods. The launcher sets it."),
    ] = None
    fingerprint: Annotated[
        str,
        Field(description="sha256 of all that training depends on. Runs with the same one can share checkpoints."),
    ]
    output_uri: Annotated[str, Field(description="Folder of the final model.")]
    needs_checkpoint: Annotated[
        bool | None,
        Field(
            description="The run was finished and continues: without a checkpoint, training must not start again at 0."
        ),
    ] = None
    cache_bytes: Annotated[int | None, Field(description="Size of the dataset cache, in bytes.")] = None
    input_cache: Annotated[InputCache | None, Field(description="Keep datasets and models; null for not at all.")] = (
        None
    )
    stream: Annotated[bool | None, Field(description="Train before the datasets are on the node; null for not.")] = None
    feature_cache: Annotated[
        FeatureCache | None, Field(description="Keep the features of pages; null for not at all.")
    ] = None

    @property
    def number(self) -> int:
        """Number of the attempt that the workers belong to: `attempt` is that of the first one in these pods."""
        return self.attempt + (self.restart or 0)


HOLDOUT_PERCENT: Final = EvaluationSettings.defaults().holdout_percent
OPTIMIZER_TYPE: Final = OptimizerSettings.defaults().type


def compute_fingerprint(settings: TrainingSettings, datasets: list[WorkloadDataset]) -> str:
    """sha256 of all settings that the trained weights depend on, so not of where and how often a run saves."""
    document: dict[str, Any] = settings.to_dict()
    for field in ("checkpoint", "publish", "tracking", "hangTimeoutSeconds"):
        document.pop(field, None)
    document["model"].pop("secretRef", None)
    for field in ("generationBatchSize", "samples", "bestMetric", "earlyStopping"):
        document["evaluation"].pop(field, None)
    if document["evaluation"]["holdoutPercent"] == HOLDOUT_PERCENT:
        del document["evaluation"]["holdoutPercent"]  # so that runs of before it existed keep their fingerprint
    if document["optimizer"]["type"] == OPTIMIZER_TYPE:
        del document["optimizer"]["type"]
    document["datasets"] = [dataset.updated(origin=None).to_dict() for dataset in datasets]
    text = json.dumps(document, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()
