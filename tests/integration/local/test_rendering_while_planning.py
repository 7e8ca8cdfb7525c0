"""`deepsynth local` with the real workloads, and a plan step that reads slowly: other pods render meanwhile."""

import json
import os
from pathlib import Path
from typing import Any

import pytest
import yaml

from deepsynth.__main__ import main

SHARDS = 6
SLOW_PLAN = """
import time
from deepsynth_render.plan import staging

def stage(self, rows, stage=staging.StagingAhead.stage):
    stage(self, rows)
    time.sleep(5 if len(rows) < 4 else 0)

staging._MIN_SECONDS = 0.0
staging.StagingAhead.stage = stage
"""
"""What Python runs when a pod starts. The controller polls the report while the plan step sleeps."""


def generate(folder: Path, parallelism: int) -> tuple[dict[str, Any], dict[str, bytes]]:
    """The status of a generation, and the files that it publishes."""
    name = f"pods-{parallelism}"
    spec = {
        "source": {"uri": "pvc://demo/texts"},
        "rowsPerShard": 2,
        "parallelism": parallelism,
        "page": {"size": "512"},
        "output": {"uri": f"pvc://demo/{name}"},
    }
    resource = {"apiVersion": "deepsynth.io/v1alpha1", "kind": "DatasetGeneration", "metadata": {"name": name}}
    (folder / f"{name}.yaml").write_text(yaml.safe_dump({**resource, "spec": spec}))
    assert main(["local", "-f", str(folder / f"{name}.yaml"), "--runs", str(folder / "runs")]) == 0
    status = yaml.safe_load((folder / f"runs/datasetgenerations/{name}.yaml").read_text())["status"]
    published = folder / "runs/volumes/demo" / name
    files = [file for file in published.rglob("*") if file.is_file()]
    return status, {str(file.relative_to(published)): file.read_bytes() for file in files}


@pytest.mark.slow
def test_shards_that_are_rendered_while_the_plan_is_made_are_published_with_the_same_bytes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    texts = tmp_path / "runs/volumes/demo/texts"
    texts.mkdir(parents=True)
    rows = (
        {"text": f"Text {number} is long enough. " * 20, "summary": f"What text {number} says."}
        for number in range(2 * SHARDS)
    )
    (texts / "train.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (tmp_path / "slow").mkdir()
    (tmp_path / "slow/sitecustomize.py").write_text(SLOW_PLAN)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "slow"), prepend=os.pathsep)

    status, ahead = generate(tmp_path, 3)
    _, plain = generate(tmp_path, 1)

    steps = [job["step"] for job in status["jobs"]]
    assert steps.index("render") < steps.index("plan"), "a Job that succeeded before the plan did"
    rendered = [job for job in status["jobs"] if job["step"] == "render"]
    assert sum(job["shards"] for job in rendered) == SHARDS
    assert status["progress"]["shardsDone"] == SHARDS
    assert ahead == plain
