"""A class per service of spec.tracking. All attempts of a run write to one record, identified by the run's uid."""

import atexit
import importlib
import os
import shutil
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Protocol

from deepsynth_api.errors import ConfigurationError
from deepsynth_api.reasons import Reason
from deepsynth_api.v1alpha1.settings.result_settings import MlflowTracking, TensorBoardTracking, Tracking, WandbTracking
from deepsynth_api.workload import TrainWorkload
from deepsynth_store.core.uri import FolderLocation, ObjectLocation, parse_uri
from deepsynth_train.coordination.progress import WrittenSample

if TYPE_CHECKING:
    from deepsynth_store.objects.requests import ObjectCalls

RUN_TAG: Final = "deepsynth.io/run-uid"
EXPERIMENT_VARIABLE: Final = "MLFLOW_EXPERIMENT_NAME"
"""MLflow's own variable; set it in spec.template.env."""


class Tracker(Protocol):
    """Called from one thread. An exception ends the tracking by this service, not the training."""

    def start(self, first_step: int) -> None:
        """Open the run's record. first_step: values that earlier attempts wrote from this step on are replaced."""

    def write(self, step: int, values: Mapping[str, float]) -> None: ...

    def show(self, step: int, samples: Sequence[WrittenSample]) -> None:
        """Show what the model wrote as text that nothing in it can turn into markup."""

    def save(self) -> None:
        """A checkpoint is saved: nothing before it may be lost with this process."""

    def finish(self) -> None:
        """Close the record; no more values follow."""


class TensorBoardTracker:
    """Event files in a folder NAME-UID below spec.tracking[].tensorboard.uri.

    TensorBoard cannot write to object stores. Their files are written here, and each save copies those of this attempt
    there as a whole: names of event files are never used twice.
    """

    def __init__(self, settings: TensorBoardTracking, workload: TrainWorkload, field: str) -> None:
        self._module = _import("torch.utils.tensorboard", "tensorboard", field)
        location = parse_uri(settings.uri, f"{field}.tensorboard.uri")
        self._bucket: ObjectCalls | None = None
        if isinstance(location, FolderLocation):
            self._folder = location.path / _name(workload)
        elif isinstance(location, ObjectLocation):
            self._bucket = _open_bucket(location, f"{field}.tensorboard.uri")
            own = Path(tempfile.mkdtemp(prefix="deepsynth-events-"))
            atexit.register(shutil.rmtree, own, ignore_errors=True)
            self._folder = own / _name(workload)
        else:
            raise ConfigurationError(
                f"{field}.tensorboard.uri: must be s3://, gs://, az://, hf://buckets/, pvc:// or file://, got "
                f"{settings.uri}"
            )

    def start(self, first_step: int) -> None:
        self._writer: Any = self._module.SummaryWriter(str(self._folder), purge_step=first_step)

    def write(self, step: int, values: Mapping[str, float]) -> None:
        for name, value in values.items():
            self._writer.add_scalar(name, value, step)
        self._writer.flush()

    def show(self, step: int, samples: Sequence[WrittenSample]) -> None:
        """In Markdown, indented lines are shown as they are."""
        lines = [line for sample in samples for line in (*_describe(sample), "")]
        self._writer.add_text("samples", "\n".join(f"    {line}" for line in lines), step)
        self._writer.flush()

    def save(self) -> None:
        if self._bucket:
            for path in sorted(self._folder.iterdir()):
                self._bucket.write(f"{self._folder.name}/{path.name}", path)

    def finish(self) -> None:
        self._writer.close()
        self.save()


class WandbTracker:
    """Weights & Biases ignores steps that an earlier attempt wrote already; their values are the same."""

    def __init__(self, settings: WandbTracking, workload: TrainWorkload, field: str) -> None:
        self._module = _import("wandb", "wandb", field)
        self._project = settings.project
        self._workload = workload

    def start(self, first_step: int) -> None:
        del first_step
        self._run: Any = self._module.init(
            project=self._project,
            id=self._workload.uid,
            name=self._workload.name,
            resume="allow",
            dir=tempfile.gettempdir(),
        )

    def write(self, step: int, values: Mapping[str, float]) -> None:
        self._run.log(dict(values), step=step)

    def show(self, step: int, samples: Sequence[WrittenSample]) -> None:
        rows = [[sample.name, sample.reference, sample.written] for sample in samples]
        self._run.log({"samples": self._module.Table(columns=["sample", "reference", "written"], data=rows)}, step=step)

    def save(self) -> None:
        """The service has it all."""

    def finish(self) -> None:
        self._run.finish()


class MlflowTracker:
    """The server chooses run ids, so a tag holds the uid. A repeated step is stored twice, with the same values.

    The experiment is MLFLOW_EXPERIMENT_NAME, else `deepsynth`.
    """

    def __init__(self, settings: MlflowTracking, workload: TrainWorkload, field: str) -> None:
        self._module = _import("mlflow", "mlflow", field)
        self._uri = settings.uri
        self._workload = workload

    def start(self, first_step: int) -> None:
        del first_step
        self._client: Any = self._module.MlflowClient(tracking_uri=self._uri)
        experiment = self._find_experiment()
        wanted = f"tags.`{RUN_TAG}` = '{self._workload.uid}'"
        found = self._client.search_runs([experiment], filter_string=wanted, max_results=1)
        tags = {RUN_TAG: self._workload.uid}
        run = found[0] if found else self._client.create_run(experiment, tags=tags, run_name=self._workload.name)
        self._run_id = run.info.run_id
        self._client.update_run(self._run_id, status="RUNNING")

    def _find_experiment(self) -> str:
        name = os.environ.get(EXPERIMENT_VARIABLE, "deepsynth")
        experiment = self._client.get_experiment_by_name(name)
        return str(experiment.experiment_id if experiment else self._client.create_experiment(name))

    def write(self, step: int, values: Mapping[str, float]) -> None:
        now = int(time.time() * 1000)
        metric = self._module.entities.Metric
        self._client.log_batch(self._run_id, metrics=[metric(name, value, now, step) for name, value in values.items()])

    def show(self, step: int, samples: Sequence[WrittenSample]) -> None:
        text = "\n\n".join("\n".join(_describe(sample)) for sample in samples)
        self._client.log_text(self._run_id, text, f"samples/step-{step}.txt")

    def save(self) -> None:
        """The service has it all."""

    def finish(self) -> None:
        self._client.set_terminated(self._run_id, status="FINISHED")


def build_tracker(settings: Tracking, workload: TrainWorkload, field: str) -> Tracker:
    """The tracker that `settings` names. Raises ConfigurationError if its package is not in the image."""
    if settings.tensorboard:
        return TensorBoardTracker(settings.tensorboard, workload, field)
    if settings.wandb:
        return WandbTracker(settings.wandb, workload, field)
    if settings.mlflow:
        return MlflowTracker(settings.mlflow, workload, field)
    raise ConfigurationError(f"{field}: must have one of tensorboard, wandb and mlflow")


def _open_bucket(location: ObjectLocation, field: str) -> "ObjectCalls":
    from deepsynth_store.objects.requests import ObjectCalls  # the library takes a tenth of a second

    return ObjectCalls(location, field=field, on_wait=None)


def _import(module: str, package: str, field: str) -> Any:
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise ConfigurationError(
            f"{field}.{package}: the package {package} is not in the image ({error}); install it there (FROM the "
            f"image, USER root, RUN python -m pip install {package}, USER 65532) and set spec.image",
            reason=Reason.TRACKER_NOT_INSTALLED,
        ) from error


def _describe(sample: WrittenSample) -> list[str]:
    """Lines: the sample, its reference and what the model wrote."""
    texts = (f"{title}: {text}" for title, text in (("reference", sample.reference), ("written", sample.written)))
    return [sample.name, *(line for text in texts for line in text.splitlines())]


def _name(workload: TrainWorkload) -> str:
    return f"{workload.name}-{workload.uid}"
