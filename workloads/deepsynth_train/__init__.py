"""Training workload: fine-tunes a vision-language model on page images.

    from deepsynth_train import Trainer, TrainConfig
    Trainer(TrainConfig(model={"uri": "config://deepseek-ocr2-tiny"}, ...)).train(dataset)

In a notebook or under torchrun:   notebook.py ─────────────────────────────┐
In a pod:                          __main__.py ─ launcher/ ─ worker/ ───────┴─ attempt.py ─ loop.py

The launcher is PID 1 and starts a worker process per GPU; each worker runs the attempt, which builds everything that
the loop needs. Rendering and the Kubernetes API do not belong here. Importing the package is cheap: torch and
transformers are loaded when they are first used.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from deepsynth_train.notebook import TrainConfig, Trainer

__all__ = ["TrainConfig", "Trainer"]


def __getattr__(name: str) -> Any:
    if name in __all__:
        from deepsynth_train import notebook

        return getattr(notebook, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
