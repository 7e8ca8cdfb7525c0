"""How the in-memory Cluster runs a pod's container: the seam between it and local processes (or a test's script).

The Cluster calls `start` once per pod, after its phase could become Running, and `stop` when the pod is deleted or
evicted. The runner answers through the PodListener it was given, at once or later, in the thread of the Cluster.
Nothing of Kubernetes' rules lives in a runner: whether an exit is a failure, what is retried and what is deleted is
the Job controller's business.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from deepsynth_api.report import Report
from deepsynth_operator.core.observed import Manifest


@dataclass(frozen=True, slots=True)
class ContainerExit:
    """How a container ended, as a kubelet tells it."""

    exit_code: int
    """128 + signal when a signal ended the process: 137, 143."""
    reason: str = ""
    """Empty: Completed for exit code 0, else Error. Set it to OOMKilled where that is known."""
    message: str = ""
    """Content of the termination log. The Cluster keeps the last 4,096 bytes, as a kubelet does."""


class PodListener(Protocol):
    """What a runner tells the Cluster about one pod. Calls after `ended` are ignored."""

    def started(self) -> None:
        """The container's process exists: the pod is Running."""

    def waiting(self, reason: str, message: str) -> None:
        """The container cannot start (yet): ImagePullBackOff, CreateContainerConfigError, CreateContainerError."""

    def ended(self, container_exit: ContainerExit) -> None:
        """The container's process is gone. Called exactly once per started pod, stopped or not."""


class PodRunner(Protocol):
    """Runs the one container of each pod. Pods are told apart by metadata.uid."""

    def start(self, pod: Manifest, config_maps: Mapping[str, Mapping[str, str]], listener: PodListener) -> None:
        """Start the container of `pod`; return at once.

        pod: a v1 Pod as the Job controller made it: spec.containers[0] holds command, args, env, envFrom and
            volumeMounts; env includes JOB_COMPLETION_INDEX with its value. `valueFrom.fieldRef` is resolved already.
        config_maps: data of every ConfigMap that spec.volumes names, by name of the ConfigMap.
        """

    def stop(self, pod: Manifest, grace_seconds: int) -> None:
        """Send SIGTERM now and SIGKILL when `grace_seconds` have passed; return at once; `ended` follows.

        0 kills at once. A second call may shorten the grace, never lengthen it. A pod that has ended: no effect.
        """

    async def read_report(self, pod: Manifest) -> Report | None:
        """The answer of the container's GET /report, None when there is none in time or it does not parse."""

    async def close(self) -> None:
        """Kill what still runs and wait until it is gone."""
