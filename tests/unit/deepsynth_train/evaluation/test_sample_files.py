import io
import json
from collections.abc import Sequence
from pathlib import Path

import pytest
from PIL import Image

from deepsynth_train.checkpoint.files import FolderFiles
from deepsynth_train.coordination.progress import WrittenSample
from deepsynth_train.evaluation.sample_files import build_sample_files, read_samples
from support.training.page_dataset import draw_page

SAMPLES = [
    WrittenSample(0, "row 0 of the validation split", "a café", "a cafe"),
    WrittenSample(7, "rows 7 to 9 of the validation split", "</script>", ""),
]


def read_pages(number: int) -> Sequence[bytes]:
    return [draw_page(f"{number}{page}", (900, 300)) for page in range(3 if number == 7 else 1)]


def test_texts_are_written_for_each_evaluation_and_pages_once() -> None:
    first = build_sample_files(4, SAMPLES, read_pages)
    files = build_sample_files(8, SAMPLES, read_pages, first.keys())
    pages = ["samples/pages/0-0.png", "samples/pages/7-0.png", "samples/pages/7-1.png"]
    assert sorted(first) == [*pages, "samples/step-4.json"]
    assert sorted(files) == ["samples/step-8.json"]
    document = json.loads(files["samples/step-8.json"])
    assert document["step"] == 8
    assert document["samples"] == [
        {
            "name": "row 0 of the validation split",
            "pages": ["pages/0-0.png"],
            "reference": "a café",
            "written": "a cafe",
            "cer": pytest.approx(1 / 6, abs=1e-4),
        },
        {
            "name": "rows 7 to 9 of the validation split",
            "pages": ["pages/7-0.png", "pages/7-1.png"],
            "reference": "</script>",
            "written": "",
            "cer": 1,
        },
    ]


def test_pages_are_small() -> None:
    files = build_sample_files(0, SAMPLES[:1], read_pages)
    with Image.open(io.BytesIO(files["samples/pages/0-0.png"])) as picture:
        assert picture.size == (400, 133)


def test_the_samples_of_a_step_can_be_read_again(tmp_path: Path) -> None:
    folder = FolderFiles(tmp_path)
    for name, content in build_sample_files(8, SAMPLES, read_pages).items():
        folder.write(name, content)
    read = [(sample.name, sample.reference, sample.written) for sample in read_samples(folder, 8)]
    assert read == [(sample.name, sample.reference, sample.written) for sample in SAMPLES]
    assert read_samples(folder, 9) == []
