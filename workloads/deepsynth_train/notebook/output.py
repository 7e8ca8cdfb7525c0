"""What the Trainer returns."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from deepsynth_api.v1alpha1.training_run_status import ModelOutput
from deepsynth_train.notebook.place import Place


@dataclass(frozen=True)
class TrainOutput:
    """What `train` returns. step: steps done. stopped: Ctrl-C, SIGTERM or `stop` interrupted it; `train` again
    continues. False after early stopping, which ends a run as planned: output.note names the step that was chosen.

    uri: where the checkpoints and the final model are. output: where that model is, None if stopped. history: a dict
    for each step and evaluation, earlier calls included; pandas.DataFrame(history) makes a table of it.
    """

    step: int
    saved_step: int | None
    stopped: bool
    output: ModelOutput | None
    uri: str
    history: list[dict[str, Any]] = field(repr=False)

    @property
    def folder(self) -> Path:
        """Holds the checkpoints and the final model. Raises ConfigurationError where they are in an object store."""
        return Place(self.uri).require_folder()

    @property
    def model(self) -> Path | str | None:
        """Folder of the final model, for `from_pretrained`, or its URI in an object store; `load_model` takes both."""
        return Place(self.uri).model if self.output else None

    @property
    def metrics(self) -> dict[str, float]:
        """The newest value of each metric up to the step of the final model: loss, validation_loss and so on."""
        last = self.step if self.output is None or self.output.step is None else self.output.step
        lines = [line for line in self.history if line["step"] <= last]
        return {name: value for line in lines for name, value in line.items() if name != "step"}
