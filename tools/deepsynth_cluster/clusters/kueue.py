"""Kueue on a bare cluster: its own chart, and its manager as a process on the control plane's machine.

    API server ──webhook──▶ Service kueue-webhook-service ──EndpointSlice──▶ 10.200.0.1:9443, the manager

A cluster without nodes can have it, because no pod runs for it. The manager has the rights of its service account.
The chart comes from the module that the manager is built from, in Go's module cache.
"""

import base64
import json
from pathlib import Path
from typing import Any

import yaml

from deepsynth_cluster.clusters.bare import BareCluster
from deepsynth_cluster.commands import wait_until
from deepsynth_cluster.machine import network
from deepsynth_cluster.programs.build import find_source, program

NAMESPACE = "kueue-system"
ACCOUNT = f"system:serviceaccount:{NAMESPACE}:kueue-controller-manager"
WEBHOOKS = "kueue-webhook-service"
CERTIFICATE = "kueue-webhook-server-cert"
WEBHOOK_PORT = 9443
START_SECONDS = 120.0
NOT_INSTALLED = frozenset({"APIService", "Deployment"})
"""The visibility API would need an aggregation layer, and the manager is not a pod."""


class Kueue:
    """Kueue on one cluster, from `install` until the cluster goes down."""

    def __init__(self, cluster: BareCluster) -> None:
        self._cluster = cluster
        self._machine = cluster.control_plane.machine
        self._folder = self._machine.folder / "kueue"

    def install(self, **configuration: Any) -> None:
        """Install it and wait until its webhooks answer. configuration: more fields of its Configuration."""
        if self._machine.processes_of("kueue"):
            return
        program("kueue")
        self._cluster.kubectl("create", "namespace", NAMESPACE, check=False)  # exists after a restart
        manifests = [*self._render_chart(), _build_slice()]
        listed = json.dumps({"apiVersion": "v1", "kind": "List", "items": manifests})
        self._cluster.kubectl("apply", "--server-side", "--force-conflicts", "-f", "-", input=listed)
        self._start(configuration)
        wait_until(self._write_certificate, "Kueue has made its certificate", START_SECONDS)
        wait_until(self._answers, "Kueue's webhooks answer", START_SECONDS)

    def stop(self) -> None:
        """Kill its manager. From then on the API server refuses Jobs, as while a real Kueue is down."""
        self._machine.kill("kueue")

    def remove(self) -> None:
        """Stop it and remove its webhooks, so that Jobs can be created without it."""
        self.stop()
        for kind in ("mutating", "validating"):
            name = f"kueue-{kind}-webhook-configuration"
            self._cluster.kubectl("delete", f"{kind}webhookconfiguration", name, "--ignore-not-found")

    def _render_chart(self) -> list[dict[str, Any]]:
        chart = find_source("kueue", "sigs.k8s.io/kueue") / "charts" / "kueue"
        rendered = self._cluster.helm("template", "kueue", str(chart), "--namespace", NAMESPACE).stdout
        return [item for item in yaml.safe_load_all(rendered) if item and item["kind"] not in NOT_INSTALLED]

    def _start(self, configuration: dict[str, Any]) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        settings = {
            "apiVersion": "config.kueue.x-k8s.io/v1beta2",
            "kind": "Configuration",
            "namespace": NAMESPACE,
            "health": {"healthProbeBindAddress": "127.0.0.1:8081"},
            "metrics": {"bindAddress": "127.0.0.1:8443"},
            "webhook": {"port": WEBHOOK_PORT, "certDir": str(self._certificates)},
            "leaderElection": {"leaderElect": False},
            "integrations": {"frameworks": ["batch/job"]},
            "internalCertManagement": {
                "enable": True,
                "webhookServiceName": WEBHOOKS,
                "webhookSecretName": CERTIFICATE,
            },
            "featureGates": {"VisibilityOnDemand": False},
            **configuration,
        }
        file = self._folder / "configuration.json"
        file.write_text(json.dumps(settings, indent=2))
        kubeconfig = self._cluster.control_plane.client_kubeconfig("kueue", ACCOUNT, "system:serviceaccounts")
        self._machine.start("kueue", str(program("kueue")), f"--config={file}", f"--kubeconfig={kubeconfig}")

    @property
    def _certificates(self) -> Path:
        return self._folder / "certificates"

    def _write_certificate(self) -> bool:
        """Do what a kubelet does with a Secret that a pod mounts. Whether the Secret is filled."""
        secret = self._cluster.kubectl("-n", NAMESPACE, "get", "secret", CERTIFICATE, "-o", "json", check=False)
        data = json.loads(secret.stdout).get("data", {}) if secret.returncode == 0 else {}
        if "tls.crt" not in data:
            return False
        self._certificates.mkdir(exist_ok=True)
        for name, content in data.items():
            (self._certificates / name).write_bytes(base64.b64decode(content))
        return True

    def _answers(self) -> bool:
        """Whether a Job passes its webhooks, which happens only once its caches are filled."""
        pod = {"containers": [{"name": "c", "image": "none"}], "restartPolicy": "Never"}
        metadata = {"name": "is-kueue-there", "namespace": "default", "labels": {"kueue.x-k8s.io/queue-name": "any"}}
        job = {"apiVersion": "batch/v1", "kind": "Job", "metadata": metadata, "spec": {"template": {"spec": pod}}}
        arguments = ("create", "-f", "-", "--dry-run=server", "-o", "json", "--request-timeout=5s")
        created = self._cluster.kubectl(*arguments, input=json.dumps(job), check=False)
        return created.returncode == 0 and bool(json.loads(created.stdout)["spec"].get("suspend"))


def _build_slice() -> dict[str, Any]:
    """Where the webhook Service leads to: its selector finds no pod."""
    return {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {
            "name": f"{WEBHOOKS}-machine",
            "namespace": NAMESPACE,
            "labels": {"kubernetes.io/service-name": WEBHOOKS},
        },
        "addressType": "IPv4",
        "ports": [{"name": "", "port": WEBHOOK_PORT, "protocol": "TCP"}],
        "endpoints": [{"addresses": [network.CONTROL_PLANE], "conditions": {"ready": True}}],
    }
