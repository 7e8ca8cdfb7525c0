"""Small datasets of pages for training tests, written as parquet like a rendered one. Heavy imports are local."""

import hashlib
import io
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from PIL import Image

Row = dict[str, Any]


def draw_page(text: str, size: tuple[int, int] = (64, 64)) -> bytes:
    """PNG with the text in large letters, so that 64 px are enough to distinguish pages."""
    from PIL import Image, ImageDraw

    image = Image.new("L", size, 255)
    ImageDraw.Draw(image).text((4, 4), text, fill=0, font_size=size[1] * 3 // 4)
    return encode(image)


def encode(image: "Image.Image") -> bytes:
    """PNG."""
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()


def draw_noise(seed: int, size: tuple[int, int] = (64, 64)) -> bytes:
    import numpy as np
    from PIL import Image

    noise = np.random.default_rng(seed).integers(0, 256, size[::-1], dtype=np.uint8)
    return encode(Image.fromarray(noise))


def build_document(number: int, pages: int = 1, **changes: Any) -> list[Row]:
    """Rows of one document whose pages are noise; document 7 has the summary "document 7"."""
    return [
        {
            "image": {"bytes": draw_noise(100 * number + page), "path": None},
            "text": f"page {page} of {number}",
            "summary": f"document {number}",
            "document_id": f"d{number}",
            "page": page,
            "num_pages": pages,
            **changes,
        }
        for page in range(pages)
    ]


def build_documents(count: int, start: int = 0) -> list[Row]:
    """Documents of one to three pages."""
    return [row for number in range(start, start + count) for row in build_document(number, 1 + number % 3)]


def write_split(folder: Path, split: str, rows: Sequence[Row], number: int = 0) -> Path:
    import pyarrow as pa
    import pyarrow.parquet as pq

    path = folder / "data" / f"{split}-{number:05d}.parquet"
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.Table.from_pylist(list(rows)), path)
    return path


def write_dataset(folder: Path, splits: Mapping[str, Sequence[Row]]) -> Path:
    """One parquet file per split and a manifest with their hashes."""
    files = []
    for split, rows in splits.items():
        path = write_split(folder, split, rows)
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        files.append({"path": f"data/{path.name}", "size": path.stat().st_size, "sha256": digest, "rows": len(rows)})
    (folder / "deepsynth").mkdir(exist_ok=True)
    (folder / "deepsynth" / "manifest.json").write_text(json.dumps({"files": files}))
    return folder
