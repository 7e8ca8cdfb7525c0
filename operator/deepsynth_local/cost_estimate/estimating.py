"""Read the files, predict how long the pods of each resource run, and multiply by what they cost."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Final

from deepsynth_api.counted import counted
from deepsynth_api.errors import ConfigurationError
from deepsynth_api.v1alpha1 import DatasetGeneration, Resource, TrainingRun
from deepsynth_api.v1alpha1.pod.pod_template import ResourceRequirements
from deepsynth_api.v1alpha1.shared.usage import HourlyPrice, format_amount, parse_amount
from deepsynth_client.interface import Resources
from deepsynth_client.manifest_file import read_manifests
from deepsynth_client.tables import format_age, format_table
from deepsynth_local.admission.admit import admit
from deepsynth_local.admission.price_file import read_prices
from deepsynth_local.cost_estimate import generations, runs
from deepsynth_local.cost_estimate.calibration import calibrate
from deepsynth_local.cost_estimate.generations import Corpus
from deepsynth_local.cost_estimate.span import Span
from deepsynth_local.runs.runs_folder import RunsFolder
from deepsynth_operator.core.observed import PodRequest
from deepsynth_operator.core.prices import PriceTable, price_pod
from deepsynth_operator.core.quantity import parse_quantity

UNKNOWN: Final = (
    "not in these figures: attempts that are repeated after failures, evictions and lost nodes; machines faster or "
    "slower than the measured ones; storage, traffic, idle nodes, and waiting for a queue or an image"
)
_HEADER: Final = ["NAME", "COST", "FROM", "TO", "CURRENCY", "CPU-SECONDS", "GPU-SECONDS", "POD TIME"]
_GPU: Final = "nvidia.com/gpu"
_UNSET: Final = "-"


@dataclass(frozen=True)
class Estimate:
    """Of one resource. seconds: of all pods together; None if they cannot be predicted."""

    name: str
    seconds: Span | None
    price: HourlyPrice | None
    pod: PodRequest
    notes: Sequence[str]

    @property
    def cost(self) -> Span | None:
        if self.seconds is None or self.price is None:
            return None
        return self.seconds * (float(parse_amount(self.price.amount)) / 3600)


@dataclass(frozen=True)
class Options:
    """Of the command line. documents: of each generation. prices: file with a price table."""

    prices: Path | None = None
    documents: int | None = None
    calibrate: bool = False


def estimate_files(files: Sequence[str], resources: Resources, folder: RunsFolder, options: Options) -> str:
    """The text to print. resources: those that were measured. Raises ConfigurationError for an invalid file."""
    found = [admit(item) for file in files for item in read_manifests(file)]
    if not found:
        raise ConfigurationError(f"{', '.join(files)}: must contain at least one resource, found none")
    table = read_prices(options.prices)
    stored = [DatasetGeneration.model_validate(item) for item in resources.list_all("DatasetGeneration")]
    trained = [TrainingRun.model_validate(item) for item in resources.list_all("TrainingRun")]
    new = [DatasetGeneration.model_validate(item) for item in found if item["kind"] == "DatasetGeneration"]
    samples = [sample for generation in new for sample in calibrate(generation, folder)] if options.calibrate else []
    rendered, corpora = _estimate_generations(new, [*stored, *samples], table, options.documents)
    corpora = {**_find_stored(stored), **corpora}
    new_runs = [TrainingRun.model_validate(item) for item in found if item["kind"] == "TrainingRun"]
    estimates = [*rendered, *(_estimate_run(run, trained, corpora, table) for run in new_runs)]
    return format_estimates(estimates, has_prices=bool(table.entries))


def _estimate_generations(
    new: Sequence[DatasetGeneration], stored: Sequence[DatasetGeneration], table: PriceTable, documents: int | None
) -> tuple[list[Estimate], dict[str, Corpus]]:
    """Estimates, and the size of what each generation will render, by its name."""
    estimates, corpora = [], {}
    for generation in new:
        basis = generations.choose_measured(generation, stored)
        corpus = generations.count_documents(generation, basis, documents)
        name = f"datasetgeneration/{generation.metadata.name}"
        pod = _request(generation)
        price = price_pod(table, pod) or _find_price(generation, basis.measured)
        if corpus is None:
            notes = [basis.note, "number of documents unknown; give --documents N"]
            estimates.append(Estimate(name, None, price, pod, notes))
            continue
        corpora[generation.metadata.name] = corpus
        seconds = generations.predict_seconds(corpus.documents, basis)
        notes = [f"{counted(corpus.documents, 'document')} ({corpus.source})", basis.note]
        estimates.append(Estimate(name, seconds, price, pod, notes))
    return estimates, corpora


def _estimate_run(
    run: TrainingRun, stored: Sequence[TrainingRun], corpora: Mapping[str, Corpus], table: PriceTable
) -> Estimate:
    basis = runs.choose_attempts(run, stored)
    named = {
        dataset.name: corpora[dataset.dataset_generation_ref.name]
        for dataset in run.spec.datasets
        if dataset.dataset_generation_ref and dataset.dataset_generation_ref.name in corpora
    }
    steps = runs.count_steps(run, named)
    pod = _request(run)
    price = price_pod(table, pod) or _find_price(run, [item.run for item in basis.measured])
    size = "number of steps unknown: neither spec.maxSteps nor the size of all datasets is known"
    if steps is not None:
        size = f"{counted(steps, 'step')} of {counted(run.spec.global_batch_size, 'sample')}"
    seconds = runs.predict_seconds(run, steps, basis) if steps is not None and basis.measured else None
    return Estimate(f"trainingrun/{run.metadata.name}", seconds, price, pod, [size, basis.note])


def _find_stored(stored: Sequence[DatasetGeneration]) -> dict[str, Corpus]:
    """What the generations that are complete have published, by their names."""
    found = {item.metadata.name: generations.describe_corpus(item) for item in stored}
    return {name: corpus for name, corpus in found.items() if corpus is not None}


def _request(resource: Resource) -> PodRequest:
    """What each pod asks for. A limit without a request is a request."""
    template = resource.spec.template
    found = resource.spec.resources_per_node if isinstance(resource, TrainingRun) else template.resources
    requirements = found or ResourceRequirements()
    return PodRequest({**requirements.limits, **requirements.requests}, template.node_selector)


def _find_price(new: Resource, measured: Sequence[Resource]) -> HourlyPrice | None:
    """The newest price of measured pods with the same requests."""
    like = [old for old in measured if _request(old) == _request(new)]
    return next((price for old in reversed(like) for price in reversed(_list_prices(old))), None)


def _list_prices(resource: Resource) -> list[HourlyPrice]:
    if isinstance(resource, TrainingRun):
        return [attempt.price for attempt in resource.status.attempts if attempt.price]
    return [job.price for job in resource.status.jobs if job.price]


def format_estimates(estimates: Sequence[Estimate], *, has_prices: bool) -> str:
    rows = [_HEADER, *map(_format_row, estimates), *_list_totals(estimates)]
    notes = [f"{item.name}: {'; '.join(item.notes)}" for item in estimates]
    if not has_prices and not all(item.price for item in estimates):
        notes.append("no prices: give --prices FILE (docs/tasks/costs.md)")
    if has_prices:
        notes += [_explain_unpriced(item) for item in estimates if item.price is None]
    return "\n".join([format_table(rows), "", *notes, UNKNOWN])


def _explain_unpriced(estimate: Estimate) -> str:
    field = "resourcesPerNode" if estimate.name.startswith("trainingrun/") else "template.resources"
    if not estimate.pod.requests:
        return f"{estimate.name}: no cost, because its pods request nothing that has a price; set spec.{field}"
    requests = ", ".join(sorted(estimate.pod.requests))
    return (
        f"{estimate.name}: no cost, because no entry of the price table that fits its pods has a price for {requests}"
    )


def _list_totals(estimates: Sequence[Estimate]) -> Iterator[list[str]]:
    """A row for each currency, if something is to be added up."""
    priced = [item for item in estimates if item.cost is not None and item.price is not None]
    for currency in dict.fromkeys(item.price.currency for item in priced if item.price):
        of_currency = [item for item in priced if item.price and item.price.currency == currency]
        if len(of_currency) > 1:
            costs = [item.cost for item in of_currency if item.cost is not None]
            yield ["total", *_format_span(sum(costs[1:], costs[0])), currency, "", "", ""]


def _format_row(estimate: Estimate) -> list[str]:
    seconds = estimate.seconds
    if seconds is None:
        return [estimate.name, *[_UNSET] * 7]
    price = (
        [*_format_span(estimate.cost), estimate.price.currency] if estimate.cost and estimate.price else [_UNSET] * 4
    )
    return [
        estimate.name,
        *price,
        f"{seconds.expected * _count(estimate.pod, 'cpu'):,.0f}",
        f"{seconds.expected * _count(estimate.pod, _GPU):,.0f}",
        format_age(seconds.expected),
    ]


def _count(pod: PodRequest, resource: str) -> float:
    try:
        return float(parse_quantity(pod.requests.get(resource, 0)))
    except ValueError:
        return 0.0


def _format_span(span: Span | None) -> list[str]:
    """Expected, from, to: with three digits, or with all digits before the point."""
    return [] if span is None else [_format_amount(value) for value in (span.expected, span.low, span.high)]


def _format_amount(value: float) -> str:
    return f"{value:,.2f}" if value >= 1 else format_amount(Decimal(f"{value:.3g}"))
