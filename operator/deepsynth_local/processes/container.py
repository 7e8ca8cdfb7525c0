"""Translate a pod's container into a local command: arguments, environment and files.

In arguments and environment, paths inside a mount become paths in the runs folder:

    /etc/deepsynth/workload.json   ->  deepsynth-runs/pods/POD/volumes/workload/workload.json
    /mnt/volumes/CLAIM/pages       ->  deepsynth-runs/volumes/CLAIM/pages

Variables that point into the pod's /tmp (HOME and caches) are dropped: the user's own caches are better. TMPDIR is a
folder of the pod's own, see temporary.py. Nothing here starts a process.
"""

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from deepsynth_api.workload import (
    MASTER_ADDRESS_VARIABLE,
    REPORT_ADDRESS_VARIABLE,
    TERMINATION_LOG_PATH,
    TERMINATION_LOG_VARIABLE,
    VOLUMES_PATH,
    VOLUMES_VARIABLE,
)
from deepsynth_local.processes.leftovers import POD_MARKER, RUNS_MARKER
from deepsynth_local.processes.temporary import make_temporary
from deepsynth_local.runs.runs_folder import RunsFolder
from deepsynth_operator.core.observed import COMPLETION_INDEX_ANNOTATION, Manifest
from deepsynth_operator.core.quantity import parse_quantity
from deepsynth_operator.manifests.train_job import GPU

GPUS_VARIABLE: Final = "CUDA_VISIBLE_DEVICES"
TEMPORARY_VARIABLE: Final = "TMPDIR"
_OWN_TMP: Final = "/tmp"  # noqa: S108 - the mount path inside the container
_HOST_MOUNTS: Final = (_OWN_TMP, "/dev/shm")  # noqa: S108 - as above


class UnsupportedVolumeError(Exception):
    """The pod mounts something that exists only in a cluster; the message names it."""


@dataclass(frozen=True)
class Command:
    """The process to start for a container."""

    arguments: list[str]
    environment: dict[str, str]
    folder: Path
    termination_log: Path
    log_file: Path


def build_command(
    pod: Manifest, config_maps: Mapping[str, Mapping[str, str]], runs: RunsFolder, *, report: str, master: str
) -> Command:
    """Write the pod's files and build its command; `remove_pod` removes the files.

    report, master: host:port on this machine for the report and the rendezvous of the ranks.

    Raises UnsupportedVolumeError.
    """
    name = pod["metadata"]["name"]
    container = pod["spec"]["containers"][0]
    folder = runs.pod_folder(name)
    folder.mkdir(parents=True, exist_ok=True)
    paths = _map_mounts(pod, config_maps, runs)
    termination_log = folder / "termination-log"
    paths[container.get("terminationMessagePath", TERMINATION_LOG_PATH)] = termination_log
    arguments = [translate_path(text, paths) for text in (*container.get("command", ()), *container.get("args", ()))]
    if arguments and arguments[0] in {"python", "python3"}:
        arguments[0] = sys.executable
    fixed = {
        **_assign_gpus(pod),
        TERMINATION_LOG_VARIABLE: str(termination_log),
        REPORT_ADDRESS_VARIABLE: report,
        MASTER_ADDRESS_VARIABLE: master,
        VOLUMES_VARIABLE: str(runs.volumes),
        RUNS_MARKER: str(runs.path),
        POD_MARKER: pod["metadata"]["uid"],
    }
    return Command(
        arguments=arguments,
        environment={
            **os.environ,
            TEMPORARY_VARIABLE: str(make_temporary(folder)),
            **_translate_environment(container, paths),
            **fixed,
        },
        folder=folder,
        termination_log=termination_log,
        log_file=runs.log_file(name),
    )


def translate_path(text: str, paths: Mapping[str, Path]) -> str:
    """`text` with its longest mount path replaced, if it starts with one."""
    for inside in sorted(paths, key=len, reverse=True):
        if text == inside or text.startswith(f"{inside}/"):
            return f"{paths[inside]}{text.removeprefix(inside)}"
    return text


def _assign_gpus(pod: Manifest) -> dict[str, str]:
    """As by a device plugin: a pod sees as many GPUs as its limit says, and each node rank has its own."""
    limits = pod["spec"]["containers"][0].get("resources", {}).get("limits", {})
    count = int(parse_quantity(limits.get(GPU, 0)))
    first = int(pod["metadata"].get("labels", {}).get(COMPLETION_INDEX_ANNOTATION, "0")) * count
    return {GPUS_VARIABLE: ",".join(str(device) for device in range(first, first + count))}


def _translate_environment(container: Manifest, paths: Mapping[str, Path]) -> dict[str, str]:
    environment: dict[str, str] = {}
    for variable in container.get("env", ()):
        value = _resolve_value(variable)
        if value is not None and not (value == _OWN_TMP or value.startswith(f"{_OWN_TMP}/")):
            environment[variable["name"]] = translate_path(value, paths)
    return environment


def _resolve_value(variable: Manifest) -> str | None:
    """The value of a variable; the key of a Secret is read from the environment of the command."""
    secret = variable.get("valueFrom", {}).get("secretKeyRef")
    if secret:
        return os.environ.get(secret["key"])
    value: str | None = variable.get("value")
    return value


def _map_mounts(pod: Manifest, config_maps: Mapping[str, Mapping[str, str]], runs: RunsFolder) -> dict[str, Path]:
    volumes = {volume["name"]: volume for volume in pod["spec"].get("volumes", ())}
    paths: dict[str, Path] = {VOLUMES_PATH: runs.volumes}
    for mount in pod["spec"]["containers"][0].get("volumeMounts", ()):
        if mount["mountPath"] in _HOST_MOUNTS:
            continue
        folder = _make_volume(volumes[mount["name"]], config_maps, runs, pod["metadata"]["name"])
        paths[mount["mountPath"].rstrip("/")] = folder / mount["subPath"] if mount.get("subPath") else folder
    return paths


def _make_volume(volume: Manifest, config_maps: Mapping[str, Mapping[str, str]], runs: RunsFolder, pod: str) -> Path:
    if "persistentVolumeClaim" in volume:
        folder = runs.volumes / str(volume["persistentVolumeClaim"]["claimName"])
    elif "configMap" in volume or "emptyDir" in volume or "ephemeral" in volume:
        folder = runs.pod_folder(pod) / "volumes" / str(volume["name"])
    else:
        kind = next((key for key in volume if key != "name"), "unknown")
        raise UnsupportedVolumeError(
            f"volume {volume['name']}: {kind} needs a cluster; use persistentVolumeClaim, configMap or emptyDir"
        )
    folder.mkdir(parents=True, exist_ok=True)
    for key, text in config_maps.get(volume.get("configMap", {}).get("name", ""), {}).items():
        (folder / key).write_text(text, encoding="utf-8")
    return folder
