"""`deepsynth evaluate`: how well a model reads the pages of a dataset, a trained model or one to start from."""

import hashlib
import json
import re
import sys
import tempfile
from argparse import Namespace
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
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
_CHARACTERS: Final = 200
"""Of a text in the table; the JSON has all of it."""


def evaluate(chosen: Namespace) -> str:
    """The text to print. chosen: the arguments of the command. Raises the errors of deepsynth_api.errors."""
    from deepsynth_train.attempt.evaluate import run_evaluation
    from deepsynth_train.coordination.world import join_world
    from deepsynth_train.notebook.display import Lines
    from deepsynth_train.notebook.errors import name_arguments

    with _name_options(), name_arguments(split="--split"), tempfile.TemporaryDirectory() as folder:
        world = join_world()
        workload = build_workload(chosen, folder, is_on_gpu=world.device.type == "cuda")
        progress = Lines(lambda text: print(text, file=sys.stderr, flush=True))
        found = run_evaluation(workload, world, progress)
    return format_json(chosen, found) if chosen.output == "json" else format_table(chosen, found)


@contextmanager
def _name_options() -> Iterator[None]:
    """In errors, `--task ocr` instead of Python's task="ocr"."""
    try:
        yield
    except WorkloadError as error:
        error.message = re.sub(r"task=[\"'](\w+)[\"']", r"--task \1", error.message)
        error.args = (error.message,)
        raise


def build_workload(chosen: Namespace, folder: str, *, is_on_gpu: bool) -> TrainWorkload:
    """A run that only evaluates. folder: an empty one, where its checkpoints would be."""
    from deepsynth_train.models.files.model_folder import read_trained
    from deepsynth_train.notebook.config import TrainConfig
    from deepsynth_train.notebook.config import build_workload as build_attempt
    from deepsynth_train.notebook.errors import DATASET

    runs = RunsFolder(chosen.runs.resolve())
    model, data = runs.localize(chosen.model), runs.localize(chosen.dataset)
    settings: dict[str, Any] = {
        **read_trained(Path(model.removeprefix("file://"))),
        **{name: value for name in ("task", "prompt") if (value := getattr(chosen, name)) is not None},
        "model": model,
        "checkpoint": folder,
        "precision": "bf16" if is_on_gpu else "fp32",
        "evaluation": {
            "metrics": chosen.metrics,
            "samples": chosen.samples,
            "max_samples": chosen.max_samples,
            "max_new_tokens": chosen.max_new_tokens,
            "generation_batch_size": chosen.batch_size,
        },
    }
    if chosen.image_size:
        settings["image_processor"] = {"size": chosen.image_size}
    config = TrainConfig.model_validate(settings)
    uri = _locate(data, config.task, chosen.split)
    dataset = WorkloadDataset(name=DATASET, uri=uri, train_split=chosen.split, validation_split=chosen.split)
    key = hashlib.sha256(json.dumps([uri, chosen.split, config.to_dict()]).encode()).hexdigest()
    return build_attempt(config, dataset, name="evaluate", fingerprint=key)


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


def format_table(chosen: Namespace, found: "Findings") -> str:
    width = max(len(name) for name in found.values)
    split = _find_split(chosen)
    lines = [f"{chosen.model} on {f'the split {split}' if split else 'all pages'} of {chosen.dataset}"]
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


def format_json(chosen: Namespace, found: "Findings") -> str:
    document = {
        "model": chosen.model,
        "dataset": chosen.dataset,
        "split": _find_split(chosen),
        "metrics": found.values,
        "samples": [{"name": _name(sample), **_list_texts(sample)} for sample in found.samples],
    }
    return json.dumps(document, ensure_ascii=False, indent=2)


def _find_split(chosen: Namespace) -> str | None:
    """None for a folder of images without splits, which is evaluated as a whole."""
    from deepsynth_train.notebook.image_files import METADATA

    data = RunsFolder(chosen.runs.resolve()).localize(chosen.dataset)
    folder = Path(data.removeprefix("file://")).expanduser()
    has = [any((place / name).is_file() for name in METADATA) for place in (folder, folder / chosen.split)]
    return None if has == [True, False] else str(chosen.split)


def _name(sample: "WrittenSample") -> str:
    """`row 3`, without dataset and split, of which there is only one."""
    return sample.name.rpartition(": ")[2].partition(" of the ")[0]


def _list_texts(sample: "WrittenSample") -> Mapping[str, str]:
    return {"reference": sample.reference, "written": sample.written}


def _clip(text: str) -> str:
    """One line without characters that control a terminal."""
    line = "".join(char if char.isprintable() else " " for char in " ".join(text.split()))
    return line if len(line) <= _CHARACTERS else f"{line[:_CHARACTERS]}..."
