"""Samples to show, as files in the run's folder.

samples/step-40.json             what the model wrote after step 40, and the references
samples/pages/17-0.png           the first page of validation sample 17, small; written once
"""

import io
import json
from collections.abc import Callable, Collection, Sequence
from typing import Any, Final

from deepsynth_train.checkpoint.files import RunFiles
from deepsynth_train.checkpoint.layout import SAMPLES
from deepsynth_train.coordination.progress import WrittenSample
from deepsynth_train.data.files.images import read_page
from deepsynth_train.evaluation.text_metrics import Pair, compute_cer, normalise

MAX_PAGES: Final = 2
"""Of a sample: enough to recognise it."""
SIDE: Final = 400
"""Pixels of the longer side of a page."""


def build_sample_files(
    step: int,
    samples: Sequence[WrittenSample],
    read_pages: Callable[[int], Sequence[bytes]],
    known: Collection[str] = (),
) -> dict[str, bytes]:
    """The texts of one evaluation, and the pages whose names are not in `known`: content by name.

    read_pages: encoded, by sample number.
    """
    pages: dict[str, bytes] = {}
    entries = []
    for sample in samples:
        names = [f"pages/{sample.number}-{index}.png" for index in range(MAX_PAGES)]
        content = read_pages(sample.number)[:MAX_PAGES]
        for name, page in zip(names, content, strict=False):
            if f"{SAMPLES}/{name}" not in known:
                pages[f"{SAMPLES}/{name}"] = _shrink(page, sample.name)
        entries.append(_build_entry(sample, names[: len(content)]))
    text = json.dumps({"step": step, "samples": entries}, ensure_ascii=False, indent=1)
    return {**pages, f"{SAMPLES}/step-{step}.json": text.encode()}


def read_samples(files: RunFiles, step: int) -> list[WrittenSample]:
    """The samples of this step's evaluation; empty when there are none."""
    content = files.read(f"{SAMPLES}/step-{step}.json")
    entries = json.loads(content)["samples"] if content else []
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


def _shrink(page: bytes, name: str) -> bytes:
    picture = read_page(page, name)
    picture.thumbnail((SIDE, SIDE))
    buffer = io.BytesIO()
    picture.save(buffer, "PNG", optimize=True)
    return buffer.getvalue()
