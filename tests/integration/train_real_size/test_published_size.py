"""A model of the published size (3.4 billion weights) on a CPU: two steps with LoRA, a resume, a model to open.

Takes about ten minutes on two cores, 16 GiB of memory and 30 GiB of disk.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from deepsynth_train.models.random.published_size import WEIGHTS
from support.training.page_dataset import build_documents, write_dataset

pytestmark = [pytest.mark.slow, pytest.mark.timeout(3600)]

GIB = 2**30
PROGRAM = Path(__file__).with_name("published_size_program.py")


def run(*arguments: object) -> dict[str, Any]:
    """What the program prints on its last line, and its peak memory (bytes, without mapped files)."""
    finished = subprocess.run(
        [sys.executable, PROGRAM, *map(str, arguments)], capture_output=True, text=True, check=False
    )
    assert finished.returncode == 0, finished.stderr[-4000:]
    return dict(json.loads(finished.stdout.splitlines()[-1]))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("published")
    run("write", root)
    write_dataset(root / "pages", {"train": build_documents(4)})
    return root


def test_it_trains_with_adapters_resumes_and_publishes_within_16_gib(folder: Path) -> None:
    first = run("train", folder)
    assert first["step"] == 2
    shutil.rmtree(folder / "checkpoints" / "step-2")
    shutil.rmtree(folder / "checkpoints" / "model")
    again = run("train", folder)
    assert again["resumed_from"] == 1
    assert again["losses"] == first["losses"][1:]
    assert max(first["peak"], again["peak"]) < 16 * GIB
    adapters = sum(file.stat().st_size for file in (folder / "checkpoints" / "step-2").rglob("*") if file.is_file())
    assert adapters < 0.05 * first["stored"]
    opened = run("open", folder / "checkpoints" / "model")
    assert opened["weights"] == WEIGHTS
    assert opened["dtype"] == "torch.bfloat16"
    assert opened["finite"]
