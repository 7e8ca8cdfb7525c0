"""Control groups and addresses of the machines."""

from ipaddress import ip_address, ip_network
from pathlib import Path

from deepsynth_cluster.machine.cgroups import parse_mounts
from deepsynth_cluster.machine.network import CONTROL_PLANE, FIRST_SERVICE, PODS, SERVICES, node_address, pod_range

VERSION_1 = """\
proc /proc proc rw 0 0
cgroup /sys/fs/cgroup/cpu,cpuacct cgroup rw,cpu,cpuacct 0 0
cgroup /sys/fs/cgroup/memory cgroup rw,memory 0 0
"""


def test_control_groups_of_version_1_have_a_mount_per_controller() -> None:
    assert parse_mounts(VERSION_1) == (Path("/sys/fs/cgroup/cpu,cpuacct"), Path("/sys/fs/cgroup/memory"))


def test_control_groups_of_version_2_have_one_mount() -> None:
    assert parse_mounts("cgroup2 /sys/fs/cgroup cgroup2 rw,nosuid 0 0\n") == (Path("/sys/fs/cgroup"),)
    assert parse_mounts("proc /proc proc rw 0 0\n") == ()


def test_nodes_have_addresses_and_pod_ranges_of_their_own() -> None:
    addresses = {node_address(number) for number in (1, 2, 3)} | {CONTROL_PLANE}
    ranges = [ip_network(pod_range(number)) for number in (1, 2, 3)]
    assert len(addresses) == 4
    assert all(found.subnet_of(ip_network(PODS)) for found in ranges)  # type: ignore[arg-type]  # both are IPv4
    assert not any(one.overlaps(other) for one in ranges for other in ranges if one is not other)
    assert ip_address(FIRST_SERVICE) in ip_network(SERVICES)
    assert not ip_network(SERVICES).overlaps(ip_network(PODS))
