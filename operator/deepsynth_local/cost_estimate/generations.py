"""Pod-seconds of a DatasetGeneration, from generations that are complete and have the same page settings.

    measured with one size      render grows with the number of documents; of plan and publish, all to nothing
    measured with two or more   each step is start-up and a part that grows, as the difference of the sizes shows

Documents of the same source come first: those of another one may be longer or shorter.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Final, NamedTuple

from deepsynth_api.presets import resolve_source
from deepsynth_api.v1alpha1 import DatasetGeneration
from deepsynth_api.v1alpha1.dataset_generation import PresetName
from deepsynth_local.cost_estimate.span import NOTHING, Span

MAX_MEASURED: Final = 5
"""How many of the newest measured resources count: older ones may have run on other machines."""
MIN_GROWTH: Final = 2
"""From a small to a large one: of two sizes closer together, the difference is mostly chance."""
DEFAULT_SECONDS: Final = Span(0.05, 0.005, 0.5)
"""Pod-seconds per document where nothing was measured: from a page of Latin text in the fast compression to a hundred
pages, or a few in a script that takes much shaping."""
PRESET_DOCUMENTS: Final[Mapping[PresetName, Sequence[int]]] = {
    "cnn_dailymail": (287_113, 13_368, 11_490),
    "xsum": (204_045, 11_332, 11_334),
    "mlsum_fr": (392_902, 16_059, 15_828),
    "mlsum_es": (266_367, 10_358, 13_920),
    "mlsum_de": (220_887, 11_394, 10_701),
    "billsum": (18_949, 3_269),
}
"""Rows of each split, as the cards of the datasets say."""


@dataclass(frozen=True)
class Corpus:
    """How much a generation renders. train_share: part of the documents in the split train, if it is known."""

    documents: int
    source: str
    """Where the number comes from, for users."""
    pages_per_document: float | None = None
    train_share: float | None = None


class Point(NamedTuple):
    """What a step took for a number of documents. seconds: of all pods together."""

    documents: float
    seconds: float


@dataclass(frozen=True)
class Basis:
    """What an estimate rests on. measured: empty if nothing fits."""

    measured: Sequence[DatasetGeneration]
    note: str


def choose_measured(generation: DatasetGeneration, others: Iterable[DatasetGeneration]) -> Basis:
    """The newest complete generations with the same page settings: of the same source, if there is one."""
    fitting = [other for other in others if _is_measured(other) and _get_settings(other) == _get_settings(generation)]
    same_source = [other for other in fitting if _identify_source(other) == _identify_source(generation)]
    chosen = (same_source or fitting)[-MAX_MEASURED:]
    names = ", ".join(f"datasetgeneration/{other.metadata.name}" for other in chosen)
    if not chosen:
        return Basis([], "not measured: no complete DatasetGeneration has these page settings; a wide default range")
    return Basis(chosen, f"measured: {names}" + ("" if same_source else ", whose documents are of another source"))


def count_documents(generation: DatasetGeneration, basis: Basis, given: int | None) -> Corpus | None:
    """None if nothing says how many documents there are. given: by the user."""
    like = basis.measured[-1] if basis.measured else None
    pages = _count_pages_per_document(like) if like else None
    share = _measure_train_share(like) if like else None
    if given is not None:
        return Corpus(given, "--documents", pages, share)
    limit = _get_limit(generation)
    if generation.spec.preset and (rows := PRESET_DOCUMENTS.get(generation.spec.preset)):
        kept = [min(count, limit or count) for count in rows]
        return Corpus(sum(kept), "rows of the preset, before filters", pages, share or kept[0] / sum(kept))
    for other in reversed(basis.measured):
        if _identify_source(other) == _identify_source(generation) and (counted := _scale_plan(other, limit)):
            return Corpus(counted, f"as datasetgeneration/{other.metadata.name}", pages, share)
    return None


def describe_corpus(generation: DatasetGeneration) -> Corpus | None:
    """What a complete generation has published; None if it has published nothing."""
    output = generation.status.output
    if output is None:
        return None
    pages = _count_pages_per_document(generation)
    return Corpus(output.rows, "published", pages, _measure_train_share(generation))


def predict_seconds(documents: int, basis: Basis) -> Span:
    """Pod-seconds of all three steps together."""
    if not basis.measured:
        return DEFAULT_SECONDS * documents
    steps = [_predict_step(step, documents, basis.measured) for step in ("plan", "render", "publish")]
    return sum(steps, NOTHING).widen()


def _predict_step(step: str, documents: int, measured: Sequence[DatasetGeneration]) -> Span:
    points = [Point(_count_planned(item), _count_seconds(item, step)) for item in measured]
    most = max(point.documents for point in points)
    small = [point for point in points if point.documents <= most / MIN_GROWTH]
    if small:
        return _extend(_average(small), _average([point for point in points if point not in small]), documents)
    return Span.join([_scale(step, point, documents) for point in points])


def _scale(step: str, point: Point, documents: int) -> Span:
    ratio = documents / point.documents
    return (Span(ratio, ratio, ratio) if step == "render" else Span.between(1, ratio)) * point.seconds


def _extend(small: Point, large: Point, documents: int) -> Span:
    """Along the line through two points. The range goes to where all of it grows: a line may be too flat by chance."""
    most = large.seconds / large.documents
    slope = min(max((large.seconds - small.seconds) / (large.documents - small.documents), 0), most)
    line, steepest = (max(large.seconds + rate * (documents - large.documents), 0) for rate in (slope, most))
    return Span(line, min(line, steepest), max(line, steepest))


def _average(points: Sequence[Point]) -> Point:
    return Point(fmean(point.documents for point in points), fmean(point.seconds for point in points))


def _count_seconds(measured: DatasetGeneration, step: str) -> float:
    return sum(job.pod_seconds - job.lost_pod_seconds for job in measured.status.jobs if job.step == step)


def _is_measured(generation: DatasetGeneration) -> bool:
    rendered = sum(job.pod_seconds for job in generation.status.jobs if job.step == "render")
    return generation.status.state == "Complete" and rendered > 0 and _count_planned(generation) > 0


def _get_settings(generation: DatasetGeneration) -> tuple[object, ...]:
    """What the time for a document depends on."""
    spec = generation.spec
    return spec.page, spec.fonts, spec.output.compression


def _identify_source(generation: DatasetGeneration) -> tuple[object, ...]:
    source = resolve_source(generation.spec.preset, generation.spec.source)
    return source.uri, source.config, frozenset(source.configs), source.columns, frozenset(source.splits)


def _get_limit(generation: DatasetGeneration) -> int | None:
    return resolve_source(generation.spec.preset, generation.spec.source).max_rows_per_split


def _count_planned(generation: DatasetGeneration) -> int:
    plan = generation.status.plan
    return sum(split.rows for split in plan.splits) if plan else 0


def _scale_plan(measured: DatasetGeneration, limit: int | None) -> int | None:
    """Documents of the same source with another limit; None if the measured one did not see all that are needed."""
    plan, seen = measured.status.plan, _get_limit(measured)
    if plan is None:
        return None
    configs = len({read.config for read in plan.columns}) or 1
    if seen is None:
        return sum(min(split.rows, limit * configs if limit else split.rows) for split in plan.splits)
    read = sum(split.rows for split in plan.splits) + sum(item.rows for item in plan.dropped)
    if read < seen * configs * len(plan.splits):  # some split has fewer rows than the limit
        return _count_planned(measured) if limit is None or limit >= seen else _shrink(measured, limit / seen)
    return None if limit is None else _shrink(measured, limit / seen)


def _shrink(measured: DatasetGeneration, ratio: float) -> int:
    """In proportion. If the source has fewer rows than a larger limit, it is too many."""
    return max(round(_count_planned(measured) * ratio), 1)


def _count_pages_per_document(generation: DatasetGeneration) -> float | None:
    output = generation.status.output
    return output.pages / output.rows if output and output.rows else None


def _measure_train_share(generation: DatasetGeneration) -> float | None:
    plan = generation.status.plan
    rows = {split.name: split.rows for split in plan.splits} if plan else {}
    return rows["train"] / sum(rows.values()) if rows.get("train") else None
