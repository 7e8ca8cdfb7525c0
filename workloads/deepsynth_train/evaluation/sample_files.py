"""Samples to show, as files in the run's folder.

samples/step-40.json             what the model wrote after step 40, and the references
samples/pages/17-0.png           the first page of validation sample 17, small; written once
"""

import io
import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final

from deepsynth_store.core.atomic import write_file_atomically
from deepsynth_train.coordination.progress import WrittenSample
from deepsynth_train.data.files.images import read_page
from deepsynth_train.evaluation.text_metrics import Pair, compute_cer, normalise

FOLDER: Final = "samples"
"""In the folder of spec.checkpoint.uri."""
MAX_PAGES: Final = 2
"""Of a sample: enough to recognise it."""
SIDE: Final = 400
"""Pixels of the longer side of a page."""


def write_samples(
    folder: Path, step: int, samples: Sequence[WrittenSample], read_pages: Callable[[int], Sequence[bytes]]
) -> None:
    """Write the texts of one evaluation, and the pages that are not there yet. read_pages: encoded, by sample number.

    Raises OSError.
    """
    (folder / "pages").mkdir(parents=True, exist_ok=True)
    entries = [_build_entry(sample, list(_write_pages(folder, sample, read_pages))) for sample in samples]
    text = json.dumps({"step": step, "samples": entries}, ensure_ascii=False, indent=1)
    write_file_atomically(folder / f"step-{step}.json", text.encode())


def read_samples(folder: Path, step: int) -> list[WrittenSample]:
    """The samples that `write_samples` wrote for this step; empty when there are none."""
    try:
        entries = json.loads((folder / f"step-{step}.json").read_text())["samples"]
    except OSError:
        return []
    return [
        WrittenSample(number, entry["name"], entry["reference"], entry["written"])
        for number, entry in enumerate(entries)
    ]


def _build_entry(sample: WrittenSample, pages: Sequence[str]) -> dict[str, Any]:
    return {
        "name": sample.name,
        "pages": pages,
        "reference": sample.reference,
        "written": sample.written,
        "cer": round(compute_cer([Pair(normalise(sample.written), normalise(sample.reference))]), 4),
    }


def _write_pages(folder: Path, sample: WrittenSample, read_pages: Callable[[int], Sequence[bytes]]) -> Iterator[str]:
    """Paths of the pages below `folder`."""
    for index, page in enumerate(read_pages(sample.number)[:MAX_PAGES]):
        path = folder / "pages" / f"{sample.number}-{index}.png"
        if not path.exists():
            picture = read_page(page, sample.name)
            picture.thumbnail((SIDE, SIDE))
            buffer = io.BytesIO()
            picture.save(buffer, "PNG", optimize=True)
            write_file_atomically(path, buffer.getvalue())
        yield path.relative_to(folder).as_posix()
