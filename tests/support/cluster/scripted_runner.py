"""A PodRunner whose containers start and end when the test says so."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from deepsynth_api.report import Report
from deepsynth_operator.core.observed import Manifest
from deepsynth_simulator.pod_runner import ContainerExit, PodListener


@dataclass
class ScriptedPod:
    """One call of `start`, and what happened to the container since."""

    pod: Manifest
    config_maps: Mapping[str, Mapping[str, str]]
    listener: PodListener
    report: Report | None = None
    grace_seconds: int | None = None
    """Set when the pod is stopped."""
    has_ended: bool = False

    def get_env(self) -> dict[str, str]:
        return {item["name"]: item.get("value", "") for item in self.pod["spec"]["containers"][0].get("env", [])}


@dataclass
class ScriptedRunner:
    """Implements PodRunner.

    starts: pods are Running at once; if False, the test calls listener.started().
    obeys: how pods end at once when they are stopped; None: the test ends them.
    """

    starts: bool = True
    obeys: ContainerExit | None = None
    pods: dict[str, ScriptedPod] = field(default_factory=dict)
    """By name; the newest pod of each name."""
    started: list[ScriptedPod] = field(default_factory=list)
    """All there ever were."""

    def start(self, pod: Manifest, config_maps: Mapping[str, Mapping[str, str]], listener: PodListener) -> None:
        self.pods[pod["metadata"]["name"]] = ScriptedPod(pod, config_maps, listener)
        self.started.append(self.pods[pod["metadata"]["name"]])
        if self.starts:
            listener.started()

    def stop(self, pod: Manifest, grace_seconds: int) -> None:
        found = self.pods[pod["metadata"]["name"]]
        found.grace_seconds = grace_seconds
        if self.obeys and not found.has_ended:
            self.end(pod["metadata"]["name"], self.obeys)

    def end(self, name: str, exit: ContainerExit | int, **fields: Any) -> None:  # noqa: A002 - it is called so
        """End the container of the pod that `find` returns, such as `job-0`."""
        found = self.find(name)
        found.has_ended = True
        found.listener.ended(exit if isinstance(exit, ContainerExit) else ContainerExit(exit, **fields))

    def find(self, name: str) -> ScriptedPod:
        """The one pod with this name or prefix whose container has not ended."""
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
