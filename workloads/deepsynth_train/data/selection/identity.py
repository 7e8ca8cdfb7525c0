"""What the choice of samples depends on, as a key: the same key, the same samples."""

import dataclasses
import hashlib
import json
import tempfile
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

import numpy as np

from deepsynth_train.data.files.columns import Task
from deepsynth_train.data.files.materialise import DatasetPlan
from deepsynth_train.data.selection.limits import Limits
from deepsynth_train.models.interface.page_model import Family, PageModel

_VERSION: Final = 1
"""Changes with what is chosen of the same data. Each release has keys of its own anyway, and so have the libraries that
count tokens.
"""
_LIBRARIES: Final = ("deepsynth-operator", "numpy", "pillow", "pyarrow", "tokenizers", "transformers")


def compute_key(
    datasets: Sequence[DatasetPlan],
    task: Task,
    model: PageModel,
    limits: Limits,
    *,
    holdout: Mapping[str, int],
    max_similarity_percent: int | None,
    settings: Mapping[str, Any],
) -> str:
    """Of all arguments of `choose_samples`: 64 hexadecimal digits. Datasets count by content, not by place.

    settings: from which the model's family was built, as JSON values.
    """
    document = {
        "version": _VERSION,
        "libraries": {name: version(name) for name in _LIBRARIES},
        "datasets": [_describe_dataset(plan, holdout.get(plan.dataset.name, 0)) for plan in datasets],
        "task": task,
        "limits": dataclasses.asdict(limits),
        "maxSimilarityPercent": max_similarity_percent,
        "tokenizer": _describe_tokenizer(model),
        "pages": _describe_pages(model),
        "settings": settings,
    }
    return hashlib.sha256(json.dumps(document, sort_keys=True).encode()).hexdigest()


def _describe_dataset(plan: DatasetPlan, holdout: int) -> dict[str, Any]:
    """Names are in the notes, and in the names of samples."""
    train = plan.dataset.train_split
    return {
        "name": plan.dataset.name,
        "train": [train, *plan.list_keys(train)],
        "validation": [plan.validation, *plan.list_keys(plan.validation)] if plan.validation else None,
        "holdout": holdout,
    }


def _describe_tokenizer(model: PageModel) -> list[Any]:
    tokenizer = model.tokenizer
    return [type(tokenizer).__name__, sorted(model.special_ids), _hash_tokenizer(tokenizer)]


def _hash_tokenizer(tokenizer: Any) -> str:
    """Of its content: a model in a folder has no revision."""
    backend = getattr(tokenizer, "backend_tokenizer", None)
    if backend is not None:
        return hashlib.sha256(backend.to_str().encode()).hexdigest()
    with tempfile.TemporaryDirectory() as folder:
        tokenizer.save_pretrained(folder)
        files = sorted(path for path in Path(folder).rglob("*") if path.is_file())
        content = [f"{path.name} {hashlib.sha256(path.read_bytes()).hexdigest()}" for path in files]
    return hashlib.sha256("\n".join(content).encode()).hexdigest()


def _describe_pages(model: PageModel) -> dict[str, Any]:
    """What decides on the positions of a page."""
    family = model.family
    found = {
        "family": type(family).__name__,
        "context": family.context_tokens,
        "maxPages": family.max_pages,
        "fixed": family.fixed_tokens,
        "page": _count_any_page(family),
    }
    if not family.reads_sizes:
        return found
    images = model.processor.image_processor.to_dict()
    processor = {name: str(value) for name, value in sorted(images.items())}
    return {**found, "processor": processor, "config": model.module.config.to_json_string(use_diff=False)}


def _count_any_page(family: Family) -> int:
    if family.reads_sizes:
        return family.image_tokens
    return int(family.count_page_tokens(np.zeros((1, 2), dtype=np.int64))[0])
