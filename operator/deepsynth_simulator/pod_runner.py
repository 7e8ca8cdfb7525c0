"""The interface between the kubelet and what runs containers: local processes, or a test's script.

The kubelet calls `start` once per pod, when it is scheduled and its ConfigMaps exist, and `stop` when the pod is
deleted or evicted. The runner answers through the PodListener it was given, at once or later, in the cluster's thread.
A runner knows no rules of Kubernetes: the Job controller decides whether an exit is a failure, what is retried and what
is deleted.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from deepsynth_api.report import Report
from deepsynth_operator.core.observed import Manifest


@dataclass(frozen=True, slots=True)
class ContainerExit:
    """How a container ended, as a kubelet reports it."""

    exit_code: int
    """128 + signal when a signal ended the process: 137, 143."""
    reason: str = ""
    """Such as OOMKilled. Empty means Completed for exit code 0, else Error."""
    message: str = ""
    """Content of the termination log. The kubelet keeps the last 4,096 bytes."""


class PodListener(Protocol):
    """What a runner reports about one pod. Calls after `ended` are ignored."""

    def started(self) -> None:
        """The container's process exists: the pod is Running."""

    def waiting(self, reason: str, message: str) -> None:
        """The container cannot start (yet): ImagePullBackOff, CreateContainerConfigError, CreateContainerError."""

    def ended(self, container_exit: ContainerExit) -> None:
        """The container's process is gone. Called exactly once per started pod, stopped or not."""


class PodRunner(Protocol):
    """Runs the one container of each pod. Pods are identified by metadata.uid."""

    def start(self, pod: Manifest, config_maps: Mapping[str, Mapping[str, str]], listener: PodListener) -> None:
        """Start the container of `pod`; return at once.

        pod: a v1 Pod as the Job controller made it: spec.containers[0] has command, args, env, envFrom and
            volumeMounts; env includes JOB_COMPLETION_INDEX. The values of `valueFrom.fieldRef` are filled in.
        config_maps: data of every ConfigMap that spec.volumes names, by name of the ConfigMap.
        """

    def stop(self, pod: Manifest, grace_seconds: int) -> None:
        """Send SIGTERM now and SIGKILL when `grace_seconds` have passed; return at once; `ended` follows.

        0 kills at once. A second call may shorten the grace, never lengthen it. A pod that has ended: no effect.
        """

    async def read_report(self, pod: Manifest) -> Report | None:
        """What the container answers to GET /report; None without a valid answer in time."""

    async def close(self) -> None:
        """Kill all running containers and wait for their end."""
