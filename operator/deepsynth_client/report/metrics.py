"""How metrics are named and written for users: `validation_cer`, 0.0342 -> `CER`, `3.4%`."""

from collections.abc import Mapping
from typing import Final

LABELS: Final[Mapping[str, str]] = {
    "validation_cer": "CER",
    "validation_cer_swapped": "CER with the pages of other documents",
    "validation_wer": "WER",
    "validation_rouge1": "ROUGE-1",
    "validation_rougeL": "ROUGE-L",
    "validation_exact_match": "exact match",
    "validation_loss": "loss",
    "validation_loss_swapped": "loss with the pages of other documents",
    "validation_loss_black": "loss with black pages",
}
"""By their names on the curve, in the order in which they are shown. Those without `loss` are shares, from 0 to 1."""
_RANKING: Final[Mapping[str, str]] = {
    "loss": "validation_loss",
    "cer": "validation_cer",
    "wer": "validation_wer",
    "rouge": "validation_rougeL",
    "exactMatch": "validation_exact_match",
}
"""What a metric of spec.evaluation ranks by."""


def format_metric(name: str, value: float) -> str:
    """3.4% for a share, three decimals for a loss, four digits for a metric of another version."""
    if name not in LABELS:
        return f"{value:.4g}"
    return f"{value:.3f}" if "loss" in name else f"{value:.1%}"


def describe_rank(metric: str, value: str, loss: str) -> str:
    """The metric that ranks a checkpoint and its value: `CER 3.4%`; empty if it was not measured.

    The arguments are fields of a checkpoint in the status. metric is empty where an older trainer reported it.
    """
    metric, value = (metric, value) if metric else ("loss", loss)
    name = _RANKING.get(metric, metric)
    try:
        return f"{LABELS.get(name, name)} {format_metric(name, float(value))}"
    except ValueError:  # the report of a pod is untrusted input
        return f"{metric} {value}" if value else ""
