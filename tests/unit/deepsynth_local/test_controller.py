import asyncio
import io
from pathlib import Path
from typing import NoReturn

import pytest
from rich.console import Console

from deepsynth_local.controller import LocalController
from deepsynth_local.display import build_display
from deepsynth_local.runs.resource_store import ResourceStore, get_key
from deepsynth_local.runs.runs_folder import RunsFolder
from deepsynth_simulator.memory_cluster import MemoryCluster
from support.clocks.manual_clock import ManualClock
from support.cluster.scripted_runner import ScriptedRunner
from support.resources.builders import a_dataset_generation


async def fail(*_arguments: object, **_fields: object) -> NoReturn:
    raise ZeroDivisionError("surprise")


def test_a_bug_in_reconcile_ends_the_command_and_is_not_retried(tmp_path: Path) -> None:
    cluster = MemoryCluster(ScriptedRunner(), ManualClock())
    generation = a_dataset_generation().to_manifest()
    cluster.apply_resource(generation)

    with build_display(Console(file=io.StringIO())) as display:
        controller = LocalController(
            cluster, ResourceStore(RunsFolder.open(tmp_path)), display, [get_key(generation)], reconcile=fail
        )
        with pytest.raises(ZeroDivisionError, match="surprise"):
            asyncio.run(controller.run())
