"""What to render: the part of a DatasetGeneration's spec that the containers need as it is."""

from typing import Annotated, Literal

from pydantic import Field

from deepsynth_api.v1alpha1.base import SET, ApiModel, SecretReference
from deepsynth_api.v1alpha1.patterns import FOLDER, HUB_DATASET, HUB_SOURCE, Decimal, Revision, SplitName, matching

FontFamily = Literal["DejaVu Sans", "DejaVu Serif", "DejaVu Sans Mono"]


class Columns(ApiModel):
    """The two columns of the source that matter. What is left out is detected from the usual names."""

    text: Annotated[
        str | None, Field(description="Column of the long text, such as article, document or dialogue.")
    ] = None
    summary: Annotated[str | None, Field(description="Column of the summary, such as highlights.")] = None


class Source(ApiModel):
    """Where the text comes from."""

    uri: Annotated[
        str,
        matching(
            f"{HUB_SOURCE}|{FOLDER}|docstrings://",
            "write hf://datasets/OWNER/NAME, pvc://CLAIM/PATH, file:///PATH or docstrings://, without '..'",
            max_length=1024,
            description=(
                "hf://datasets/OWNER/NAME, file:///FOLDER-OR-FILE or pvc://CLAIM/PATH (parquet, jsonl, "
                "csv), or docstrings:// for the docstrings of Python's standard library."
            ),
        ),
    ]
    revision: Annotated[
        Revision | None,
        Field(description="Branch, tag or commit of a Hub dataset. It is resolved once and pinned in status."),
    ] = None
    config: Annotated[str | None, Field(description="Configuration of a Hub dataset, such as 3.0.0 or fr.")] = None
    splits: Annotated[
        list[SplitName],
        Field(max_length=16, json_schema_extra=SET, description="Splits to render; default: all that the source has."),
    ] = Field(default_factory=list)
    columns: Annotated[Columns, Field(description="Columns of text and summary; detected when omitted.")] = Columns()
    max_rows_per_split: Annotated[
        int | None, Field(ge=1, description="Read at most this many rows of each split, the first ones.")
    ] = None
    secret_ref: Annotated[SecretReference | None, Field(description="Secret with HF_TOKEN for a private source.")] = (
        None
    )


class Filters(ApiModel):
    """Which rows are rendered. Every row left out is counted by reason in status.progress.dropped."""

    min_text_chars: Annotated[int, Field(ge=1, description="Fewest characters of text.")] = 50
    max_text_chars: Annotated[int | None, Field(ge=1, description="Most characters of text; default: no limit.")] = None
    min_summary_chars: Annotated[int, Field(ge=1, description="Fewest characters of summary.")] = 10
    max_summary_chars: Annotated[
        int | None, Field(ge=1, description="Most characters of summary; default: no limit.")
    ] = None
    deduplicate: Annotated[
        bool,
        Field(
            description=(
                "Keep one of equal texts over all splits: test first, then validation, then train, so "
                "that no document is on both sides."
            ),
        ),
    ] = True


class PageSettings(ApiModel):
    """How a page looks. Several families or sizes give each document one of them, chosen by seed."""

    size: Annotated[
        str,
        matching(
            "512|640|1024|1280|a4@(72|96)|[1-9][0-9]{2,3}x[1-9][0-9]{2,3}",
            "write 512, 640, 1024, 1280, a4@72, a4@96 or WIDTHxHEIGHT in quotes, such as 800x600",
            max_length=16,
            description=(
                "Pixels: 512, 640, 1024 or 1280 square, a4@72, a4@96, or WIDTHxHEIGHT. Use the model's "
                "own size so that nothing is resampled."
            ),
        ),
    ] = "1024"
    font_families: Annotated[
        list[FontFamily],
        Field(min_length=1, max_length=8, json_schema_extra=SET, description="Font families to choose from."),
    ] = Field(default=["DejaVu Sans"])
    font_sizes_px: Annotated[
        list[Annotated[int, Field(ge=6, le=96)]],
        Field(
            min_length=1, max_length=8, json_schema_extra=SET, description="Font sizes to choose from, pixels per em."
        ),
    ] = Field(default=[18])
    line_height: Annotated[Decimal, Field(description="Line pitch as a multiple of the font size.")] = "1.25"
    margin_px: Annotated[int, Field(ge=0, le=512, description="Margin on all four sides, in pixels.")] = 32
    align: Annotated[
        Literal["left", "justify"], Field(description="Alignment of lines: left, or justify to both margins.")
    ] = "left"
    columns: Annotated[int, Field(ge=1, le=2, description="Columns of text on a page: one or two.")] = 1
    max_pages: Annotated[
        int,
        Field(ge=1, le=1000, description="A document that needs more pages is left out and counted, never cut."),
    ] = 64
    seed: Annotated[int, Field(ge=0, le=2**31 - 1, description="Seed of the variety of fonts and sizes.")] = 0


class OutputSettings(ApiModel):
    """Where the dataset goes."""

    uri: Annotated[
        str,
        matching(
            f"{HUB_DATASET}|{FOLDER}",
            "write hf://datasets/OWNER/NAME, pvc://CLAIM/PATH or file:///PATH, without '..'",
            max_length=1024,
            description="hf://datasets/OWNER/NAME, pvc://CLAIM/PATH or file:///PATH.",
        ),
    ]
    private: Annotated[bool, Field(description="Create the Hub repository private.")] = True
    secret_ref: Annotated[
        SecretReference | None, Field(description="Secret with HF_TOKEN that may write the repository.")
    ] = None
    compression: Annotated[
        Literal["small", "fast"],
        Field(description="PNG effort: small spends some three times the CPU for files about 15 % smaller."),
    ] = "small"
    max_shard_bytes: Annotated[
        int,
        Field(ge=1_000_000, le=5_000_000_000, description="Size at which a parquet file is closed, bytes."),
    ] = 500_000_000
    license: Annotated[
        str | None,
        Field(max_length=64, description="Licence for the dataset card, such as mit or cc-by-4.0."),
    ] = None


class RenderingSettings(ApiModel):
    """What to render, the part of the spec that the containers need."""

    filters: Annotated[
        Filters, Field(description="Which rows are rendered, by length, and whether equal texts are kept once.")
    ] = Filters()
    page: Annotated[PageSettings, Field(description="How a page looks: its size, fonts and layout.")] = PageSettings()
    output: Annotated[OutputSettings, Field(description="Where the dataset of pages goes.")]
    rows_per_shard: Annotated[
        int, Field(ge=1, le=1_000_000, description="Documents in one shard, the unit of parallel work.")
    ] = 5000
