"""What to render: the part of a DatasetGeneration's spec that the containers get unchanged."""

from typing import Annotated, Final, Literal

from pydantic import Field

from deepsynth_api.v1alpha1.settings.font_settings import FontSource
from deepsynth_api.v1alpha1.settings.page_settings import PageSettings
from deepsynth_api.v1alpha1.shared.base import SET, ApiModel, SecretReference
from deepsynth_api.v1alpha1.shared.patterns import (
    FOLDER,
    HUB_DATASET,
    HUB_SOURCE,
    NO_CREDENTIALS,
    OBJECT_FORMS,
    OBJECTS,
    Revision,
    SplitName,
    matching,
)

ALL_CONFIGS: Final = "*"
"""In spec.source.configs. The library `datasets` refuses this character in the name of a configuration."""


class Columns(ApiModel):
    """The two columns of the source that are read. A column that is not set is detected by its usual names."""

    text: Annotated[
        str | None,
        Field(
            description=(
                "Name of the column with the long text, such as article, document or dialogue. A column of messages "
                "(a list of role and content) gives the messages before the last one of the assistant."
            )
        ),
    ] = None
    summary: Annotated[
        str | None,
        Field(
            description=(
                "Name of the column with the summary, such as highlights. Default for a column of messages: the last "
                "message of the assistant in it. With a summary column of its own, the text is the whole chat. "
                "'' reads no summaries: for datasets that are only read by task ocr."
            )
        ),
    ] = None


class Source(ApiModel):
    """Where the text comes from."""

    uri: Annotated[
        str,
        matching(
            f"{HUB_SOURCE}|{OBJECTS}|{FOLDER}|docstrings://",
            f"must be hf://datasets/OWNER/NAME, {OBJECT_FORMS}, pvc://CLAIM/PATH, file:///PATH or docstrings://, "
            f"{NO_CREDENTIALS}",
            max_length=1024,
            description=(
                f"Where the text is: hf://datasets/OWNER/NAME, {OBJECT_FORMS}, file:///FOLDER-OR-FILE or "
                "pvc://CLAIM/PATH (parquet, jsonl, json, csv or tsv, all but parquet also as .gz, .zst, .bz2 or .xz), "
                "or docstrings:// for the docstrings of Python's standard library."
            ),
        ),
    ]
    revision: Annotated[
        Revision | None,
        Field(description="Branch, tag or commit of a Hub dataset. It is resolved once and pinned in status.plan."),
    ] = None
    config: Annotated[
        str | None, Field(description="Configuration of the dataset, as its card names it, such as 3.0.0 or fr.")
    ] = None
    configs: Annotated[
        list[Annotated[str, Field(min_length=1, max_length=64)]],
        Field(
            max_length=256,
            json_schema_extra=SET,
            description=(
                "Several configurations instead of config, such as [de, fr], or ['*'] for all. Splits of the same name "
                "become one: its rows are read in the order of this list. The column original_config of each page "
                "names the configuration. Default: one configuration."
            ),
        ),
    ] = Field(default_factory=list)
    splits: Annotated[
        list[SplitName],
        Field(
            max_length=256,
            json_schema_extra=SET,
            description="Names of the splits to render; default: all splits of the source.",
        ),
    ] = Field(default_factory=list)
    columns: Annotated[
        Columns,
        Field(
            description=(
                "Names of the text and the summary column. A column that is not set is detected by its usual names."
            )
        ),
    ] = Columns.defaults()
    max_rows_per_split: Annotated[
        int | None,
        Field(
            ge=1,
            description=(
                "Maximum number of rows to read from the start of each split of each configuration; default: all rows."
            ),
        ),
    ] = None
    holdout_percent: Annotated[
        int | None,
        Field(
            ge=1,
            le=50,
            description=(
                "Percentage of the documents of a source with a single split that become the split validation. A hash "
                "of the text decides, so equal texts are on the same side. Default: none."
            ),
        ),
    ] = None
    require_license: Annotated[
        list[Annotated[str, Field(min_length=1, max_length=64)]],
        Field(
            max_length=32,
            json_schema_extra=SET,
            description=(
                "Licenses that the card of the source may have, such as mit or cc-by-4.0. A source with another "
                "license, or without one, is refused. Default: any."
            ),
        ),
    ] = Field(default_factory=list)
    secret_ref: Annotated[
        SecretReference | None,
        Field(description="Secret with the key HF_TOKEN, or those of an object store, for a private source."),
    ] = None


class Filters(ApiModel):
    """Which rows are rendered. Dropped rows are counted by reason in status.progress.dropped."""

    min_text_chars: Annotated[int, Field(ge=1, description="Minimum number of characters of the text.")] = 50
    max_text_chars: Annotated[
        int | None, Field(ge=1, description="Maximum number of characters of the text; default: no limit.")
    ] = None
    min_summary_chars: Annotated[int, Field(ge=1, description="Minimum number of characters of the summary.")] = 10
    max_summary_chars: Annotated[
        int | None, Field(ge=1, description="Maximum number of characters of the summary; default: no limit.")
    ] = None
    deduplicate: Annotated[
        bool,
        Field(
            description=(
                "Keep only one of several equal texts. The split test comes first, then validation, then train, "
                "so that no text is in two splits."
            ),
        ),
    ] = True
    max_similarity_percent: Annotated[
        int | None,
        Field(
            ge=50,
            le=99,
            description=(
                "Drop texts that have more than this percentage of their groups of five words in common with an "
                "earlier text of any split, in the order of deduplicate. An estimate, which takes about 2 KB of memory "
                "per document in the plan step. Default: only equal texts are dropped."
            ),
        ),
    ] = None
    undrawable: Annotated[
        Literal["refuse", "replace"],
        Field(
            description=(
                "What to do with a document that has a character which no font draws: refuse it, or replace the "
                "character by U+FFFD, on the page and in the column text. Both are counted."
            ),
        ),
    ] = "refuse"


class OutputSettings(ApiModel):
    """Where the dataset is published."""

    uri: Annotated[
        str,
        matching(
            f"{HUB_DATASET}|{OBJECTS}|{FOLDER}",
            f"must be hf://datasets/OWNER/NAME, {OBJECT_FORMS}, pvc://CLAIM/PATH or file:///PATH, {NO_CREDENTIALS}",
            max_length=1024,
            description=(
                f"Where to publish the dataset: hf://datasets/OWNER/NAME, {OBJECT_FORMS}, pvc://CLAIM/PATH or "
                "file:///PATH."
            ),
        ),
    ]
    private: Annotated[bool, Field(description="Whether a new Hub repository is private.")] = True
    secret_ref: Annotated[
        SecretReference | None,
        Field(description="Secret with the key HF_TOKEN, or those of an object store, with write access."),
    ] = None
    compression: Annotated[
        Literal["small", "fast"],
        Field(
            description=("PNG compression: small takes about twice the CPU time of fast, for files about 10 % smaller.")
        ),
    ] = "small"
    max_shard_bytes: Annotated[
        int,
        Field(
            ge=1_000_000,
            le=5_000_000_000,
            description="Size in bytes at which a parquet file is closed and the next one begins.",
        ),
    ] = 500_000_000
    license: Annotated[
        str | None,
        Field(max_length=64, description="License in the dataset card, such as mit or cc-by-4.0."),
    ] = None


class RenderingSettings(ApiModel):
    """What to render: the part of the spec that the containers get unchanged."""

    filters: Annotated[
        Filters, Field(description="Which rows are rendered: limits of length, and whether duplicates are dropped.")
    ] = Filters.defaults()
    page: Annotated[PageSettings, Field(description="Layout of a page: size, fonts, margin and columns.")] = (
        PageSettings.defaults()
    )
    fonts: Annotated[
        list[FontSource],
        Field(
            max_length=8,
            json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"]},
            description=(
                "Fonts of your own, for page.fontFamilies and for characters that the chosen family lacks. They come "
                "before the fonts that DeepSynth brings."
            ),
        ),
    ] = Field(default_factory=list)
    output: Annotated[OutputSettings, Field(description="Where the dataset of pages is published.")]
    rows_per_shard: Annotated[
        int, Field(ge=1, le=1_000_000, description="Number of documents per shard. Shards are rendered in parallel.")
    ] = 5000
    max_refused_percent: Annotated[
        int,
        Field(
            ge=0,
            le=100,
            description=(
                "Maximum percentage of the documents that may be refused because they cannot be drawn: by a character "
                "without a font, a word wider than a column, or too many pages. Beyond it the resource fails, as it "
                "does if more than 90 % of the rows have no text or no summary, unless this is higher."
            ),
        ),
    ] = 50
