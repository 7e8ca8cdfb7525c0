"""A first training: a tiny model with random weights, on pages that are drawn for it. No GPU, data or network.

`make example-trainer`; examples/first_training.ipynb is the same as a notebook. The model is too small to read. For one
that reads: `make demo`; for your own pages: docs/tasks/python.md.
"""

from deepsynth_train import create_trainer

trainer = create_trainer()
result = trainer.train()

losses = [line["loss"] for line in result.history if "loss" in line]
print(f"loss of the first step: {losses[0]:.2f}, of the last: {losses[-1]:.2f}")
print(f"loss on pages that it has not seen: {result.metrics['validation_loss']:.2f}")
print(f"the model: {result.model}")
