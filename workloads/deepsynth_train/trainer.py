"""Trainer and create_trainer: what a notebook or script calls."""

import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from deepsynth_api.errors import ConfigurationError
from deepsynth_api.v1alpha1 import ModelSettings
from deepsynth_api.workload import TrainWorkload, compute_fingerprint
from deepsynth_train.coordination.progress import Progress
from deepsynth_train.notebook.arguments import (
    check_model_folder,
    expand_path,
)
from deepsynth_train.notebook.callbacks import AnyCallback, CallbackReports, ReportTo, check_callbacks
from deepsynth_train.notebook.config import TrainConfig, build_workload
from deepsynth_train.notebook.display import Display, DisplayName, build_display
from deepsynth_train.notebook.errors import name_arguments, write_model_settings
from deepsynth_train.notebook.first_pages import FIRST_MODEL, draw_first_pages
from deepsynth_train.notebook.interrupt import StopSwitch
from deepsynth_train.notebook.output import TrainOutput
from deepsynth_train.notebook.place import Place
from deepsynth_train.notebook.session import LibraryBars, describe_device, is_first, join
from deepsynth_train.notebook.source import VALIDATION, Source

if TYPE_CHECKING:
    from deepsynth_train.coordination.world import World


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
        check_callbacks(callbacks)
        check_model_folder(config.model.uri)
        self.config = config
        self._callbacks = callbacks
        self._progress = progress
        self._stop: StopSwitch | None = None
        with name_arguments():
            self._source = Source.for_training(data, config.task, train_split, validation_split)

    @property
    def folder(self) -> Path:
        """Where checkpoints and the final model are written. Raises ConfigurationError for an object store."""
        return self._place.require_folder()

    @property
    def uri(self) -> str:
        """The same as a URI: file:///FOLDER, or the prefix in an object store."""
        return self.config.checkpoint.uri

    @property
    def _place(self) -> Place:
        return Place(self.config.checkpoint.uri)

    def train(self) -> TrainOutput:
        """Train to the end. Continues from the newest checkpoint in `uri`, if it has the same settings and data.

        Ctrl-C saves a checkpoint and returns, with `stopped` set; a second one ends at once.
        """
        callbacks = CallbackReports(self._callbacks if is_first() else ())
        with self._show() as display, StopSwitch(display.say) as self._stop:
            self._place.prepare()
            from deepsynth_train.attempt.run import run_attempt

            world = self._join(display)
            workload = self._share(self._build_workload(self.config, self._source), self._source, world)
            with LibraryBars(shown=self._shows_bars(world)) as bars:
                result = run_attempt(workload, world, self._report_to(display, bars, callbacks), self._stop)
            callbacks.close()
            output = TrainOutput(
                result.step, result.saved_step, result.stopped, result.output, self.uri, result.history
            )
            display.say(_describe_end(output))
        return output

    def evaluate(self, data: Any = None, *, split: str = VALIDATION) -> dict[str, float]:
        """The metrics of config.evaluation on the validation split, or on all of other `data`.

        The model is the final one in `uri`, else that of the newest checkpoint, else the one to start from.
        split: of `data` that has several.
        """
        with self._show() as display:
            from deepsynth_train.attempt.evaluate import run_evaluation

            if data is None:
                source = self._source
            else:
                with name_arguments(split="split"):
                    source = Source.for_evaluation(data, self.config.task, split)
            world = self._join(display)
            config = self.config.updated(model=self._choose_model())
            workload = self._share(self._build_workload(config, source), source, world)
            display.say(f"evaluating {workload.model.uri.removeprefix('file://')}")
            with LibraryBars(shown=self._shows_bars(world)) as bars:
                findings = run_evaluation(workload, world, self._report_to(display, bars))
            display.show_findings("", findings.values, findings.samples)
        return findings.values

    def predict(self, pages: Any) -> list[str]:
        """What the model writes for each page: a file, a PIL image or encoded bytes, or a list of them for a document.

        The model is chosen as in `evaluate`. `load_model` has more options, and opens the folder later.
        """
        with self._show() as display:
            from deepsynth_train.models.interface.prompts import PROMPTS
            from deepsynth_train.reader import load_model

            model = self._choose_model()
            display.say(f"reading with {model.uri.removeprefix('file://')}")
            with LibraryBars(shown=self._progress != "none"):
                reader = load_model(model.uri, revision=model.revision)
            is_final = model.uri == expand_path(self._place.model)
            if not is_final and not reader.module.config.is_encoder_decoder:
                reader.prompt = self.config.prompt or PROMPTS[self.config.task]
            return reader.read(pages)

    def stop(self) -> None:
        """Let `train` save a checkpoint after the present step and return; for callbacks and other threads."""
        if self._stop:
            self._stop.request()

    def compute_fingerprint(self) -> str:
        """Equal for equal settings and data, in any folder."""
        return compute_fingerprint(self.config, [self._source.locate()])

    @contextmanager
    def _show(self) -> Iterator[Display]:
        """The display of one call. Errors name Python's arguments."""
        name: DisplayName = self._progress if isinstance(self._progress, str) else "none"
        display = build_display(name, is_first=is_first())
        if "deepsynth_train.attempt.run" not in sys.modules:
            display.say("loading PyTorch ...")
        try:
            with name_arguments():
                yield display
        finally:
            display.close()

    def _join(self, display: Display) -> "World":
        world = join()
        display.say(describe_device(world))
        return world

    def _report_to(self, *receivers: Progress) -> Progress:
        return ReportTo(*receivers, *([] if isinstance(self._progress, str) else [self._progress]))

    def _shows_bars(self, world: "World") -> bool:
        return self._progress != "none" and world.is_first

    def _share(self, workload: TrainWorkload, source: Source, world: "World") -> TrainWorkload:
        """The workload of rank 0, with its data in place on each node."""
        workload = world.share(workload)
        if world.is_first_on_node:
            source.write(workload.datasets[0])
        world.wait_for_all(lambda: None)
        return workload

    def _choose_model(self) -> ModelSettings:
        """The final model, or what was trained so far; both need neither adapters nor a revision."""
        found = self._place.find_model()
        return ModelSettings(uri=found) if found else self.config.model

    def _build_workload(self, config: TrainConfig, source: Source) -> TrainWorkload:
        dataset = source.locate()
        name = (config.publish or config.checkpoint).uri.rstrip("/").rpartition("/")[2]
        return build_workload(config, dataset, name=name, fingerprint=compute_fingerprint(config, [dataset]))


def create_trainer(
    model: str | Path | Mapping[str, Any] | None = None,
    data: Any = None,
    *,
    checkpoint: str | Path | Mapping[str, Any] | None = None,
    lora: bool | Mapping[str, Any] = False,
    freeze: Sequence[Literal["vision", "language"]] = (),
    quantize: Literal["nf4"] | None = None,
    callbacks: Sequence[AnyCallback] = (),
    progress: DisplayName | Progress = "auto",
    train_split: str = "train",
    validation_split: str | None = None,
    **settings: Any,
) -> Trainer:
    """A Trainer for a first try: 3 epochs in batches of 8 samples, unless `settings` (of TrainConfig) say otherwise.

        create_trainer("deepseek-community/DeepSeek-OCR-2", "pages", task="ocr", lora=True).train()
        create_trainer().train()

    Without model and data it trains a tiny model with random weights for 40 steps, on 20 pages that are drawn for it:
    to see that everything works, without a GPU, data or a network.

    model: a folder, a name on the Hub, or config://vit-gpt2-tiny to try things without a GPU. checkpoint: default: a
    folder in runs/, named after the model, the settings and the data, so that the same call continues and another one
    starts from scratch. lora: train low-rank adapters instead of all weights, for models of billions of weights; or
    their settings, such as {"rank": 4}. freeze: parts that are not trained. quantize: "nf4" keeps the frozen weights in
    4 bits, for small GPUs (QLoRA). Other arguments: see Trainer.
    """
    if model is None and data is None:
        model, data = FIRST_MODEL, draw_first_pages()
        settings = {"task": "ocr", "max_steps": 40, "optimizer": {"learning_rate": 0.002}, **settings}
    if model is None or data is None:
        missing = "model" if model is None else "data"
        raise ConfigurationError(f"{missing}: must be given; only without model and data, examples of both are used")
    if not {"epochs", "max_steps", "maxSteps"} & settings.keys():
        settings["epochs"] = 3
    if not {"global_batch_size", "globalBatchSize"} & settings.keys():
        settings["global_batch_size"] = 8
    start: dict[str, Any] = dict(model) if isinstance(model, Mapping) else {"uri": model}
    if lora is not False:
        start["lora"] = {} if lora is True else lora
    start |= {name: value for name, value in (("freeze", freeze), ("quantize", quantize)) if value}
    with write_model_settings():
        config = TrainConfig.model_validate({"model": start, "checkpoint": checkpoint or "runs", **settings})
    trainer = Trainer(
        config,
        data,
        callbacks=callbacks,
        progress=progress,
        train_split=train_split,
        validation_split=validation_split,
    )
    if checkpoint is None:
        name = f"{Path(config.model.uri).name}-{trainer.compute_fingerprint()[:8]}"
        trainer.config = config.updated(checkpoint=config.checkpoint.updated(uri=expand_path(Path("runs", name))))
    return trainer


def _describe_end(output: TrainOutput) -> str:
    if output.stopped:
        place = output.uri.removeprefix("file://")
        return f"stopped after step {output.step}, saved in {place}; call train() again to continue"
    return f"done: the model is in {output.model}; open it with load_model, or with transformers"
