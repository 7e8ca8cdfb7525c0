"""README.md of a published dataset: the card that the Hub shows and the library `datasets` reads."""

from collections.abc import Sequence
from typing import Any

import yaml

from deepsynth_api.counted import counted
from deepsynth_api.v1alpha1.dataset_generation_status import ReadColumns
from deepsynth_render.documents.dataset_manifest import BOX_FIELDS, DatasetManifest, list_columns
from deepsynth_render.publish.card_pages import (
    build_fonts,
    build_styles,
    build_table,
    describe_density,
    describe_look,
    quote,
)


def build_card(manifest: DatasetManifest) -> str:
    """YAML front matter with splits and features, so that `datasets` need not guess them, and a page for readers."""
    front = yaml.safe_dump(_build_front_matter(manifest), sort_keys=False, allow_unicode=True)
    return f"---\n{front}---\n\n{_build_body(manifest)}"


def _build_front_matter(manifest: DatasetManifest) -> dict[str, Any]:
    source = manifest.source
    languages = [source.language, *(config.language for config in source.configs or ())]
    known = {"license": source.license, "language": [*dict.fromkeys(filter(None, languages))]}
    return {
        **{key: value for key, value in known.items() if value},
        "task_categories": ["image-to-text", "summarization"],
        "configs": [
            {"config_name": "default", "data_files": [_build_pattern(split.name) for split in manifest.splits]}
        ],
        "dataset_info": {
            "features": [_describe(name, kind) for name, kind in _list_columns(manifest).items()],
            "splits": [
                {"name": split.name, "num_bytes": split.size, "num_examples": split.pages} for split in manifest.splits
            ],
            "download_size": manifest.size,
            "dataset_size": manifest.size,
        },
    }


def _list_columns(manifest: DatasetManifest) -> dict[str, str]:
    return list_columns(manifest.look.page, has_configs=manifest.source.configs is not None)


def _describe(name: str, kind: str) -> dict[str, Any]:
    if kind == "boxes":
        return {"name": name, "list": [_describe(*field) for field in BOX_FIELDS.items()]}
    return {"name": name, "dtype": kind}


def _build_pattern(split: str) -> dict[str, str]:
    return {"split": split, "path": f"data/{split}-*.parquet"}


def _describe_summary(read: ReadColumns) -> str:
    return f"`summary` from `{read.summary}`" if read.summary else "and no summaries, so `summary` is empty"


def _build_body(manifest: DatasetManifest) -> str:
    source = manifest.source
    splits = "\n".join(f"| {split.name} | {split.documents} | {split.pages} |" for split in manifest.splits)
    columns = "".join(
        f"\nRead from {counted(read.rows, 'row')}: `text` from the column `{read.text}`, {_describe_summary(read)}.\n"
        for read in manifest.columns
        if read.config is None
    ) + build_table(
        "Configurations of the source, in the order in which they were read (column `original_config`)",
        "Configuration | Rows | Column of the texts | Column of the summaries",
        [
            (quote(read.config), read.rows, quote(read.text), quote(read.summary))
            for read in manifest.columns
            if read.config
        ],
    )
    dropped = build_table("Dropped rows", "Reason | Rows", [(entry.reason, entry.rows) for entry in manifest.dropped])
    if manifest.dropped_path:
        dropped += (
            f"\n`{manifest.dropped_path}` lists them: where each is in the source, and the reason. It has no texts.\n"
        )
    undrawable = _describe_undrawable(manifest)
    skipped = build_table(
        "Files of the source that were not read",
        "Reason | Files | Such as",
        [(entry.reason, entry.files, _quote(entry.examples)) for entry in manifest.skipped_files],
    )
    return f"""# Pages of {source.name}

Text and summary pairs of `{source.uri}` (revision `{source.revision}`), drawn as page images:
{counted(manifest.documents, "document")} on {counted(manifest.pages, "page")}.

| Split | Documents | Pages |
|---|---|---|
{splits}
{describe_density(manifest)}
A row is a page. `text` is exactly what the page shows: the pages of a document, joined in order, give all of its
text. `summary` is the document's, on each of its pages.

{describe_look(manifest)}
Characters that these fonts lack are drawn in another DejaVu or a Noto font (SIL Open Font License 1.1).
`deepsynth/manifest.json` lists every file with its sha256, and what the pages were made with.
{build_styles(manifest)}{build_fonts(manifest)}{columns}{dropped}{undrawable}{skipped}"""


def _describe_undrawable(manifest: DatasetManifest) -> str:
    found = manifest.undrawable
    if found is None:
        return ""
    scripts = ", ".join(f"{entry.script} ({counted(entry.documents, 'document')})" for entry in found.scripts)
    replaced = f" {manifest.replaced_characters} of them are drawn as U+FFFD." if manifest.replaced_characters else ""
    table = build_table(
        "Characters that no font draws",
        "Character | Documents",
        [(entry.character, entry.documents) for entry in found.characters],
    )
    return f"{table}\nBy script: {scripts}.{replaced}\n"


def _quote(paths: Sequence[str]) -> str:
    """Paths in a cell of a table, as code."""
    return ", ".join(map(quote, paths))
