"""A PodRunner whose pods do what the test says: nothing, until it says so."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from deepsynth_api.report import Report
from deepsynth_operator.core.observed import Manifest
from deepsynth_simulator.pod_runner import ContainerExit, PodListener


@dataclass
class ScriptedPod:
    pod: Manifest
    config_maps: Mapping[str, Mapping[str, str]]
    listener: PodListener
    report: Report | None = None
    grace_seconds: int | None = None
    """Set once the pod was told to stop."""
    has_ended: bool = False

    def get_env(self) -> dict[str, str]:
        return {item["name"]: item.get("value", "") for item in self.pod["spec"]["containers"][0].get("env", [])}


@dataclass
class ScriptedRunner:
    """Implements PodRunner.

    starts: whether pods are Running at once; else the test calls listener.started().
    obeys: the exit with which pods end as soon as they are told to stop; None: the test ends them.
    """

    starts: bool = True
    obeys: ContainerExit | None = None
    pods: dict[str, ScriptedPod] = field(default_factory=dict)
    """By name of the pod, the newest of each name."""

    def start(self, pod: Manifest, config_maps: Mapping[str, Mapping[str, str]], listener: PodListener) -> None:
        self.pods[pod["metadata"]["name"]] = ScriptedPod(pod, config_maps, listener)
        if self.starts:
            listener.started()

    def stop(self, pod: Manifest, grace_seconds: int) -> None:
        found = self.pods[pod["metadata"]["name"]]
        found.grace_seconds = grace_seconds
        if self.obeys and not found.has_ended:
            self.end(pod["metadata"]["name"], self.obeys)

    def end(self, name: str, exit: ContainerExit | int, **fields: Any) -> None:  # noqa: A002 - the thing's name
        """End the pod of this name, or the only living one that begins with it, such as `job-0`."""
        found = self.find(name)
        found.has_ended = True
        found.listener.ended(exit if isinstance(exit, ContainerExit) else ContainerExit(exit, **fields))

    def find(self, name: str) -> ScriptedPod:
        """The living pod whose name is or begins with `name`."""
        (found,) = [item for key, item in self.pods.items() if key.startswith(name) and not item.has_ended]
        return found

    def get_living(self) -> list[str]:
        """Names of the pods whose containers have not ended."""
        return [name for name, item in self.pods.items() if not item.has_ended]

    async def read_report(self, pod: Manifest) -> Report | None:
        return self.pods[pod["metadata"]["name"]].report

    async def close(self) -> None:
        for found in self.pods.values():
            if not found.has_ended:
                found.has_ended = True
                found.listener.ended(ContainerExit(137))
