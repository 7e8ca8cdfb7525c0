"""README.md of a published data set: the card that the Hub shows and `datasets` reads."""

from typing import Any

import yaml

from deepsynth_render.documents.features import FEATURES
from deepsynth_render.documents.manifest import Manifest


def build_card(manifest: Manifest) -> str:
    """YAML front matter with splits and features, so that nothing need be guessed, and a page for people."""
    front = yaml.safe_dump(_build_front_matter(manifest), sort_keys=False, allow_unicode=True)
    return f"---\n{front}---\n\n{_build_body(manifest)}"


def _build_front_matter(manifest: Manifest) -> dict[str, Any]:
    source = manifest.source
    known = {"license": source.license, "language": [source.language] if source.language else None}
    return {
        **{key: value for key, value in known.items() if value},
        "task_categories": ["image-to-text", "summarization"],
        "configs": [
            {"config_name": "default", "data_files": [_build_pattern(split.name) for split in manifest.splits]}
        ],
        "dataset_info": {
            "features": [{"name": name, "dtype": kind} for name, kind in FEATURES.items()],
            "splits": [
                {"name": split.name, "num_bytes": split.size, "num_examples": split.pages} for split in manifest.splits
            ],
            "download_size": manifest.size,
            "dataset_size": manifest.size,
        },
    }


def _build_pattern(split: str) -> dict[str, str]:
    return {"split": split, "path": f"data/{split}-*.parquet"}


def _build_body(manifest: Manifest) -> str:
    source, page = manifest.source, manifest.look.page
    splits = "\n".join(f"| {split.name} | {split.documents} | {split.pages} |" for split in manifest.splits)
    dropped = "\n".join(f"| {entry.reason} | {entry.rows} |" for entry in manifest.dropped)
    left_out = f"\n## Left out\n\n| Reason | Rows |\n|---|---|\n{dropped}\n" if dropped else ""
    return f"""# Pages of {source.name}

Text and summary pairs of `{source.uri}` (revision `{source.revision}`), drawn as page images: {manifest.documents}
documents on {manifest.pages} pages.

| Split | Documents | Pages |
|---|---|---|
{splits}

A row is a page. `text` is exactly what the page shows: the pages of a document, joined in order, give all of its
text. `summary` is the document's, on each of its pages.

Pages: {page.size} px, {", ".join(page.font_families)}, {", ".join(map(str, page.font_sizes_px))} px, 16 grey levels.
`deepsynth/manifest.json` lists every file with its sha256, and what the pages were made with.
{left_out}"""
