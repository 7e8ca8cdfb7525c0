"""spec.preset: where the well-known summarisation datasets are and what their columns are called.

Script-based sets (mlsum, samsum, arxiv, pubmed) are read through the Hub's parquet conversion.
"""

from typing import Final

from deepsynth_api.v1alpha1.dataset_generation import PresetName
from deepsynth_api.v1alpha1.rendering_settings import Columns, Source


def _source(repository: str, config: str | None, text: str, summary: str, *splits: str) -> Source:
    return Source(
        uri=f"hf://datasets/{repository}",
        config=config,
        columns=Columns(text=text, summary=summary),
        splits=list(splits),
    )


PRESETS: Final[dict[PresetName, Source]] = {
    "cnn_dailymail": _source("abisee/cnn_dailymail", "3.0.0", "article", "highlights"),
    "xsum": _source("EdinburghNLP/xsum", None, "document", "summary"),
    "mlsum_fr": _source("reciTAL/mlsum", "fr", "text", "summary"),
    "mlsum_es": _source("reciTAL/mlsum", "es", "text", "summary"),
    "mlsum_de": _source("reciTAL/mlsum", "de", "text", "summary"),
    # ca_test holds Californian bills, another distribution than the US train split.
    "billsum": _source("FiscalNote/billsum", None, "text", "summary", "train", "test"),
    "samsum": _source("knkarthick/samsum", None, "dialogue", "summary"),
    "arxiv": _source("ccdv/arxiv-summarization", "document", "article", "abstract"),
    "pubmed": _source("ccdv/pubmed-summarization", "document", "article", "abstract"),
}


def resolve_source(preset: PresetName | None, source: Source | None) -> Source:
    """The source a spec means. Raises ValueError unless exactly one of preset and source is set."""
    if preset is not None and source is None:
        return PRESETS[preset]
    if source is not None and preset is None:
        return source
    raise ValueError("spec: set exactly one of preset and source")
