"""Kubeflow Trainer with JobSet on a bare cluster: their own charts, and their managers as processes on its machine.

    API server ──webhooks──▶ https://10.200.0.1:9443 (Trainer) and :9444 (JobSet)

A cluster without nodes can have them, because no pod runs for them. Each manager has the rights of its chart's service
account and the configuration of its chart, except for what only pods need: the leader election, probes, metrics, and
certificates, which are the cluster's own here. The charts come from the modules that the managers are built from.
"""

import json
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml

from deepsynth_cluster.clusters.bare import BareCluster
from deepsynth_cluster.commands import wait_until
from deepsynth_cluster.machine import network
from deepsynth_cluster.programs.build import find_source, program

NAMESPACE: Final = "kubefl"
"""Short, because the accounts' names must fit the 64 characters of a certificate's common name."""
GROUP: Final = f"system:serviceaccounts:{NAMESPACE}"
"""Of both accounts, by which an audit log finds their requests."""
RUNTIME: Final = "torch-distributed"
"""The ClusterTrainingRuntime that Trainer ships for PyTorch."""
START_SECONDS: Final = 120.0
NOT_INSTALLED: Final = frozenset({"Deployment", "Secret"})
CONFIGURATION_FILE: Final = "controller_manager_config.yaml"

Manifest = dict[str, Any]


@dataclass(frozen=True)
class Manager:
    """A program with its chart. certificates: the field of its configuration that lets it make its own."""

    command: str
    module: str
    chart: str
    port: int
    certificates: str


TRAINER: Final = Manager(
    "trainer-controller-manager", "github.com/kubeflow/trainer/v2", "charts/kubeflow-trainer", 9443, "certManagement"
)
JOB_SET: Final = Manager("jobset", "sigs.k8s.io/jobset", "charts/jobset", 9444, "internalCertManagement")


class KubeflowTrainer:
    """Trainer and JobSet on one cluster. Their charts stay when `run` ends."""

    def __init__(self, cluster: BareCluster) -> None:
        self._cluster = cluster
        self._machine = cluster.control_plane.machine
        self._folder = self._machine.folder / "trainer"

    @property
    def pids(self) -> Sequence[int]:
        """The processes of both managers, as the host sees them."""
        return [pid for manager in (TRAINER, JOB_SET) for pid in self._machine.processes_of(manager.command)]

    @contextmanager
    def run(self) -> Iterator[None]:
        """Install both and run them, from when their webhooks answer until the block ends."""
        self._cluster.kubectl("create", "namespace", NAMESPACE, check=False)  # exists the second time
        try:
            for manager in (JOB_SET, TRAINER):
                self._start(manager)
            wait_until(lambda: self._creates(_build_job_set(), "--dry-run=server"), "JobSet answers", START_SECONDS)
            wait_until(lambda: self._creates(self._read_runtime()), "Trainer answers", START_SECONDS)
            yield
        finally:
            for manager in (TRAINER, JOB_SET):
                self._machine.kill(manager.command)

    def _start(self, manager: Manager) -> None:
        path = program(manager.command)
        manifests = self._render_chart(manager)
        account, configuration = _read_account(manifests), _read_configuration(manifests)
        applied = [self._point(item, manager.port) for item in manifests if item["kind"] not in NOT_INSTALLED]
        listed = json.dumps({"apiVersion": "v1", "kind": "List", "items": applied})
        self._cluster.kubectl("apply", "--server-side", "--force-conflicts", "-f", "-", input=listed)
        self._cluster.kubectl("wait", "--for=condition=Established", "--timeout=120s", "crd", "--all")
        file = self._folder / f"{manager.command}.json"
        file.write_text(json.dumps(configuration | _build_changes(manager), indent=2))
        user = f"system:serviceaccount:{NAMESPACE}:{account}"
        kubeconfig = self._cluster.control_plane.client_kubeconfig(manager.command, user, GROUP)
        # Both look for their certificate in the same temporary folder.
        temporary = f"TMPDIR={self._write_certificate(manager)}"
        arguments = (f"--config={file}", f"--kubeconfig={kubeconfig}")
        self._machine.start(manager.command, "env", temporary, str(path), *arguments)

    def _render_chart(self, manager: Manager) -> list[Manifest]:
        """The chart without the charts that it depends on, because those are not in its module."""
        name = Path(manager.chart).name
        chart = self._folder / name
        shutil.copytree(find_source(manager.command, manager.module) / manager.chart, chart, dirs_exist_ok=True)
        description = yaml.safe_load((chart / "Chart.yaml").read_text())
        description.pop("dependencies", None)
        (chart / "Chart.yaml").write_text(yaml.safe_dump(description))
        rendered = self._cluster.helm("template", name, str(chart), "--namespace", NAMESPACE, "--include-crds").stdout
        return [item for item in yaml.safe_load_all(rendered) if item]

    def _point(self, manifest: Manifest, port: int) -> Manifest:
        """The same manifest. Its webhooks, if it has some, are called by URL: its Service has no pod."""
        authority = json.loads(self._cluster.kubeconfig.read_text())["clusters"][0]["cluster"]
        for webhook in manifest.get("webhooks", []):
            path = webhook["clientConfig"].pop("service")["path"]
            webhook["clientConfig"] = {
                "url": f"https://{network.CONTROL_PLANE}:{port}{path}",
                "caBundle": authority["certificate-authority-data"],
            }
        return manifest

    def _write_certificate(self, manager: Manager) -> Path:
        """A temporary folder with the certificate where controller-runtime looks for it."""
        address = f"IP:{network.CONTROL_PLANE}"
        pair = self._cluster.control_plane.authority.issue(
            f"{manager.command}-webhooks", manager.command, addresses=[address]
        )
        folder = self._folder / f"{manager.command}-temporary"
        target = folder / "k8s-webhook-server" / "serving-certs"
        target.mkdir(parents=True, exist_ok=True)
        shutil.copy(pair.certificate, target / "tls.crt")
        shutil.copy(pair.key, target / "tls.key")
        return folder

    def _read_runtime(self) -> Manifest:
        folder = find_source(TRAINER.command, TRAINER.module) / "manifests" / "base" / "runtimes"
        runtime: Manifest = yaml.safe_load((folder / "torch_distributed.yaml").read_text())
        return runtime

    def _creates(self, manifest: Manifest, *arguments: str) -> bool:
        command = ("apply", "-f", "-", "--request-timeout=5s", *arguments)
        return self._cluster.kubectl(*command, input=json.dumps(manifest), check=False).returncode == 0


def _read_account(manifests: Sequence[Manifest]) -> str:
    deployment = next(item for item in manifests if item["kind"] == "Deployment")
    name: str = deployment["spec"]["template"]["spec"]["serviceAccountName"]
    return name


def _read_configuration(manifests: Sequence[Manifest]) -> Manifest:
    """What the chart gives its manager."""
    files = (item["data"] for item in manifests if item["kind"] == "ConfigMap")
    text = next(data[CONFIGURATION_FILE] for data in files if CONFIGURATION_FILE in data)
    configuration: Manifest = yaml.safe_load(text)
    return configuration


def _build_changes(manager: Manager) -> Manifest:
    """Fields of the configuration that differ for a process next to another one."""
    return {
        "webhook": {"port": manager.port},
        "health": {"healthProbeBindAddress": "0"},
        "metrics": {"bindAddress": "0"},
        "leaderElection": {"leaderElect": False},
        manager.certificates: {"enable": False},
    }


def _build_job_set() -> Manifest:
    pod = {"containers": [{"name": "c", "image": "none"}], "restartPolicy": "Never"}
    jobs = [{"name": "j", "template": {"spec": {"template": {"spec": pod}}}}]
    metadata = {"name": "is-job-set-there", "namespace": "default"}
    return {
        "apiVersion": "jobset.x-k8s.io/v1alpha2",
        "kind": "JobSet",
        "metadata": metadata,
        "spec": {"replicatedJobs": jobs},
    }
