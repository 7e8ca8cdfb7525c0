"""Settings and documents of training attempts for tests. Imports no torch."""

from pathlib import Path
from typing import Any

from deepsynth_api.v1alpha1 import TrainingSettings
from deepsynth_api.workload import TrainWorkload

OCR2 = "config://deepseek-ocr2-tiny"
VIT = "config://vit-gpt2-tiny"


def build_train_workload(folder: Path, **changes: Any) -> TrainWorkload:
    """One node, two processes, checkpoints in `folder`/checkpoints."""
    settings: dict[str, Any] = {
        "name": "read-xsum",
        "namespace": "default",
        "uid": "uid-1",
        "datasets": [],
        "num_nodes": 1,
        "num_proc_per_node": 2,
        "attempt": 1,
        "fingerprint": "f" * 64,
        "output_uri": f"file://{folder}/output",
        "model": {"uri": VIT},
        "checkpoint": {"uri": f"file://{folder}/checkpoints"},
    }
    return TrainWorkload(**{**settings, **changes})


def build_settings(uri: str = OCR2, **changes: Any) -> TrainingSettings:
    """fp32, and pages of 64 px if the model allows it."""
    settings: dict[str, Any] = {
        "model": {"uri": uri},
        "precision": "fp32",
        "checkpoint": {"uri": "file:///nowhere"},
        "image_processor": {"size": 64} if uri == OCR2 else {},
    }
    return TrainingSettings.model_validate({**settings, **changes})
