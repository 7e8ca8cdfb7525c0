"""A plan that takes long: its first shards are rendered while it reads."""

from typing import Any

import pytest

from deepsynth_api.v1alpha1 import DatasetGeneration
from deepsynth_demo.chart import CLAIM
from e2e.support.installation import Installation
from e2e.support.lives import hash_file
from e2e.support.resources import SMALL, build_generation

END_SECONDS = 600
SLOW_PLAN = """\
import sys
import time

if "plan" in sys.orig_argv:
    from deepsynth_render.plan import select_rows
    from deepsynth_render.plan.cut_shards import ShardCutter

    add = ShardCutter.add

    def add_slowly(*arguments):
        time.sleep(0.5)
        add(*arguments)

    ShardCutter.add = add_slowly
    select_rows._BATCH_ROWS = 5
"""
TEMPLATE: dict[str, Any] = {
    "resources": SMALL,
    "env": [{"name": "PYTHONPATH", "value": "/opt/slow"}],
    "volumes": [{"name": "slow", "configMap": {"name": "slow-plan"}, "mountPath": "/opt/slow"}],
}


def read_files(installation: Installation, folder: str) -> dict[str, str]:
    """sha256 of every file, those in staging included."""
    root = installation.volume / folder
    return {str(path.relative_to(root)): hash_file(path) for path in root.rglob("*") if path.is_file()}


@pytest.mark.slow
def test_shards_are_rendered_while_the_plan_reads(installation: Installation) -> None:
    installation.restore()
    installation.apply_config_map("slow-plan", {"sitecustomize.py": SLOW_PLAN})
    for name, parallelism in {"plain": 1, "ahead": 3}.items():
        spec: dict[str, Any] = {"rowsPerShard": 6, "parallelism": parallelism}
        if name == "ahead":
            spec["template"] = TEMPLATE
        installation.api.create(build_generation(name, f"pvc://{CLAIM}/{name}", **spec))

    most = 0

    def has_rendered_ahead(generation: DatasetGeneration) -> bool:
        nonlocal most
        pods = installation.api.list_pods(generation.metadata.uid)
        most = max(most, sum(pod["status"]["phase"] in {"Pending", "Running"} for pod in pods))
        status = generation.status
        assert status.plan is None, "the plan was faster than its first shard"
        return status.progress is not None and status.progress.shards_done > 0

    installation.wait_for_generation("ahead", has_rendered_ahead, END_SECONDS, "a shard before there is a plan")
    for name in ("plain", "ahead"):
        installation.wait_for_generation(
            name, lambda generation: generation.status.state == "Complete", END_SECONDS, "its end"
        )
    assert 2 <= most <= 3, "the plan's pod and at most two others"
    assert read_files(installation, "ahead") == read_files(installation, "plain")
