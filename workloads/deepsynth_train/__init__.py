"""Training workload: fine-tunes a vision-language model on page images.

    from deepsynth_train import create_trainer
    create_trainer("config://vit-gpt2-tiny", "pages", task="ocr").train()

In a notebook or under torchrun:   trainer.py ─────────────────────────────┐
In a pod:                          __main__.py ─ launcher/ ─ worker/ ───────┴─ attempt/ ─ loop/

The launcher is PID 1 and starts a worker process per GPU; each worker runs the attempt, which builds everything that
the loop needs. Rendering and the Kubernetes API do not belong here. Importing the package is cheap: torch and
transformers are loaded when they are first used.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from deepsynth_train.notebook.callbacks import Callback
    from deepsynth_train.notebook.config import TrainConfig
    from deepsynth_train.notebook.output import TrainOutput
    from deepsynth_train.reader import Reader, load_model
    from deepsynth_train.trainer import Trainer, create_trainer

__all__ = ["Callback", "Reader", "TrainConfig", "TrainOutput", "Trainer", "create_trainer", "load_model"]

_MODULES = {
    "Callback": "notebook.callbacks",
    "Reader": "reader",
    "TrainConfig": "notebook.config",
    "TrainOutput": "notebook.output",
    "load_model": "reader",
}


def __getattr__(name: str) -> Any:
    if name in __all__:
        return getattr(import_module(f"deepsynth_train.{_MODULES.get(name, 'trainer')}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
