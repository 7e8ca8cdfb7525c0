"""From a folder of parquet to TrainingData in one call, for the tests of this folder."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from deepsynth_api.workload import WorkloadDataset

if TYPE_CHECKING:
    from deepsynth_train.data.dataset import TrainingData
    from deepsynth_train.data.files.columns import Task
    from deepsynth_train.models.interface.page_model import PageModel


Limits = tuple[int | None, int | None, int]
"""(max_label_tokens, max_sequence_tokens, max_dropped_percent) of deepsynth_train.data.selection.limits.Limits."""
NO_LIMITS: Limits = (None, None, 0)


def describe(folder: Path, validation: str | None = "", **changes: Any) -> WorkloadDataset:
    """The dataset in `folder`, as spec.datasets names it."""
    return WorkloadDataset(name="d", uri=f"file://{folder}", validation_split=validation, **changes)


def load(
    folder: Path,
    model: "PageModel",
    task: "Task" = "summarize",
    limits: Limits = NO_LIMITS,
    holdout: int = 0,
    **changes: Any,
) -> "TrainingData":
    """Materialise, index and open the dataset in `folder`. NO_LIMITS: the model's own, and no sample dropped.

    holdout: percentage of the documents to hold out.
    """
    from deepsynth_train.data.dataset import choose_samples, open_data, save_samples
    from deepsynth_train.data.files.materialise import materialise, plan_datasets
    from deepsynth_train.data.selection import limits as selection_limits

    cache = folder.with_name(f"{folder.name}-cache")
    local = materialise(plan_datasets([describe(folder, **changes)], cache), cache, lambda *_: None)
    chosen = selection_limits.Limits(*limits)
    samples = choose_samples(local, task, model, chosen, holdout={"d": holdout}, on_rows=lambda: None)
    save_samples(samples, local, cache / "index")
    return open_data(cache / "index", task)
