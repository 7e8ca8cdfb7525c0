"""Documents of training attempts for tests."""

from pathlib import Path
from typing import Any

from deepsynth_api.workload import TrainWorkload


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
        "model": {"uri": "config://vit-gpt2-tiny"},
        "checkpoint": {"uri": f"file://{folder}/checkpoints"},
    }
    return TrainWorkload(**{**settings, **changes})
