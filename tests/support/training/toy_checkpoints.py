"""A model that takes no time to train, and its checkpoints."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from deepsynth_train.checkpoint.manifest import Evaluation

if TYPE_CHECKING:
    from deepsynth_train.checkpoint.content import Snapshot
    from deepsynth_train.checkpoint.folder import CheckpointFolder
    from deepsynth_train.checkpoint.state.trained import Trained


class Toy:
    """A model and its optimizer, some steps of training, and the tensors to save."""

    def __init__(self, width: int = 4) -> None:
        import torch

        torch.manual_seed(0)
        self.model = torch.nn.Linear(width, 2)
        self.optimizer = torch.optim.AdamW(self.model.parameters(), lr=0.1)

    def train(self, steps: int = 1) -> None:
        import torch

        for _ in range(steps):
            self.model(torch.ones(1, self.model.in_features)).sum().backward()
            self.optimizer.step()
            self.optimizer.zero_grad()

    def snapshot(self, step: int, **changes: Any) -> Snapshot:
        from deepsynth_train.checkpoint.content import Snapshot

        return Snapshot(**{"trained": self.trained, "state": {"step": step}, "metrics": [{"step": step}], **changes})

    @property
    def trained(self) -> Trained:
        from deepsynth_train.checkpoint.state.trained import Trained

        return Trained(self.model, self.optimizer)

    @property
    def weights(self) -> list[float]:
        return [value for parameter in self.model.parameters() for value in parameter.flatten().tolist()]


def save_steps(folder: CheckpointFolder, toy: Toy, *steps: int, **changes: Any) -> None:
    for step in steps:
        toy.train()
        folder.save(step, toy.snapshot(step, **changes))
    folder.wait()


def evaluate(folder: CheckpointFolder, step: int, loss: float) -> None:
    folder.save_evaluation(step, Evaluation(loss, {"step": step, "validation_loss": loss}))
