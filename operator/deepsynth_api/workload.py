"""What the operator and the containers agree on: the documents, their paths and the names of environment variables.

One document per Job in an immutable ConfigMap; the container parses the very type that wrote it. Unknown fields are
refused: operator and image of different versions must not misread each other.
"""

import hashlib
import json
from typing import Annotated, Any, Final, Literal, Self

from pydantic import Field, ValidationError

from deepsynth_api.errors import ConfigurationError
from deepsynth_api.v1alpha1.base import ApiModel
from deepsynth_api.v1alpha1.rendering_settings import RenderingSettings, Source
from deepsynth_api.v1alpha1.training_settings import DatasetSplits, TrainingSettings

DOCUMENT_PATH: Final = "/etc/deepsynth/workload.json"
TERMINATION_LOG_PATH: Final = "/dev/termination-log"
VOLUMES_PATH: Final = "/mnt/volumes"
CACHE_PATH: Final = "/var/cache/deepsynth"
REPORT_PORT: Final = 8470
RENDEZVOUS_PORT: Final = 29400

TERMINATION_LOG_VARIABLE: Final = "DEEPSYNTH_TERMINATION_LOG"
REPORT_ADDRESS_VARIABLE: Final = "DEEPSYNTH_REPORT_ADDRESS"
VOLUMES_VARIABLE: Final = "DEEPSYNTH_VOLUMES"
CACHE_VARIABLE: Final = "DEEPSYNTH_CACHE"
MASTER_ADDRESS_VARIABLE: Final = "DEEPSYNTH_MASTER_ADDRESS"
NODE_NAME_VARIABLE: Final = "DEEPSYNTH_NODE_NAME"
GRACE_PERIOD_VARIABLE: Final = "DEEPSYNTH_GRACE_PERIOD_SECONDS"
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
    """Whether spec.template.env may not set this name: the launcher sets it."""
    return name in RESERVED_VARIABLES or name.startswith(RESERVED_PREFIXES)


class Workload(ApiModel):
    """Base of the documents."""

    version: Literal["v1alpha1"] = "v1alpha1"
    name: Annotated[str, Field(description="Name of the resource.")]
    namespace: Annotated[str, Field(description="Namespace of the resource.")]
    uid: Annotated[str, Field(description="UID of the resource.")]

    @classmethod
    def parse(cls, text: str | bytes) -> Self:
        """Parse the document of a container.

        Raises ConfigurationError when it does not fit the type: the image and the operator differ in version.
        """
        try:
            workload = cls.model_validate_json(text)
        except ValidationError as error:
            first = error.errors()[0]
            field = ".".join(str(part) for part in first["loc"]) or "document"
            raise ConfigurationError(f"{field}: {first['msg']}; {_REMEDY}") from error
        unknown = _find_unknown(json.loads(text), workload.model_dump(mode="json", by_alias=True))
        if unknown:
            raise ConfigurationError(f"{unknown}: unknown field; {_REMEDY}")
        return workload

    def to_json(self) -> str:
        """The document as the ConfigMap holds it: stable, so that equal documents are equal bytes."""
        return self.model_dump_json(by_alias=True, exclude_none=True, indent=2)


_REMEDY: Final = "use an image of the operator's own version"


def _find_unknown(given: Any, known: Any, path: str = "") -> str | None:
    """Path of the first field of `given` that the type did not take up, None where all are known."""
    if isinstance(given, list) and isinstance(known, list):
        found = (_find_unknown(*pair, f"{path}[{index}]") for index, pair in enumerate(zip(given, known, strict=True)))
        return next(filter(None, found), None)
    if not (isinstance(given, dict) and isinstance(known, dict)):
        return None
    for name, value in given.items():
        field = f"{path}.{name}".removeprefix(".")
        unknown = _find_unknown(value, known[name], field) if name in known else field
        if unknown:
            return unknown
    return None


class PlanReference(ApiModel):
    """The plan that render and publish follow."""

    digest: str
    revision: str
    shards: int


class RenderWorkload(Workload, RenderingSettings):
    """For the steps plan, render and publish. `plan` is empty for the plan step itself."""

    kind: Literal["Render"] = "Render"
    source: Source
    source_name: Annotated[str, Field(description="Written to the column source_dataset.")]
    plan: PlanReference | None = None


class WorkloadDataset(DatasetSplits):
    """A dataset with everything resolved."""

    uri: str
    revision: str | None = None


class TrainWorkload(Workload, TrainingSettings):
    """For one attempt of a training run."""

    kind: Literal["Train"] = "Train"
    datasets: list[WorkloadDataset]
    num_nodes: int
    num_proc_per_node: int
    attempt: Annotated[int, Field(ge=1, description="Number of the attempt; owns the checkpoint folder.")]
    fingerprint: Annotated[
        str,
        Field(description="sha256 of what training depends on: equal fingerprints may share checkpoints."),
    ]
    output_uri: Annotated[str, Field(description="Folder of the final model.")]
    cache_bytes: Annotated[int | None, Field(description="Room for the dataset, bytes.")] = None


def compute_fingerprint(settings: TrainingSettings, datasets: list[WorkloadDataset]) -> str:
    """sha256 over what the trained weights depend on; where and how often is saved is not part of it."""
    document: dict[str, Any] = settings.to_dict()
    for field in ("checkpoint", "publish", "tracking", "hangTimeoutSeconds"):
        document.pop(field, None)
    document["model"].pop("secretRef", None)
    document["datasets"] = [dataset.to_dict() for dataset in datasets]
    text = json.dumps(document, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()
