"""`deepsynth fit`: how much GPU memory each TrainingRun of a file needs, and which GPUs have that much."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Final

from deepsynth_api.counted import counted
from deepsynth_api.errors import ConfigurationError
from deepsynth_api.v1alpha1 import LoraSettings, TrainingRun, TrainingRunSpec
from deepsynth_api.v1alpha1.shared.base import AUTO
from deepsynth_client.manifest_file import read_manifests
from deepsynth_local.admission.admit import admit
from deepsynth_local.runs.runs_folder import RunsFolder
from deepsynth_operator.manifests.train_job import count_gpus_per_node

if TYPE_CHECKING:
    from deepsynth_train.memory.estimate import MemoryEstimate

GIB: Final = 2**30
GPUS: Final[Mapping[str, float]] = {
    "T4 16 GB": 14.7,
    "L4 24 GB": 22.2,
    "RTX 4090 24 GB": 23.5,
    "A100 40 GB": 39.4,
    "L40S 48 GB": 44.4,
    "A100, H100 80 GB": 79.1,
    "H200 141 GB": 139.8,
}
"""GiB that a process can use, as the driver reports it; less than what the name says."""
_WITHOUT_BF16: Final = frozenset({"T4 16 GB"})
"""GPUs that do not compute in bf16."""
DEFAULT_LABEL_TOKENS: Final = 512
_CHANGES: Final[Mapping[str, Mapping[str, Any]]] = {
    "as written": {},
    "gradientCheckpointing: true": {"gradient_checkpointing": True},
    "model.freeze: [vision]": {"freeze": ["vision"]},
    "optimizer.type: adamw8bit": {"type": "adamw8bit"},
    "model.lora: {}": {"lora": LoraSettings()},
    "model.lora: {}, quantize: nf4": {"lora": LoraSettings(), "quantize": "nf4"},
}
_MOMENTS: Final[Mapping[str, str]] = {
    "adamw": "AdamW: two moments in fp32",
    "adamw8bit": "AdamW: two moments in 8 bits",
    "pagedAdamw8bit": "AdamW: what is not paged of two moments in 8 bits",
}


def fit_files(
    files: Sequence[str],
    runs: RunsFolder,
    *,
    pages: int,
    label_tokens: int | None,
    compare: bool,
    output: str,
    show: Callable[[str], None],
) -> str:
    """The text to print. label_tokens: of each sample; None: spec.maxLabelTokens, or 512.

    compare: also with other settings; `show` gets a line before each, because one takes up to a minute. output: "table"
    or "json". Raises ConfigurationError for an invalid file, or one
    without a TrainingRun.
    """
    found = [item for file in files for item in read_manifests(file)]
    admitted = [TrainingRun.model_validate(admit(item)) for item in found if item.value.get("kind") == "TrainingRun"]
    chosen = [_localize(run, runs) for run in admitted]
    if not chosen:
        raise ConfigurationError(f"{', '.join(files)}: must contain a TrainingRun, found none")
    results = []
    for run in chosen:
        for number, (change, spec) in enumerate(_vary(run.spec, compare=compare), 1):
            if compare:
                show(f'TrainingRun "{run.metadata.name}": estimating {change} ({number} of {len(_CHANGES)})')
            estimate = _try_estimate(spec, count_processes(run), pages, label_tokens, compare=compare)
            results.append(_Row(run, change, *estimate))
    if output == "json":
        return json.dumps([_to_json(row) for row in results], indent=2)
    if compare:
        return "\n\n".join(
            _format_comparison(run, [row for row in results if row.run is run], pages, label_tokens) for run in chosen
        )
    return "\n\n".join(_format(row.run, row.estimate, pages, label_tokens) for row in results if row.estimate)


def _localize(run: TrainingRun, runs: RunsFolder) -> TrainingRun:
    """The run with a model on a volume named by its folder on this machine."""
    model = run.spec.model.updated(uri=runs.localize(run.spec.model.uri))
    return run.updated(spec=run.spec.updated(model=model))


@dataclass(frozen=True)
class _Row:
    """One setting of a run. estimate: None for a setting that the run cannot have; refusal says why."""

    run: TrainingRun
    change: str
    estimate: "MemoryEstimate | None"
    refusal: str = ""


def _try_estimate(
    spec: TrainingRunSpec, processes: int, pages: int, label_tokens: int | None, *, compare: bool
) -> tuple["MemoryEstimate | None", str]:
    """The estimate, or why there is none. Raises instead of the latter when there is nothing to compare with."""
    try:
        return _estimate(spec, processes, pages, label_tokens), ""
    except ConfigurationError as error:
        if not compare or spec.model.training_run_ref:
            raise
        return None, str(error)


def _vary(spec: TrainingRunSpec, *, compare: bool) -> Iterator[tuple[str, TrainingRunSpec]]:
    """The spec as written and, to compare, with one other setting each."""
    for name, change in _CHANGES.items() if compare else [("as written", {})]:
        of_model = {key: value for key, value in change.items() if key in {"freeze", "lora", "quantize"}}
        model = spec.model.model_copy(update=of_model)
        of_optimizer = {key: value for key, value in change.items() if key == "type"}
        optimizer = spec.optimizer.model_copy(update=of_optimizer)
        others = {key: value for key, value in change.items() if key not in {*of_model, *of_optimizer}}
        yield name, spec.model_copy(update={**others, "model": model, "optimizer": optimizer})


def count_processes(run: TrainingRun) -> int:
    """Processes of the run, one for each GPU; with spec.elastic those of the smallest attempt."""
    nodes = run.spec.elastic.min_nodes if run.spec.elastic else run.spec.num_nodes
    return nodes * (run.spec.num_proc_per_node or count_gpus_per_node(run) or 1)


def _estimate(
    spec: TrainingRunSpec, processes: int, pages: int, label_tokens: int | None, samples: int | None = None
) -> "MemoryEstimate":
    """samples: of a micro-batch; None: what the spec says."""
    from transformers.utils import logging

    from deepsynth_train.memory.estimate import estimate_memory

    if spec.model.training_run_ref:
        raise ConfigurationError(
            "spec.model.trainingRunRef: must not be set for an estimate, which needs the model; set spec.model.uri to "
            "the model that the other run started from, which needs as much memory"
        )
    logging.set_verbosity_error()  # type: ignore[no-untyped-call]  # untyped
    labels = _choose_label_tokens(spec, label_tokens)
    size = samples or _count_samples(spec)
    return estimate_memory(spec, samples=size, gpus=processes, pages=pages, label_tokens=labels)


def _count_samples(spec: TrainingRunSpec) -> int:
    """Of a micro-batch. The choice of auto depends on the GPU, so the estimate is for one sample."""
    return spec.micro_batch_size if isinstance(spec.micro_batch_size, int) else 1


def _choose_sizes(run: TrainingRun, one: "MemoryEstimate", pages: int, label_tokens: int | None) -> dict[str, int]:
    """The micro-batch size that auto would choose, for each GPU on which one sample fits."""
    from deepsynth_train.memory.batch_size import FILLED, choose_size

    processes = count_processes(run)
    first = one.total_bytes
    slope = _estimate(run.spec, processes, pages, label_tokens, samples=2).total_bytes - first
    highest = -(-run.spec.global_batch_size // processes)
    choices = {
        name: choose_size(lambda size: first + (size - 1) * slope, int(FILLED * GPUS[name] * GIB), highest)
        for name in list_gpus(run.spec.precision)
        if first <= FILLED * GPUS[name] * GIB
    }
    return {name: choice.size for name, choice in choices.items()}


def _choose_label_tokens(spec: TrainingRunSpec, given: int | None) -> int:
    return given or spec.max_label_tokens or DEFAULT_LABEL_TOKENS


def list_gpus(precision: str) -> list[str]:
    """Names of the GPUs that compute in this precision, from the smallest."""
    return [name for name in GPUS if precision != "bf16" or name not in _WITHOUT_BF16]


def list_fitting(total_bytes: int, precision: str) -> list[str]:
    """Names of the GPUs with at least this much memory that compute in this precision."""
    return [name for name in list_gpus(precision) if total_bytes <= GPUS[name] * GIB]


def _format(run: TrainingRun, estimate: "MemoryEstimate", pages: int, label_tokens: int | None) -> str:
    spec = run.spec
    rows = [
        ("frozen weights", estimate.frozen_bytes, f"{estimate.frozen:,} weights"),
        ("trained weights", estimate.trained_bytes, f"{estimate.trained:,} weights in fp32"),
        ("gradients", estimate.gradient_bytes, ""),
        ("optimizer", estimate.optimizer_bytes, _MOMENTS[spec.optimizer.type]),
        ("activations", estimate.activation_bytes, "with logits and the batch"),
        ("gathered layers", estimate.gathered_bytes, "sharding: full"),
        ("CUDA, reserve", estimate.reserve_bytes, ""),
        ("total", estimate.total_bytes, ""),
    ]
    lines = [f"  {name:<16}{size / GIB:>8.2f} GiB   {note}".rstrip() for name, size, note in rows if size]
    usable = list_gpus(spec.precision)
    fitting = list_fitting(estimate.total_bytes, spec.precision)
    too_small = [name for name in usable if name not in fitting]
    title = _describe_run(run, "memory of", pages, label_tokens)
    lines.append(f"  fits on            {'; '.join(fitting) or 'none of the GPUs known here'}")
    if too_small:
        lines.append(f"  does not fit on    {'; '.join(too_small)}")
    if spec.micro_batch_size == AUTO:
        sizes = _choose_sizes(run, estimate, pages, label_tokens)
        chosen = "; ".join(f"{size} on {name}" for name, size in sizes.items())
        lines.append(f"  auto chooses       {chosen or '1, which may not fit'}")
    if others := [name for name in GPUS if name not in usable]:
        lines.append(f"  no {spec.precision}            {'; '.join(others)}")
    return "\n".join([title, *lines])


def _describe_run(run: TrainingRun, what: str, pages: int, label_tokens: int | None) -> str:
    """The first line: which run, and what the numbers assume."""
    spec = run.spec
    return (
        f'TrainingRun "{run.metadata.name}": {what} each GPU ({count_processes(run)} in all), for micro-batches of '
        f"{counted(_count_samples(spec), 'sample')} with {counted(pages, 'page')} and "
        f"{_choose_label_tokens(spec, label_tokens)} label tokens, in {spec.precision}"
    )


def _format_comparison(run: TrainingRun, rows: Sequence[_Row], pages: int, label_tokens: int | None) -> str:
    lines = [
        f"{'setting':<30}{'weights':>9}{'training':>10}{'activations':>13}{'reserve':>9}{'total':>9}   smallest GPU"
    ]
    for row in rows:
        if row.estimate is None:
            lines.append(f"{row.change:<30}impossible: {row.refusal}")
            continue
        estimate = row.estimate
        weights = estimate.frozen_bytes + estimate.trained_bytes
        training = estimate.gradient_bytes + estimate.optimizer_bytes
        passing = estimate.activation_bytes + estimate.gathered_bytes
        sizes = "".join(
            f"{size / GIB:>{width}.2f}"
            for size, width in (
                (weights, 9),
                (training, 10),
                (passing, 13),
                (estimate.reserve_bytes, 9),
                (estimate.total_bytes, 9),
            )
        )
        fitting = list_fitting(estimate.total_bytes, run.spec.precision)
        lines.append(f"{row.change:<30}{sizes}   {next(iter(fitting), 'none')}")
    title = _describe_run(run, "GiB on", pages, label_tokens)
    return "\n".join([title, *(f"  {line}" for line in lines)])


def _to_json(row: _Row) -> dict[str, Any]:
    named = {"name": row.run.metadata.name, "setting": row.change}
    if row.estimate is None:
        return {**named, "refusal": row.refusal}
    total = row.estimate.total_bytes
    return {**named, **asdict(row.estimate), "total_bytes": total, "fits": list_fitting(total, row.run.spec.precision)}
