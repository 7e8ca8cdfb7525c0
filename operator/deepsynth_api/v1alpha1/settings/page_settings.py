"""How pages look: size, fonts, layout, and how text fits them."""

from typing import Annotated, Literal

from pydantic import Field

from deepsynth_api.v1alpha1.settings.augmentation_settings import AugmentationSettings
from deepsynth_api.v1alpha1.settings.font_settings import BUNDLED_FAMILIES, FamilyName
from deepsynth_api.v1alpha1.shared.base import SET, ApiModel
from deepsynth_api.v1alpha1.shared.patterns import Decimal, matching


class PageFit(ApiModel):
    """How the text of a document fits its pages."""

    mode: Annotated[
        Literal["fixed", "shrink", "balance", "compression"],
        Field(
            description=(
                "fixed: pages are filled one after another, in the size of fontSizesPx. shrink: the font is reduced by "
                "at most maxShrinkPercent, and no more than needed, so that the document has the fewest pages. "
                "balance: as many pages as with fixed, and the text is spread evenly over them. compression: the size, "
                "at most that of fontSizesPx, that comes nearest to textTokensPerImageToken."
            )
        ),
    ] = "fixed"
    max_shrink_percent: Annotated[
        int | None, Field(ge=1, le=50, description="With mode shrink: the most by which the font size is reduced.")
    ] = None
    text_tokens_per_image_token: Annotated[
        Decimal | None,
        Field(
            description=(
                "With mode compression: the target, from 0.1 to 50, for the tokens of a document's text for each of "
                "its pages' image tokens. Both are estimates, as in status.output.density: a text token is 4 bytes of "
                "UTF-8, an image token a square of 64 pixels."
            )
        ),
    ] = None
    crop_to_multiple_px: Annotated[
        int | None,
        Field(
            ge=1,
            le=512,
            description=(
                "Cut the height of each page below its text and the margin, to a multiple of this number of pixels, "
                "such as the patch size of the model. Goes with each mode. Default: all pages have the full height."
            ),
        ),
    ] = None


class PageSettings(ApiModel):
    """Layout of a page. With several font families or sizes, the seed chooses one per document."""

    size: Annotated[
        str,
        matching(
            "512|640|1024|1280|a4@(72|96)|[1-9][0-9]{2,3}x[1-9][0-9]{2,3}",
            "must be 512, 640, 1024, 1280, a4@72, a4@96 or WIDTHxHEIGHT in quotes, such as 800x600",
            max_length=16,
            description=(
                "Size of a page in pixels: 512, 640, 1024 or 1280 (square), a4@72, a4@96, or WIDTHxHEIGHT. Use "
                "the input size of the model, so that pages are not resampled."
            ),
        ),
    ] = "1024"
    format: Annotated[
        Literal["plain", "markdown"],
        Field(
            description=(
                "What the texts are: plain shows each character as it is; markdown shows headings, lists, tables and "
                "so forth as such (CommonMark, with the tables, task lists and strikethrough of GitHub). The column "
                "text holds the source in both cases."
            ),
        ),
    ] = "plain"
    font_families: Annotated[
        list[FamilyName],
        Field(
            min_length=1,
            max_length=8,
            json_schema_extra=SET,
            description=(
                f"Font families to choose from, one per document: {', '.join(BUNDLED_FAMILIES)}, or names of fonts."
            ),
        ),
    ] = Field(default=["DejaVu Sans"])
    font_sizes_px: Annotated[
        list[Annotated[int, Field(ge=6, le=96)]],
        Field(
            min_length=1,
            max_length=8,
            json_schema_extra=SET,
            description="Font sizes to choose from, one per document, in pixels per em.",
        ),
    ] = Field(default=[18])
    line_height: Annotated[
        Decimal,
        Field(
            description="Distance between lines as a multiple of the font size, from 0.8 to 4.0. Documents with taller "
            "letters, such as Burmese, get what these need."
        ),
    ] = "1.25"
    margin_px: Annotated[int, Field(ge=0, le=512, description="Margin on all four sides, in pixels.")] = 32
    align: Annotated[
        Literal["left", "justify"],
        Field(
            description="Alignment of lines: left (right where text runs from right to left), or justify for straight "
            "edges on both sides."
        ),
    ] = "left"
    columns: Annotated[int, Field(ge=1, le=2, description="Number of text columns on a page.")] = 1
    whitespace: Annotated[
        Literal["keep", "collapse", "monospace"],
        Field(
            description=(
                "Runs of blanks, which nobody can count in a proportional font: keep them, collapse them to one blank "
                "(in the column text too), or draw documents that align words with three or more blanks in DejaVu Sans "
                "Mono."
            ),
        ),
    ] = "keep"
    bit_depth: Annotated[
        Literal[4, 2],
        Field(
            description="Bits per pixel: 4 (16 gray levels), or 2 (4 levels), which makes files about a third smaller "
            "and edges of letters rougher."
        ),
    ] = 4
    boxes: Annotated[
        Literal["none", "lines", "words"],
        Field(
            description=(
                "Column boxes, for models that point at what they read: the text and the rectangle in pixels of each "
                "line or word of the page, in reading order."
            )
        ),
    ] = "none"
    augmentation: Annotated[
        AugmentationSettings | None,
        Field(description="Make pages look like scans. Default: pages are clean. {} sets moderate limits."),
    ] = None
    tab_stop_ems: Annotated[
        int | None,
        Field(
            ge=1,
            le=32,
            description=(
                "Distance of tab stops, in ems: what follows a tab begins at the next one, and text keeps the tab. "
                "Default: a tab is four blanks, in text too."
            ),
        ),
    ] = None
    hanging_indent: Annotated[
        bool,
        Field(
            description="Set all lines of a paragraph below the text of its first one, behind the blanks and the "
            "bullet or number there."
        ),
    ] = False
    hyphenation: Annotated[
        str | None,
        matching(
            "[a-z]{2,3}([_-][A-Za-z0-9]{2,8})*",
            "must be a language such as en, en_GB or de",
            max_length=16,
            description=(
                "Language in whose words lines may break, with a hyphen on the page that text does not have, such as "
                "en, en_GB, fr or de. Default: words are not hyphenated."
            ),
        ),
    ] = None
    fit: Annotated[PageFit, Field(description="How the text of a document fits its pages.")] = PageFit.defaults()
    max_pages: Annotated[
        int,
        Field(
            ge=1,
            le=1000,
            description="Maximum number of pages of a document. Longer documents are dropped and counted, never cut.",
        ),
    ] = 64
    seed: Annotated[int, Field(ge=0, le=2**31 - 1, description="Random seed for the choice of fonts and sizes.")] = 0
