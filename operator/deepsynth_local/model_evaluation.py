"""`deepsynth evaluate`: how well a model reads the pages of a dataset, a trained model or one to start from."""

import hashlib
import json
import re
import sys
import tempfile
from argparse import Namespace
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from deepsynth_api.errors import WorkloadError
from deepsynth_api.workload import TrainWorkload, WorkloadDataset
from deepsynth_local.runs.runs_folder import RunsFolder

if TYPE_CHECKING:
    from deepsynth_train.coordination.progress import WrittenSample
    from deepsynth_train.evaluation.evaluator import Findings

_EXPLANATIONS: Final = {
    "validation_loss_swapped": "with the pages of other documents: far above the loss if the model reads its pages",
    "validation_loss_black": "with black pages: what the model guesses without seeing any",
    "validation_cer_swapped": "of what it wrote for other documents: far above the CER if it reads its pages",
}
_TRAIN: Final = "train"
_CHARACTERS: Final = 200
"""Of a text in the table; the JSON has all of it."""


def evaluate(chosen: Namespace) -> str:
    """The text to print. chosen: the arguments of the command. Raises the errors of deepsynth_api.errors."""
    from deepsynth_train.models.files.model_folder import check_level

    model = RunsFolder(chosen.runs.resolve()).localize(chosen.model)
    check_level(Path(model.removeprefix("file://")).expanduser(), chosen.model)  # before the slow imports
    from deepsynth_train.attempt.evaluate import run_evaluation
    from deepsynth_train.coordination.world import join_world
    from deepsynth_train.notebook.display import Lines
    from deepsynth_train.notebook.errors import name_arguments

    with _name_options(), name_arguments(split="--split"), tempfile.TemporaryDirectory() as folder:
        world = join_world()
        workload = build_workload(chosen, folder, is_on_gpu=world.device.type == "cuda")
        if note := _describe_pages(chosen, workload):
            print(f"note: {note}", file=sys.stderr, flush=True)
        progress = Lines(lambda text: print(text, file=sys.stderr, flush=True))
        found = run_evaluation(workload, world, progress)
    part = _find_part(chosen, workload)
    return format_json(chosen, found, part) if chosen.output == "json" else format_table(chosen, found, part)


@contextmanager
def _name_options() -> Iterator[None]:
    """In errors, `--task ocr` instead of Python's task="ocr"."""
    try:
        yield
    except WorkloadError as error:
        if "nothing to evaluate on" in error.message:
            error.message = (
                "--split: there is no validation split, and too few documents to hold some out; set --split train to "
                "evaluate on all of them"
            )
        error.message = re.sub(r"task=[\"'](\w+)[\"']", r"--task \1", error.message)
        error.args = (error.message,)
        raise


def build_workload(chosen: Namespace, folder: str, *, is_on_gpu: bool) -> TrainWorkload:
    """A run that only evaluates. folder: an empty one, where its checkpoints would be."""
    from deepsynth_train.models.files.model_folder import read_holdout, read_max_new_tokens, read_trained
    from deepsynth_train.notebook.config import TrainConfig
    from deepsynth_train.notebook.config import build_workload as build_attempt
    from deepsynth_train.notebook.errors import DATASET

    runs = RunsFolder(chosen.runs.resolve())
    model, data = runs.localize(chosen.model), runs.localize(chosen.dataset)
    place = Path(model.removeprefix("file://"))
    evaluation: dict[str, Any] = {
        "metrics": chosen.metrics,
        "samples": chosen.samples,
        "max_samples": chosen.max_samples,
        "generation_batch_size": chosen.batch_size,
        "max_new_tokens": chosen.max_new_tokens or read_max_new_tokens(place),
        "holdout_percent": read_holdout(place) or None,  # with 0, the model was trained on all documents
    }
    settings: dict[str, Any] = {
        **read_trained(place),
        **{name: value for name in ("task", "prompt") if (value := getattr(chosen, name)) is not None},
        "model": model,
        "checkpoint": folder,
        "precision": "bf16" if is_on_gpu else "fp32",
        "evaluation": {name: value for name, value in evaluation.items() if value is not None},
    }
    if chosen.image_size:
        settings["image_processor"] = {"size": chosen.image_size}
    config = TrainConfig.model_validate(settings)
    split, is_held_out = (chosen.split, False) if chosen.split else _choose_split(data)
    uri = _locate(data, config.task, split)
    dataset = WorkloadDataset(name=DATASET, uri=uri, train_split=split, validation_split=None if is_held_out else split)
    key = hashlib.sha256(json.dumps([dataset.to_dict(), config.to_dict()]).encode()).hexdigest()
    return build_attempt(config, dataset, name="evaluate", fingerprint=key)


def _choose_split(dataset: str) -> tuple[str, bool]:
    """The split to evaluate on, and whether only on what a training holds out of it, as it has no validation split.

    A folder of images without splits, and a dataset without train too, count as having the split `validation`.
    """
    from deepsynth_store import open_dataset
    from deepsynth_train.data.files.splits import VALIDATION, has_split
    from deepsynth_train.notebook.arguments import expand_path
    from deepsynth_train.notebook.image_files import list_folders

    folder = Path(dataset.removeprefix("file://")).expanduser()
    if "://" not in dataset or dataset.startswith("file://"):
        if not folder.is_dir():
            return VALIDATION, False  # reading it says more
        if not next(folder.rglob("*.parquet"), None):
            names = list_folders(folder)
            is_held_out = _TRAIN in names and VALIDATION not in names and not _is_undivided(folder, VALIDATION)
            return (_TRAIN, True) if is_held_out else (VALIDATION, False)
    uri = (
        f"hf://datasets/{match[1]}"
        if (match := re.fullmatch(r"hf://(?!buckets/)(?:datasets/)?(.+)", dataset))
        else dataset
    )
    found = open_dataset(expand_path(uri), field="data")
    is_held_out = has_split(found, _TRAIN) and not has_split(found, VALIDATION)
    return (_TRAIN, True) if is_held_out else (VALIDATION, False)


def _is_undivided(folder: Path, split: str) -> bool:
    """Whether it is a folder of images without splits, which is evaluated as a whole."""
    from deepsynth_train.notebook.image_files import METADATA

    return [any((place / name).is_file() for name in METADATA) for place in (folder, folder / split)] == [True, False]


def _locate(dataset: str, task: Any, split: str) -> str:
    """Where the pages are. Those of a folder of images are written to the cache, once."""
    from deepsynth_train.data.files.in_memory import compute_name, write_pages
    from deepsynth_train.data.files.materialise import find_cache
    from deepsynth_train.notebook.datasets import read_data

    data = read_data(dataset, task, (split,))
    if isinstance(data, str):
        return data
    folder = find_cache() / f"memory-{compute_name(data)}"
    write_pages(data[split], folder / f"{split}.parquet")
    return f"file://{folder}"


@dataclass(frozen=True)
class Part:
    """Of the dataset, what was evaluated on. split: None for a folder of images without splits.

    held_out: the percentage of the split, if a training holds it out; None for all of it.
    """

    split: str | None
    held_out: int | None = None

    def describe(self) -> str:
        if self.held_out is not None:
            return f"the held-out {self.held_out} % of the split {self.split}"
        return f"the split {self.split}" if self.split else "all pages"


def _find_part(chosen: Namespace, workload: TrainWorkload) -> Part:
    split = workload.datasets[0].train_split
    if workload.datasets[0].validation_split is None:
        return Part(split, workload.evaluation.holdout_percent)
    data = RunsFolder(chosen.runs.resolve()).localize(chosen.dataset)
    return Part(None if _is_undivided(Path(data.removeprefix("file://")).expanduser(), split) else split)


def _describe_pages(chosen: Namespace, workload: TrainWorkload) -> str:
    """What a user must know about the pages: whether the model may have been trained on them. Empty if not."""
    from deepsynth_train.models.files.model_folder import read_holdout

    part = _find_part(chosen, workload)
    place = Path(workload.model.uri.removeprefix("file://"))
    if part.held_out is not None and read_holdout(place) == 0:
        return f"{chosen.model} was trained without holding pages out, so these may be pages it was trained on"
    if part.held_out is not None:
        return (
            f"{chosen.dataset} has no validation split; evaluating on the {part.held_out} % of its documents that a "
            "training holds out (--split train: on all of them)"
        )
    return "these may be pages the model was trained on" if part.split == _TRAIN else ""


def format_table(chosen: Namespace, found: "Findings", part: Part) -> str:
    width = max(len(name) for name in found.values)
    lines = [f"{chosen.model} on {part.describe()} of {chosen.dataset}"]
    lines += [
        f"  {name:<{width}}  {f'{value:.4g}':<6}  {_EXPLANATIONS.get(name, '')}".rstrip()
        for name, value in found.values.items()
    ]
    for sample in found.samples:
        lines += [
            f"  {_name(sample)}",
            *(f"    {title:<9} {_clip(text)}" for title, text in _list_texts(sample).items()),
        ]
    return "\n".join(lines)


def format_json(chosen: Namespace, found: "Findings", part: Part) -> str:
    document = {
        "model": chosen.model,
        "dataset": chosen.dataset,
        "split": part.split,
        **({"holdoutPercent": part.held_out} if part.held_out is not None else {}),
        "metrics": found.values,
        "samples": [{"name": _name(sample), **_list_texts(sample)} for sample in found.samples],
    }
    return json.dumps(document, ensure_ascii=False, indent=2)


def _name(sample: "WrittenSample") -> str:
    """`row 3`, without dataset and split, of which there is only one."""
    return sample.name.rpartition(": ")[2].partition(" of the ")[0]


def _list_texts(sample: "WrittenSample") -> Mapping[str, str]:
    return {"reference": sample.reference, "written": sample.written}


def _clip(text: str) -> str:
    """One line without characters that control a terminal."""
    line = "".join(char if char.isprintable() else " " for char in " ".join(text.split()))
    return line if len(line) <= _CHARACTERS else f"{line[:_CHARACTERS]}..."
