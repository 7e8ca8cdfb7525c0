"""The part of the card about the pages: how much text they hold, and in which styles."""

from collections.abc import Sequence

from deepsynth_api.v1alpha1.dataset_generation_status import BYTES_PER_TEXT_TOKEN, PIXELS_PER_IMAGE_TOKEN
from deepsynth_render.documents.dataset_manifest import DatasetManifest


def describe_density(manifest: DatasetManifest) -> str:
    """A paragraph; empty if it is not known."""
    density = manifest.density
    if density is None:
        return ""
    edge = PIXELS_PER_IMAGE_TOKEN
    return f"""
An average page has {density.words_per_page:,} words (between blanks) or {density.characters_per_page:,} characters.
That is about {density.text_tokens_per_image_token} text tokens per image token. Both are estimates: a text token is
{BYTES_PER_TEXT_TOKEN} bytes of UTF-8, an image token {edge}x{edge} pixels ({density.image_tokens_per_page} per page).
"""


def build_styles(manifest: DatasetManifest) -> str:
    """A section with the styles, and how to choose one; empty if an earlier version rendered all shards."""
    if not manifest.styles:
        return ""
    table = build_table(
        "Styles",
        "style | font_family | font_size_px | text_columns | Documents | Pages",
        [tuple(style.to_dict().values()) for style in manifest.styles],
    )
    return f"""{table}
Each row has these columns, and `seed`, which chose the style of its document. To keep one style:

```python
pages = pages.filter(lambda style: style == {manifest.styles[0].style}, input_columns="style")
```
"""


def describe_look(manifest: DatasetManifest) -> str:
    """A line about sizes, fonts and levels of gray."""
    page = manifest.look.page
    sizes = ", ".join(map(str, page.font_sizes_px))
    line = f"Pages: {page.size} px, {', '.join(page.font_families)}, {sizes} px, {2**page.bit_depth} grey levels."
    if page.augmentation is None:
        return line
    limits = ", ".join(f"{name} {value}" for name, value in page.augmentation.to_dict().items())
    return f"{line}\n\nPages are changed to look like scans, up to {limits}. The column `augmented` says which ones."


def build_fonts(manifest: DatasetManifest) -> str:
    """A section with the fonts of spec.fonts and their licenses; empty without any."""
    fonts = manifest.look.own_fonts
    rows = [
        (font.name, *map(quote, (f"{font.uri} {font.path}", font.sha256, font.version, font.license, font.license_url)))
        for font in fonts
    ]
    table = build_table("Fonts", "font_family | File | sha256 | Version | License | License URL", rows)
    note = "\nWhat a font says about its license is quoted from its table of names. The dataset holds no font file.\n"
    return table + note if fonts else ""


def quote(text: str | None) -> str:
    """Text of others in a cell of a table, as code, which has no markup."""
    return f"`{' '.join(text.splitlines()).replace('|', '/').replace('`', '_')}`" if text else ""


def build_table(title: str, header: str, rows: Sequence[Sequence[object]]) -> str:
    """A section with a table, empty without rows."""
    if not rows:
        return ""
    rule = "|".join("---" for _ in header.split("|"))
    lines = [f"| {' | '.join(map(str, row))} |" for row in rows]
    return "\n".join(["", f"## {title}", "", f"| {header} |", f"|{rule}|", *lines, ""])
