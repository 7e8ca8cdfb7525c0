"""spec.preset: the sources and columns of well-known summarization datasets.

Datasets that are scripts on the Hub (mlsum, samsum, arxiv, pubmed, xlsum) are read from the Hub's own conversion to
parquet. Configurations and columns are those of the datasets' cards; xlsum's license is cc-by-nc-sa-4.0.
"""

from typing import Final

from deepsynth_api.v1alpha1.dataset_generation import PresetName
from deepsynth_api.v1alpha1.settings.rendering_settings import Columns, Source


def _source(repository: str, config: str | None, text: str, summary: str, *splits: str) -> Source:
    return Source(
        uri=f"hf://datasets/{repository}",
        config=config,
        columns=Columns(text=text, summary=summary),
        splits=list(splits),
    )


def _xlsum(config: str) -> Source:
    return _source("csebuetnlp/xlsum", config, "text", "summary")


PRESETS: Final[dict[PresetName, Source]] = {
    "cnn_dailymail": _source("abisee/cnn_dailymail", "3.0.0", "article", "highlights"),
    "xsum": _source("EdinburghNLP/xsum", None, "document", "summary"),
    "mlsum_fr": _source("reciTAL/mlsum", "fr", "text", "summary"),
    "mlsum_es": _source("reciTAL/mlsum", "es", "text", "summary"),
    "mlsum_de": _source("reciTAL/mlsum", "de", "text", "summary"),
    # Without the split ca_test: bills of California differ from the US bills of train.
    "billsum": _source("FiscalNote/billsum", None, "text", "summary", "train", "test"),
    "samsum": _source("knkarthick/samsum", None, "dialogue", "summary"),
    "arxiv": _source("ccdv/arxiv-summarization", "document", "article", "abstract"),
    "pubmed": _source("ccdv/pubmed-summarization", "document", "article", "abstract"),
    "xlsum_ar": _xlsum("arabic"),
    "xlsum_bn": _xlsum("bengali"),
    "xlsum_fa": _xlsum("persian"),
    "xlsum_hi": _xlsum("hindi"),
    "xlsum_ja": _xlsum("japanese"),
    "xlsum_ko": _xlsum("korean"),
    "xlsum_ru": _xlsum("russian"),
    "xlsum_th": _xlsum("thai"),
    "xlsum_tr": _xlsum("turkish"),
    "xlsum_zh": _xlsum("chinese_simplified"),
}


def resolve_source(preset: PresetName | None, source: Source | None) -> Source:
    """The source of a spec. Raises ValueError unless exactly one of preset and source is set."""
    if preset is not None and source is None:
        return PRESETS[preset]
    if source is not None and preset is None:
        return source
    raise ValueError("spec: set exactly one of preset and source")
