"""The control plane: etcd, API server, controller manager, scheduler and name server, on one machine."""

import socket
import sys
from dataclasses import dataclass
from pathlib import Path

from deepsynth_cluster.kubernetes import forwarder
from deepsynth_cluster.kubernetes.credentials import Authority, write_kubeconfig
from deepsynth_cluster.machine import network
from deepsynth_cluster.machine.machine import Machine
from deepsynth_cluster.programs.build import program

API_PORT = 6443
NODE_MONITOR_GRACE_SECONDS = 30
NOT_READY_TOLERATION_SECONDS = 5
"""A lost node's pods are deleted after both together. With the defaults that takes almost six minutes."""
SERVER_NAMES = (
    "DNS:localhost",
    "DNS:kubernetes",
    "DNS:kubernetes.default",
    "DNS:kubernetes.default.svc",
    "DNS:kubernetes.default.svc.cluster.local",
    "IP:127.0.0.1",
    f"IP:{network.CONTROL_PLANE}",
    f"IP:{network.FIRST_SERVICE}",
)
COREFILE = """
cluster.local in-addr.arpa ip6.arpa {{
    bind {address}
    errors
    kubernetes {{
        kubeconfig {kubeconfig}
    }}
}}
. {{
    bind {address}
    template ANY ANY {{
        rcode NXDOMAIN
    }}
}}
"""
"""Names outside the cluster do not resolve, so no query of a pod leaves the machine."""


@dataclass(frozen=True)
class ControlPlane:
    machine: Machine
    authority: Authority
    admin: Path
    """The kubeconfig for users and tests, through the loopback port."""
    context: str
    """Its context there: those of several clusters may be merged."""

    @property
    def server(self) -> str:
        return f"https://{network.CONTROL_PLANE}:{API_PORT}"

    def create(self) -> None:
        """Boot it and start everything. The API server may need some more seconds to be ready."""
        self.machine.boot()
        network.lay_bridge(self.machine)
        self._issue_certificates()
        self._forward_port()
        self.start_etcd()
        self.start_api_server()
        self.start_controller_manager()
        self.start_scheduler()
        self._start_name_server()

    def client_kubeconfig(self, name: str, user: str, group: str = "") -> Path:
        """Write a kubeconfig for one of the cluster's own programs."""
        path = self.machine.folder / "kubeconfigs" / f"{name}.json"
        client = self.authority.issue(name, user, group)
        write_kubeconfig(path, name, self.server, self.authority.own.certificate, client)
        return path

    def start_etcd(self) -> None:
        # Without fsync: only a test's data could be lost in a power cut.
        self._start(
            "etcd",
            f"--data-dir={self.machine.folder / 'etcd'}",
            "--unsafe-no-fsync",
            "--log-level=warn",
            "--listen-client-urls=http://127.0.0.1:2379",
            "--advertise-client-urls=http://127.0.0.1:2379",
            "--listen-peer-urls=http://127.0.0.1:2380",
        )

    def start_api_server(self, *flags: str) -> None:
        """flags: more of its command line."""
        serving, kubelet_client = self.authority.pair("kube-apiserver"), self.authority.pair("kubelet-client")
        accounts = self.authority.pair("service-accounts")
        self._start(
            "kube-apiserver",
            "--etcd-servers=http://127.0.0.1:2379",
            f"--advertise-address={network.CONTROL_PLANE}",
            f"--secure-port={API_PORT}",
            f"--service-cluster-ip-range={network.SERVICES}",
            f"--tls-cert-file={serving.certificate}",
            f"--tls-private-key-file={serving.key}",
            f"--client-ca-file={self.authority.own.certificate}",
            f"--kubelet-client-certificate={kubelet_client.certificate}",
            f"--kubelet-client-key={kubelet_client.key}",
            "--kubelet-preferred-address-types=InternalIP",
            "--service-account-issuer=https://kubernetes.default.svc.cluster.local",
            f"--service-account-key-file={accounts.certificate}",
            f"--service-account-signing-key-file={accounts.key}",
            "--authorization-mode=Node,RBAC",
            "--enable-admission-plugins=NodeRestriction",
            "--allow-privileged",
            # To webhooks by their endpoints: nothing on this machine rewrites the addresses of Services.
            "--enable-aggregator-routing",
            f"--default-not-ready-toleration-seconds={NOT_READY_TOLERATION_SECONDS}",
            f"--default-unreachable-toleration-seconds={NOT_READY_TOLERATION_SECONDS}",
            *flags,
        )

    def start_controller_manager(self, *flags: str) -> None:
        """flags: more of its command line."""
        self._start(
            "kube-controller-manager",
            f"--kubeconfig={self._kubeconfig('kube-controller-manager')}",
            "--leader-elect=false",
            "--use-service-account-credentials",
            f"--service-account-private-key-file={self.authority.pair('service-accounts').key}",
            f"--root-ca-file={self.authority.own.certificate}",
            "--node-monitor-period=2s",
            f"--node-monitor-grace-period={NODE_MONITOR_GRACE_SECONDS}s",
            *flags,
        )

    def start_scheduler(self, *flags: str) -> None:
        """flags: more of its command line."""
        kubeconfig = f"--kubeconfig={self._kubeconfig('kube-scheduler')}"
        self._start("kube-scheduler", kubeconfig, "--leader-elect=false", *flags)

    def _start_name_server(self) -> None:
        corefile = self.machine.folder / "Corefile"
        corefile.write_text(COREFILE.format(address=network.CONTROL_PLANE, kubeconfig=self._kubeconfig("coredns")))
        self._start("coredns", f"-conf={corefile}")

    def _start(self, command: str, *arguments: str) -> None:
        self.machine.start(command, str(program(command)), *arguments)

    def _kubeconfig(self, name: str) -> Path:
        return self.machine.folder / "kubeconfigs" / f"{name}.json"

    def _issue_certificates(self) -> None:
        self.authority.create()
        self.authority.issue("kube-apiserver", "kube-apiserver", addresses=SERVER_NAMES)
        self.authority.issue("kubelet-client", "kube-apiserver", "system:masters")
        self.authority.issue("service-accounts", "service-accounts")
        self.authority.issue("admin", "admin", "system:masters")
        for name in ("kube-controller-manager", "kube-scheduler"):
            self.client_kubeconfig(name, f"system:{name}")
        self.client_kubeconfig("coredns", "coredns", "system:masters")

    def _forward_port(self) -> None:
        """Forward a free loopback port of the host to the API server for as long as the machine is on."""
        with socket.create_server(("127.0.0.1", 0)) as listener:
            port = listener.getsockname()[1]
            descriptor = listener.fileno()
            target = (network.CONTROL_PLANE, str(API_PORT))
            argv = (sys.executable, str(forwarder.__file__), str(descriptor), *target)
            self.machine.start("forwarder", *argv, inherited=[descriptor])
        server = f"https://127.0.0.1:{port}"
        admin = self.authority.pair("admin")
        write_kubeconfig(self.admin, self.context, server, self.authority.own.certificate, admin)
