"""Entry of a notebook: Trainer runs one attempt in this process, on a dataset in memory or in a folder."""

from pathlib import Path
from typing import Any

from deepsynth_api.v1alpha1 import TrainingSettings
from deepsynth_api.workload import TrainWorkload, WorkloadDataset, compute_fingerprint
from deepsynth_train.attempt import TrainResult, find_cache, run_attempt
from deepsynth_train.coordination.progress import NoProgress, Progress
from deepsynth_train.coordination.world import World, join_world
from deepsynth_train.data.in_memory import read_fingerprint, write_dataset


class TrainConfig(TrainingSettings):
    """The spec of a TrainingRun without the fields for a cluster. Same names and defaults, snake_case or camelCase."""


class Trainer:
    """Trains in this process, or in each process of a torchrun.

    The final model is written to `model` in the checkpoint folder. progress: called for each step.
    """

    def __init__(self, config: TrainConfig, progress: Progress | None = None) -> None:
        self.config = config
        self.progress = progress or NoProgress()

    def train(self, dataset: Any) -> TrainResult:
        """Train to the end. Resumes from config.checkpoint.uri if it holds checkpoints of the same config and dataset.

        dataset: a folder that DeepSynth rendered, a datasets.Dataset of pages, or a DatasetDict; its validation split,
        if any, is used for evaluation. Columns as in a rendered dataset: image, text, summary and others; without
        document_id each row is a document. Raises the errors of deepsynth_api.errors.
        """
        world = join_world()
        folder = self._prepare_folder(dataset, world)
        source = WorkloadDataset(name="dataset", uri=f"file://{folder}")
        return run_attempt(self._build_workload(source), world, self.progress, lambda: False)

    def _prepare_folder(self, dataset: Any, world: World) -> Path:
        """The folder itself, or a copy of an in-memory dataset in the cache."""
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
