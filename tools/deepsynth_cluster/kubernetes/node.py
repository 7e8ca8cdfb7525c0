"""A worker node: containerd, kubelet, kube-proxy and the pods' network, on one machine."""

import json
from dataclasses import dataclass
from pathlib import Path

from deepsynth_cluster.kubernetes.credentials import Authority, write_kubeconfig
from deepsynth_cluster.machine import network
from deepsynth_cluster.machine.machine import Machine
from deepsynth_cluster.programs.build import program

PAUSE_IMAGE = "localhost/deepsynth-pause:1"
LEASE_SECONDS = 12
"""A node renews its lease every quarter of this, several times within the control plane's grace period."""
CONTAINERD = """
version = 3
root = "/var/lib/containerd"
state = "/run/containerd"
disabled_plugins = ["io.containerd.internal.v1.opt", "io.containerd.nri.v1.nri"]

[grpc]
address = "/run/containerd/containerd.sock"

[plugins."io.containerd.cri.v1.images"]
snapshotter = "overlayfs"

[plugins."io.containerd.cri.v1.images".pinned_images]
sandbox = "{pause_image}"

[plugins."io.containerd.cri.v1.runtime"]
# Lowering a score needs a capability that root lacks in some containers.
restrict_oom_score_adj = true

[plugins."io.containerd.cri.v1.runtime".cni]
bin_dirs = ["{cni}"]
conf_dir = "{folder}/cni"

[plugins."io.containerd.cri.v1.runtime".containerd.runtimes.runc]
runtime_type = "io.containerd.runc.v2"
runtime_path = "{shim}"

[plugins."io.containerd.cri.v1.runtime".containerd.runtimes.runc.options]
BinaryName = "{runc}"
SystemdCgroup = false
"""


@dataclass(frozen=True)
class Node:
    number: int
    machine: Machine
    authority: Authority
    server: str

    @property
    def name(self) -> str:
        return self.machine.name

    @property
    def _folder(self) -> Path:
        return self.machine.folder

    def configure(self) -> None:
        """Write the files that stay the same for all boots."""
        self._folder.mkdir(parents=True, exist_ok=True)
        (self._folder / "resolv.conf").write_text(f"nameserver {network.CONTROL_PLANE}\n")
        (self._folder / "containerd.toml").write_text(self._containerd_configuration())
        self._write_json("cni/10-pods.conflist", self._pod_network())
        self._write_json("kubelet.json", self._kubelet_configuration())
        self._write_json("kube-proxy.json", self._proxy_configuration())
        self._write_kubeconfig("kubelet", f"system:node:{self.name}", "system:nodes")
        self._write_kubeconfig("kube-proxy", "system:kube-proxy", "")

    def boot(self, control_plane: Machine, count: int) -> None:
        self.machine.boot()
        network.plug_in(self.machine, self.number, control_plane)
        network.route_between(self.machine, self.number, count)
        self.machine.start("containerd", str(program("containerd")), f"--config={self._folder / 'containerd.toml'}")

    def start_kubelet(self) -> None:
        """Let the node join the cluster. Its images should be loaded before."""
        self.machine.start(
            "kubelet",
            str(program("kubelet")),
            f"--config={self._folder / 'kubelet.json'}",
            f"--kubeconfig={self._folder / 'kubeconfigs' / 'kubelet.json'}",
            f"--hostname-override={self.name}",
            f"--node-ip={network.node_address(self.number)}",
        )
        self.machine.start("kube-proxy", str(program("kube-proxy")), f"--config={self._folder / 'kube-proxy.json'}")

    def _containerd_configuration(self) -> str:
        return CONTAINERD.format(
            cni=program("bridge").parent,
            folder=self._folder,
            pause_image=PAUSE_IMAGE,
            runc=program("runc"),
            shim=program("containerd-shim-runc-v2"),
        )

    def _pod_network(self) -> dict[str, object]:
        addresses = {
            "type": "host-local",
            "dataDir": "/run/cni",  # lost when the machine goes off, and with it the pods that hold addresses
            "ranges": [[{"subnet": network.pod_range(self.number)}]],
            "routes": [{"dst": "0.0.0.0/0"}],
        }
        bridge = {"type": "bridge", "bridge": "pods", "isGateway": True, "hairpinMode": True, "ipam": addresses}
        ports = {"type": "portmap", "capabilities": {"portMappings": True}, "backend": "nftables"}
        return {"cniVersion": "1.0.0", "name": "pods", "plugins": [bridge, ports]}

    def _kubelet_configuration(self) -> dict[str, object]:
        return {
            "apiVersion": "kubelet.config.k8s.io/v1beta1",
            "kind": "KubeletConfiguration",
            "authentication": {
                "anonymous": {"enabled": False},
                "webhook": {"enabled": True},
                "x509": {"clientCAFile": str(self.authority.own.certificate)},
            },
            "authorization": {"mode": "Webhook"},
            "cgroupDriver": "cgroupfs",
            "cgroupRoot": f"/{self.machine.group.path}",
            "clusterDNS": [network.CONTROL_PLANE],
            "clusterDomain": "cluster.local",
            "containerRuntimeEndpoint": "unix:///run/containerd/containerd.sock",
            # The defaults are shares of the disk: on a nearly full one, everything would be evicted.
            "evictionHard": {"imagefs.available": "500Mi", "memory.available": "100Mi", "nodefs.available": "500Mi"},
            "failCgroupV1": False,
            "failSwapOn": False,
            "imageGCHighThresholdPercent": 100,
            "nodeLeaseDurationSeconds": LEASE_SECONDS,
            "protectKernelDefaults": True,
            "resolvConf": str(self._folder / "resolv.conf"),
            "volumePluginDir": str(self._folder / "volume-plugins"),
        }

    def _proxy_configuration(self) -> dict[str, object]:
        return {
            "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
            "kind": "KubeProxyConfiguration",
            "clientConnection": {"kubeconfig": str(self._folder / "kubeconfigs" / "kube-proxy.json")},
            "clusterCIDR": network.PODS,
            # A machine may not change the host's limits for connections.
            "conntrack": {"maxPerCore": 0, "tcpCloseWaitTimeout": "0s", "tcpEstablishedTimeout": "0s"},
            "hostnameOverride": self.name,
            "mode": "nftables",
        }

    def _write_kubeconfig(self, name: str, user: str, group: str) -> None:
        client = self.authority.issue(f"{self.name}-{name}", user, group)
        path = self._folder / "kubeconfigs" / f"{name}.json"
        write_kubeconfig(path, name, self.server, self.authority.own.certificate, client)

    def _write_json(self, name: str, content: dict[str, object]) -> None:
        path = self._folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(content, indent=2))
