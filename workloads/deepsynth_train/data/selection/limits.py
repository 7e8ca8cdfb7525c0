"""Which samples are too long for the model, and how many may be dropped."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from deepsynth_api.counted import counted
from deepsynth_api.errors import DataError
from deepsynth_api.reasons import Reason
from deepsynth_train.coordination.progress import DroppedSamples
from deepsynth_train.data.selection.index import SampleIndex
from deepsynth_train.models.interface.page_model import PageModel


@dataclass(frozen=True)
class Limits:
    """None: only the model's own limit. max_dropped_percent: of the samples, 0 to 100."""

    max_label_tokens: int | None
    max_sequence_tokens: int | None
    max_dropped_percent: int


def find_too_long(
    pages: NDArray[np.int64],
    labels: NDArray[np.int64],
    tokens: NDArray[np.int64],
    model: PageModel,
    limits: Limits,
) -> dict[str, NDArray[np.bool_]]:
    """Which samples do not fit as a whole, by reason: bool, (samples,) each. Samples are never truncated."""
    context = min(limits.max_sequence_tokens or model.family.context_tokens, model.family.context_tokens)
    return {
        Reason.TOO_MANY_PAGES: pages > (model.family.max_pages or context),
        Reason.LABEL_TOO_LONG: labels + 1 > (limits.max_label_tokens or context),
        Reason.SEQUENCE_TOO_LONG: tokens > context,
    }


def apply_reasons(
    reasons: Mapping[str, NDArray[np.bool_]], samples: int
) -> tuple[NDArray[np.bool_], tuple[DroppedSamples, ...]]:
    """Which samples are kept, and the counts; a sample counts for the first reason that applies."""
    kept = np.ones(samples, dtype=bool)
    dropped = []
    for reason, bad in reasons.items():
        if count := int((bad & kept).sum()):
            dropped.append(DroppedSamples(reason, count))
        kept &= ~bad
    return kept, tuple(dropped)


_REMEDIES: Final[Mapping[str, str]] = {
    Reason.NO_LABEL: "give every document a summary or a text",
    Reason.PAGES_MISSING: "publish the dataset again with all pages of its documents",
    Reason.TOO_MANY_PAGES: "use a model that reads more pages per document, spec.task ocr, or larger pages",
    Reason.LABEL_TOO_LONG: "raise spec.maxLabelTokens, up to the model's context",
    Reason.SEQUENCE_TOO_LONG: "raise spec.maxSequenceTokens, up to the model's context",
}


def check_enough(index: SampleIndex, limits: Limits, where: str, *, first_dropped: int | None = None) -> None:
    """Raise DataError if too few samples are left. first_dropped: the row of the first dropped sample, from 0."""
    counts = ", ".join(f"{drop.samples} {drop.reason}" for drop in index.dropped)
    example = f"; the first is row {first_dropped}" if first_dropped is not None else ""
    if not len(index):
        raise DataError(f"{where}: no usable sample ({counts or 'it is empty'}); check its source and filters")
    percent = 100 * (index.seen - len(index)) / index.seen
    if percent > limits.max_dropped_percent:
        remedies = ", ".join(_REMEDIES[drop.reason] for drop in index.dropped)
        raise DataError(
            f"{where}: {percent:.1f} % of {counted(index.seen, 'sample')} dropped ({counts}{example}), more than "
            f"spec.maxDroppedPercent {limits.max_dropped_percent}; {remedies}, or raise that limit",
            reason=Reason.TOO_MANY_SAMPLES_DROPPED,
        )
