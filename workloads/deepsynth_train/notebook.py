"""The entry for people in a notebook: the same loop on a dataset at hand, without a cluster."""

from pathlib import Path
from typing import Any

from deepsynth_api.v1alpha1 import TrainingSettings
from deepsynth_api.workload import TrainWorkload, WorkloadDataset, compute_fingerprint
from deepsynth_train.attempt import TrainResult, find_cache, train_workload
from deepsynth_train.data.in_memory import read_fingerprint, write_dataset
from deepsynth_train.progress import NoProgress, Progress
from deepsynth_train.world import World, join_world


class TrainConfig(TrainingSettings):
    """A TrainingRun's spec without what only a cluster knows; same names and defaults, snake_case or camelCase."""


class Trainer:
    """Trains in this process, or in each process of a torchrun.

    The final model is in `model` of the checkpoint folder. progress: is told of each step.
    """

    def __init__(self, config: TrainConfig, progress: Progress | None = None) -> None:
        self.config = config
        self.progress = progress or NoProgress()

    def train(self, dataset: Any) -> TrainResult:
        """Train to the end, resuming from config.checkpoint.uri where it holds this very training.

        dataset: a folder that DeepSynth rendered, a datasets.Dataset of pages, or a DatasetDict, whose validation
        split, if any, is measured on. Columns: image, text, summary and the rest as in a rendered dataset; without
        document_id each row is a document. Raises the errors of deepsynth_api.errors.
        """
        world = join_world()
        folder = self._prepare_folder(dataset, world)
        source = WorkloadDataset(name="dataset", uri=f"file://{folder}")
        return train_workload(self._build_workload(source), world, self.progress, lambda: False)

    def _prepare_folder(self, dataset: Any, world: World) -> Path:
        """The folder itself, or one in the cache with what `dataset` holds."""
        if isinstance(dataset, str | Path):
            return Path(dataset).resolve()
        splits = dict(dataset) if isinstance(dataset, dict) else {"train": dataset}
        names = {name: part for name, part in splits.items() if name in {"train", "validation"}}
        folder = find_cache() / f"memory-{read_fingerprint(names)}"
        if world.is_first_on_node:
            for name, part in names.items():
                write_dataset(part, folder / f"{name}.parquet")
        world.wait_for_all(self.progress.beat)
        return folder

    def _build_workload(self, dataset: WorkloadDataset) -> TrainWorkload:
        fingerprint = compute_fingerprint(self.config, [dataset])
        return TrainWorkload(
            **dict(self.config),
            name="notebook",
            namespace="default",
            uid=f"notebook-{fingerprint[:16]}",
            datasets=[dataset],
            num_nodes=1,
            num_proc_per_node=1,
            attempt=1,
            fingerprint=fingerprint,
            output_uri=f"{self.config.checkpoint.uri.rstrip('/')}/model",
        )
