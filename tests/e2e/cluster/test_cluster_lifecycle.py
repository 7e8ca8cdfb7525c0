"""A bare cluster comes up next to others, after any earlier run, and leaves nothing behind."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from deepsynth_cluster.clusters.bare import BareCluster
from deepsynth_cluster.clusters.kind import docker_answers
from deepsynth_cluster.clusters.selection import temporary_cluster
from deepsynth_cluster.commands import wait_until
from deepsynth_cluster.machine.cgroups import ControlGroup, hierarchies

NAME = "lifecycle"

pytestmark = [
    pytest.mark.skipif(os.geteuid() != 0, reason="a bare cluster needs root"),
    pytest.mark.skipif(docker_answers(), reason="kind is used here"),
]


@pytest.fixture
def scratch() -> Iterator[BareCluster]:
    cluster = BareCluster(NAME)
    yield cluster
    cluster.down()


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "deepsynth_cluster", *arguments, "--name", NAME]


def environment() -> dict[str, str]:
    return os.environ | {"PYTHONPATH": str(Path(__file__).parents[3] / "tools")}


def processes_of(cluster: BareCluster) -> list[str]:
    """The command lines on this machine that name the cluster's folder."""
    found = []
    for file in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            arguments = file.read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        if str(cluster.folder) in arguments:
            found.append(arguments)
    return found


def test_a_run_that_was_killed_is_cleaned_by_the_next_and_down_leaves_nothing(scratch: BareCluster) -> None:
    starting = subprocess.Popen(command("up", "--nodes", "0"), env=environment())
    wait_until(lambda: any("kube-apiserver" in each for each in processes_of(scratch)), "the API server is started")
    starting.kill()
    starting.wait()
    left = scratch.control_plane.machine.init
    scratch.up(0)
    assert scratch.is_up
    assert scratch.control_plane.machine.init != left
    scratch.down()
    assert processes_of(scratch) == []
    assert not scratch.folder.exists()
    assert not any(list(Path(hierarchy, "deepsynth").glob(f"{NAME}-*")) for hierarchy in hierarchies())
    assert str(scratch.folder) not in Path("/proc/self/mountinfo").read_text()


def test_a_cluster_that_is_up_is_used_again(scratch: BareCluster) -> None:
    scratch.up(0)
    init = scratch.control_plane.machine.init
    subprocess.run(command("up", "--nodes", "0"), env=environment(), check=True)
    assert scratch.control_plane.machine.init == init
    refused = subprocess.run(command("up", "--nodes", "1"), env=environment(), check=False, capture_output=True)
    assert refused.returncode != 0
    assert b"is up with 0 nodes: take it down first" in refused.stderr


def test_a_machine_that_is_off_has_no_control_groups_of_its_pods(scratch: BareCluster) -> None:
    scratch.up(0)
    machine = scratch.control_plane.machine
    ControlGroup(f"{machine.group.path}/kubepods/pod/container").create()
    machine.power_off()
    assert not any(folder.exists() for folder in machine.group.folders())


def test_a_temporary_cluster_is_a_new_one(scratch: BareCluster) -> None:
    scratch.up(0)
    scratch.kubectl("create", "namespace", "left-over")
    with temporary_cluster(NAME, 0) as cluster:
        assert cluster.kubectl("get", "namespace", "left-over", check=False).returncode != 0
    assert not scratch.is_up
