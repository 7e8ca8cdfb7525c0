"""`deepsynth local`: read files, run what they describe, say how it ended."""

import asyncio
import shutil
import signal
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final

from rich.console import Console

from deepsynth_api.errors import ConfigurationError
from deepsynth_api.exit_codes import ExitCode
from deepsynth_api.v1alpha1 import DatasetGeneration, TrainingRun
from deepsynth_local.admission.local_checks import Resource, check_disk, count_gpus
from deepsynth_local.admission.manifest_file import read_manifests
from deepsynth_local.admission.prepare import Plan, prepare
from deepsynth_local.controller import LocalController
from deepsynth_local.display import build_display
from deepsynth_local.processes.container import RUNS_MARKER
from deepsynth_local.processes.leftovers import kill_processes
from deepsynth_local.processes.process_runner import ProcessRunner
from deepsynth_local.report.page import write_report
from deepsynth_local.runs.resource_store import ResourceStore
from deepsynth_local.runs.runs_folder import RunsFolder
from deepsynth_local.summary import describe_failure, describe_result
from deepsynth_simulator.clock import LoopClock
from deepsynth_simulator.memory_cluster import MemoryCluster

FAILED: Final = 1
INTERRUPTED: Final = 130


def run_files(files: Sequence[str], runs: RunsFolder) -> int:
    """Run the resources in `files` to their end; returns the command's exit code.

    Raises ConfigurationError before anything starts when a file or this machine does not do.
    """
    manifests = [manifest for file in files for manifest in read_manifests(file)]
    if not manifests:
        raise ConfigurationError(f"{', '.join(files)}: holds no resource")
    store = ResourceStore(runs)
    with runs.lock():
        plan = prepare(manifests, store, count_gpus())
        check_disk(runs.path)
        _clear(runs)
        return asyncio.run(_run(plan, store))


def _clear(runs: RunsFolder) -> None:
    """What a command that was killed left behind: its pods must not write beside ours."""
    kill_processes(RUNS_MARKER, str(runs.path))
    shutil.rmtree(runs.path / "pods", ignore_errors=True)


async def _run(plan: Plan, store: ResourceStore) -> int:
    cluster = MemoryCluster(ProcessRunner(store.runs), LoopClock())
    for resource in plan.earlier.values():
        cluster.restore_resource(resource)
    for key in plan.active:
        cluster.apply_resource(plan.applied.get(key) or _resume(plan.earlier[key]))
    with build_display(Console()) as display:
        controller = LocalController(cluster, store, display, plan.active)
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, controller.interrupt)
        await controller.run()
    return _conclude(controller.list_resources(), store.runs, interrupted=controller.is_interrupted)


def _resume(resource: Resource) -> Resource:
    """A resource of an earlier command that one of ours waits for, even if Ctrl-C suspended it."""
    return {**resource, "spec": {**resource["spec"], "suspend": False}}


def _conclude(resources: Sequence[Resource], runs: RunsFolder, *, interrupted: bool) -> int:
    """Say how each resource ended; the exit code follows from it."""
    ended_well = [resource for resource in resources if resource["status"]["state"] in {"Complete", "Suspended"}]
    for resource in ended_well:
        print(describe_result(resource, runs))
    report = write_report([_parse(resource) for resource in resources], runs, datetime.now(UTC))
    print(f"report: {report}")
    for resource in resources:
        if resource not in ended_well:
            print(describe_failure(resource, runs), file=sys.stderr)
    if len(ended_well) < len(resources):
        return FAILED
    if interrupted:
        print("stopped; run the same command again to go on", file=sys.stderr)
    return INTERRUPTED if interrupted else ExitCode.DONE


def _parse(resource: Resource) -> DatasetGeneration | TrainingRun:
    if resource["kind"] == "TrainingRun":
        return TrainingRun.model_validate(resource)
    return DatasetGeneration.model_validate(resource)
