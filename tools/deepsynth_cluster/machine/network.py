"""Addresses of the machines, and the wires between them.

    control plane 10.200.0.1, bridge `nodes` --+-- node-1 10.200.0.11, pods in 10.244.1.0/24
                                               +-- node-2 10.200.0.12, pods in 10.244.2.0/24

No wire leads to the host. All of this exists only in the machines' namespaces, so any number of clusters may use the
same addresses.
"""

from deepsynth_cluster.commands import run_command
from deepsynth_cluster.machine.machine import Machine

CONTROL_PLANE = "10.200.0.1"
BRIDGE = "02:00:0a:c8:00:01"
"""The control plane's hardware address on the bridge."""
PODS = "10.244.0.0/16"
SERVICES = "10.96.0.0/16"
FIRST_SERVICE = "10.96.0.1"
"""The address of the Service `kubernetes`."""


def node_address(number: int) -> str:
    return f"10.200.0.{10 + number}"


def pod_range(number: int) -> str:
    return f"10.244.{number}.0/24"


def lay_bridge(control_plane: Machine) -> None:
    # A bridge without a fixed hardware address takes the lowest of its ports and changes it with them: whenever a node
    # came or went, the others would not reach the API server for half a minute.
    control_plane.run("ip", "link", "add", "nodes", "address", BRIDGE, "type", "bridge")
    control_plane.run("ip", "address", "add", f"{CONTROL_PLANE}/24", "dev", "nodes")
    control_plane.run("ip", "link", "set", "nodes", "up")


def plug_in(node: Machine, number: int, control_plane: Machine) -> None:
    """Connect a node to the bridge. Its wire ends with the machine, so this is done at every boot."""
    port = node.name
    control_plane.run("ip", "link", "delete", port, check=False)  # of an earlier boot, if the kernel still has it
    ends = ("uplink", "netns", str(node.init), "type", "veth", "peer", "name", port, "netns", str(control_plane.init))
    run_command(["ip", "link", "add", *ends])
    control_plane.run("ip", "link", "set", port, "master", "nodes", "up")
    node.run("ip", "address", "add", f"{node_address(number)}/24", "dev", "uplink")
    node.run("ip", "link", "set", "uplink", "up")
    node.run("ip", "route", "add", "default", "via", CONTROL_PLANE)  # for Services, before kube-proxy rewrites them
    control_plane.run("ip", "route", "replace", pod_range(number), "via", node_address(number))


def route_between(node: Machine, number: int, count: int) -> None:
    """Add routes to the pods of the other nodes."""
    for other in range(1, count + 1):
        if other != number:
            node.run("ip", "route", "replace", pod_range(other), "via", node_address(other))
