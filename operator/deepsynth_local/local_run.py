"""`deepsynth local`: read the files, run their resources, print the results."""

import asyncio
import signal
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from rich.console import Console

from deepsynth_api.errors import ConfigurationError, WorkloadError
from deepsynth_api.exit_codes import ExitCode
from deepsynth_api.kinds import KINDS
from deepsynth_api.logs import read_log_format
from deepsynth_client.errors import CommandExit
from deepsynth_client.manifest_file import read_manifests
from deepsynth_client.report.page import build_report, write_report
from deepsynth_client.report.results import NEEDED
from deepsynth_local.admission.local_checks import check_disk, count_gpus
from deepsynth_local.admission.prepare import AdmittedResources, collect_active, prepare
from deepsynth_local.admission.price_file import read_prices
from deepsynth_local.controller import LOCAL_SETTINGS, LocalController
from deepsynth_local.display import Display, build_display, configure_local_logs
from deepsynth_local.local_files import LocalFiles
from deepsynth_local.processes.leftovers import RUNS_MARKER, kill_processes
from deepsynth_local.processes.process_runner import ProcessRunner
from deepsynth_local.processes.temporary import remove_pod
from deepsynth_local.runs.resource_store import ResourceStore, get_key
from deepsynth_local.runs.runs_folder import RunsFolder
from deepsynth_local.summary import describe_failure, describe_result
from deepsynth_operator.core.observed import Manifest
from deepsynth_operator.core.prices import PriceTable
from deepsynth_simulator.clock import LoopClock
from deepsynth_simulator.memory_cluster import MemoryCluster


def run_files(files: Sequence[str], runs: RunsFolder, prices: Path | None = None) -> int:
    """Run the resources in `files` to their end; returns the command's exit code. prices: file with a price table.

    The folder is created once the files are admitted: where it exists, later commands take it for their place.
    Raises ConfigurationError before anything starts when the files or this machine do not fit.
    """
    parsed = [item for file in files for item in read_manifests(file)]
    if not parsed:
        raise ConfigurationError(f"{', '.join(files)}: must contain at least one resource, found none")
    table = read_prices(prices)
    configure_local_logs()
    store = ResourceStore(runs)
    if not runs.path.exists():
        prepare(parsed, store, count_gpus())
    with RunsFolder.open(runs.path).lock():
        admitted = prepare(parsed, store, count_gpus())
        check_disk(runs.path)
        _remove_leftovers(runs)
        return asyncio.run(_run(admitted, store, table))


def run_stored(runs: RunsFolder) -> int:
    """Run what the folder has and other commands ask for, until all of it is at rest. Raises LockedError."""
    table = read_prices()
    configure_local_logs()
    store = ResourceStore(runs)
    with runs.lock():
        _remove_leftovers(runs)
        earlier = {get_key(resource): resource for resource in store.list_all()}
        active = [key for key, resource in earlier.items() if not _is_stopped(resource)]
        return asyncio.run(_run(AdmittedResources({}, earlier, tuple(collect_active(active, earlier))), store, table))


def _is_stopped(resource: Manifest) -> bool:
    return bool(resource["spec"].get("suspend") or resource.get("status", {}).get("completionTime"))


def _remove_leftovers(runs: RunsFolder) -> None:
    """End the pods of a command that was killed: they must not write into the same volumes."""
    kill_processes(RUNS_MARKER, str(runs.path))
    for pod in (runs.path / "pods").iterdir():
        remove_pod(pod)


async def _run(admitted: AdmittedResources, store: ResourceStore, prices: PriceTable) -> int:
    cluster = MemoryCluster(ProcessRunner(store.runs), LoopClock())
    for resource in admitted.earlier.values():
        cluster.restore_resource(resource)
    for key in admitted.active:
        cluster.apply_resource(admitted.applied.get(key) or _resume(admitted.earlier[key]))
    with build_display(Console(), read_log_format()) as display:
        settings = replace(LOCAL_SETTINGS, prices=prices)
        controller = LocalController(cluster, store, display, admitted.active, settings=settings)
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, controller.interrupt)
        await controller.run()
    return _conclude(controller.list_resources(), store.runs, display, interrupted=controller.is_interrupted)


def _resume(resource: Manifest) -> Manifest:
    """An earlier resource that is needed again, also when Ctrl-C has suspended it."""
    return {**resource, "spec": {**resource["spec"], "suspend": False}}


def _fetch(uri: str, runs: RunsFolder, display: Display) -> Path | None:
    """The folder with what the report shows; None, after a line about it, where a store cannot be read."""
    try:
        return LocalFiles(runs).fetch(uri, NEEDED)
    except WorkloadError as error:
        display.show_end(f"the report is without curves and samples of {uri}: {error.message}", is_error=True)
        return None


def _conclude(resources: Sequence[Manifest], runs: RunsFolder, display: Display, *, interrupted: bool) -> int:
    """Print how each resource ended and write the report; returns the exit code."""
    ended_well = [resource for resource in resources if resource["status"]["state"] in {"Complete", "Suspended"}]
    for resource in ended_well:
        display.show_end(describe_result(resource, runs, interrupted=interrupted), resource)
    for resource in resources:
        if resource not in ended_well:
            display.show_end(describe_failure(resource, runs), resource, is_error=True)
    # Last: if the report cannot be written, the user still sees what failed.
    models = [KINDS[resource["kind"]].resource.model_validate(resource) for resource in resources]
    text = build_report(models, lambda uri: _fetch(uri, runs, display), str(runs.path), datetime.now(UTC))
    display.show_end(f"report: {runs.shorten(write_report(text, runs.report))}")
    if len(ended_well) < len(resources):
        return CommandExit.FAILED
    if interrupted:
        display.show_end("stopped; run the same command again to continue", is_error=True)
    return CommandExit.INTERRUPTED if interrupted else ExitCode.DONE
