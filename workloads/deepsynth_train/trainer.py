"""Trainer and create_trainer: what a notebook or script calls."""

import atexit
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Self

from deepsynth_api.v1alpha1.training_run_status import ModelOutput
from deepsynth_api.workload import TrainWorkload, WorkloadDataset, compute_fingerprint
from deepsynth_train.coordination.progress import NoProgress, Progress, StartReport
from deepsynth_train.data.in_memory import compute_name, write_pages
from deepsynth_train.data.materialise import find_cache
from deepsynth_train.notebook.arguments import expand_path
from deepsynth_train.notebook.callbacks import AnyCallback, CallbackReports, ReportTo
from deepsynth_train.notebook.config import TrainConfig
from deepsynth_train.notebook.datasets import read_data
from deepsynth_train.notebook.display import Display, DisplayName, build_display
from deepsynth_train.notebook.errors import DATASET, name_arguments
from deepsynth_train.notebook.interrupt import StopSwitch

if TYPE_CHECKING:
    from deepsynth_train.coordination.world import World

VALIDATION: Final = "validation"


@dataclass(frozen=True)
class TrainOutput:
    """What `train` returns. step: steps done. stopped: Ctrl-C or `stop` ended it early; `train` again continues.

    folder: holds the checkpoints and the final model. output: where that model is, None if stopped. history: a dict
    for each step and evaluation, earlier calls included; pandas.DataFrame(history) draws it.
    """

    step: int
    saved_step: int | None
    stopped: bool
    output: ModelOutput | None
    folder: Path
    history: list[dict[str, Any]] = field(repr=False)

    @property
    def model(self) -> Path | None:
        """Folder of the final model, for `from_pretrained`."""
        return self.folder / "model" if self.output else None

    @property
    def metrics(self) -> dict[str, float]:
        """The last value of each metric: loss, validation_loss and so on."""
        return {name: value for line in self.history for name, value in line.items() if name != "step"}


class Trainer:
    """Trains in this process, or in each process of a torchrun.

        result = Trainer(TrainConfig(model="me/ocr", task="ocr", checkpoint="runs/first"), "pages").train()

    data: a folder of parquet files, or of images with a metadata.csv (file_name,text); "hf://OWNER/NAME"; a
    datasets.Dataset or DatasetDict; a list of (image, text) pairs; a dict of these per split. Columns: image, and text
    for the task ocr or summary for summarize; rows with the same document_id are pages of one document.
    callbacks: Callback objects, or functions that are called with the StepReport of each step.
    progress: what is shown ("auto": a bar in terminals and notebooks, else lines; "none"), or a Progress object.
    validation_split: default: `validation`, if the data has it.

    Methods raise the errors of deepsynth_api.errors, which name the argument and the remedy.
    """

    def __init__(
        self,
        config: TrainConfig,
        data: Any,
        *,
        callbacks: Sequence[AnyCallback] = (),
        progress: DisplayName | Progress = "auto",
        train_split: str = "train",
        validation_split: str | None = None,
    ) -> None:
        self.config = config
        self._callbacks = callbacks
        self._progress = progress
        self._splits = (train_split, validation_split)
        self._stop: StopSwitch | None = None
        with name_arguments():
            self._data = read_data(data, config.task, list(filter(None, (train_split, validation_split or VALIDATION))))

    @property
    def folder(self) -> Path:
        """Where checkpoints and the final model are written."""
        from deepsynth_train.checkpoint.layout import resolve_folder

        return resolve_folder(self.config.checkpoint.uri)

    def train(self) -> TrainOutput:
        """Train to the end. Continues from the newest checkpoint in `folder`, if it has the same settings and data.

        Ctrl-C saves a checkpoint and returns, with `stopped` set; a second one ends at once.
        """
        display = self._build_display()
        display.say("loading PyTorch ...")
        reports = CallbackReports(self._callbacks if _is_first() else ())
        receivers = [self._progress] if not isinstance(self._progress, str) else []
        try:
            with name_arguments(), StopSwitch(display.say) as self._stop:
                output = self._run(display, ReportTo(display, reports, *receivers), self._stop)
            reports.close()
            _say_end(display, output)
        finally:
            display.close()
        return output

    def stop(self) -> None:
        """Let `train` save a checkpoint after the present step and return; for callbacks and other threads."""
        if self._stop:
            self._stop.request()

    def compute_fingerprint(self) -> str:
        """Equal for equal settings and data, in any folder."""
        return compute_fingerprint(self.config, [self._find_dataset()])

    def _run(self, display: Display, progress: Progress, should_stop: StopSwitch) -> TrainOutput:
        from deepsynth_train.attempt import run_attempt
        from deepsynth_train.coordination.world import join_world, leave_world

        world = join_world()
        display.say(_describe_device(world))
        if world.size > 1:
            atexit.register(leave_world)
        workload = world.share(self._build_workload())
        self._write_pages(workload.datasets[0], world, progress)
        with _LibraryBars(shown=self._progress != "none" and world.is_first) as bars:
            result = run_attempt(workload, world, ReportTo(bars, progress), should_stop)
        return TrainOutput(
            step=result.step,
            saved_step=result.saved_step,
            stopped=result.stopped,
            output=result.output,
            folder=self.folder,
            history=result.history,
        )

    def _find_dataset(self) -> WorkloadDataset:
        """Where training reads the data. In-memory data gets a folder in the cache, named after its content."""
        if isinstance(self._data, str):
            train, validation = self._splits
            return WorkloadDataset(name=DATASET, uri=self._data, train_split=train, validation_split=validation)
        return WorkloadDataset(name=DATASET, uri=expand_path(find_cache() / f"memory-{compute_name(self._data)}"))

    def _write_pages(self, dataset: WorkloadDataset, world: "World", progress: Progress) -> None:
        if isinstance(self._data, Mapping) and world.is_first_on_node:
            folder = Path(dataset.uri.removeprefix("file://"))
            train, validation = self._splits
            for name, split in {"train": train, VALIDATION: validation or VALIDATION}.items():
                if split in self._data:
                    write_pages(self._data[split], folder / f"{name}.parquet")
        world.wait_for_all(progress.beat)

    def _build_workload(self) -> TrainWorkload:
        dataset = self._find_dataset()
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

    def _build_display(self) -> Display:
        name: DisplayName = self._progress if isinstance(self._progress, str) else "none"
        return build_display(name, is_first=_is_first())


def create_trainer(
    model: str | Path,
    data: Any,
    *,
    checkpoint: str | Path | Mapping[str, Any] | None = None,
    lora: bool = False,
    callbacks: Sequence[AnyCallback] = (),
    progress: DisplayName | Progress = "auto",
    **settings: Any,
) -> Trainer:
    """A Trainer for a first try: 3 epochs in batches of 8 samples, unless `settings` (of TrainConfig) say otherwise.

        create_trainer("deepseek-community/DeepSeek-OCR-2", "pages", task="ocr", lora=True).train()

    model: a folder, a name on the Hub, or config://vit-gpt2-tiny to try things without a GPU. checkpoint: default: a
    folder in runs/, named after the model, the settings and the data, so that the same call continues and another one
    starts from scratch. lora: train low-rank adapters instead of all weights, for models of billions of weights.
    """
    if not {"epochs", "max_steps", "maxSteps"} & settings.keys():
        settings["epochs"] = 3
    if not {"global_batch_size", "globalBatchSize"} & settings.keys():
        settings["global_batch_size"] = 8
    start: dict[str, Any] = {"uri": model, **({"lora": {}} if lora else {})}
    config = TrainConfig.model_validate({"model": start, "checkpoint": checkpoint or "runs", **settings})
    trainer = Trainer(config, data, callbacks=callbacks, progress=progress)
    if checkpoint is None:
        name = f"{Path(config.model.uri).name}-{trainer.compute_fingerprint()[:8]}"
        trainer.config = config.updated(checkpoint=config.checkpoint.updated(uri=expand_path(Path("runs", name))))
    return trainer


def _is_first() -> bool:
    return int(os.environ.get("RANK", "0")) == 0


class _LibraryBars(NoProgress):
    """transformers' own bars: useful while a model is downloaded and loaded, in the way once training has started."""

    def __init__(self, *, shown: bool) -> None:
        from transformers.utils import logging

        self._logging: Any = logging
        self._shown = shown
        self._earlier = self._logging.is_progress_bar_enabled()

    def __enter__(self) -> Self:
        if not self._shown:
            self._logging.disable_progress_bar()
        return self

    def start(self, report: StartReport) -> None:  # noqa: ARG002 - the protocol's
        self._logging.disable_progress_bar()

    def __exit__(self, *_: object) -> None:
        if self._earlier:
            self._logging.enable_progress_bar()


def _describe_device(world: "World") -> str:
    import torch

    if world.device.type != "cuda":
        return "training on the CPU: no GPU was found"
    unused = torch.cuda.device_count() - world.local_size
    remedy = f"; for the other {unused}, start a script with torchrun --nproc-per-node {torch.cuda.device_count()}"
    name = torch.cuda.get_device_name(world.device)
    return f"training on {world.size} x {name}{remedy if unused > 0 else ''}"


def _say_end(display: Display, output: TrainOutput) -> None:
    if output.stopped:
        display.say(f"stopped after step {output.step}, saved in {output.folder}; call train() again to continue")
    else:
        display.say(f"done: the model is in {output.model}")
