"""Which module has a program, and when it is built again."""

import re
from dataclasses import replace

import pytest

from deepsynth_cluster.errors import ClusterError
from deepsynth_cluster.programs.pins import KUBERNETES, UPSTREAMS, Upstream, find_upstream, kubernetes, list_commands


@pytest.mark.parametrize("upstream", [*UPSTREAMS, kubernetes({})], ids=lambda upstream: upstream.name)
def test_a_pinned_module_has_its_programs_as_tools_or_is_one(upstream: Upstream) -> None:
    if (upstream.folder / "main.go").exists():
        assert upstream.commands == (upstream.name,)
        return
    tools = re.findall(r"(?m)^(?:tool|\t)\s*([^\s(]+)$", (upstream.folder / "go.mod").read_text())
    names = [part for tool in tools for part in tool.split("/")]
    assert [command for command in upstream.commands if command not in names] == []


def test_a_program_is_found_by_its_name_and_an_unknown_one_is_an_error() -> None:
    assert find_upstream("kubelet", {}).name == "kubernetes"
    assert find_upstream("kubelet", {KUBERNETES: "1.34"}).name == "kubernetes-1.34"
    assert find_upstream("ctr", {}).name == "containerd"
    with pytest.raises(ClusterError, match=r"no module .* has the program nonsense"):
        find_upstream("nonsense", {})


def test_an_unknown_version_of_kubernetes_is_an_error_that_lists_the_known_ones() -> None:
    with pytest.raises(ClusterError, match=r"DEEPSYNTH_KUBERNETES: must be one of 1\.34, 1\.35, .*got '1\.2'"):
        kubernetes({KUBERNETES: "1.2"})


def test_the_key_of_a_build_changes_with_the_pins_and_the_way_of_building() -> None:
    helm = find_upstream("helm", {})
    assert helm.key == replace(helm).key
    assert helm.key.startswith("helm-")
    assert (
        len({helm.key, replace(helm, ldflags="-s").key, replace(helm, tags="x").key, replace(helm, cgo=True).key}) == 4
    )
    assert kubernetes({KUBERNETES: "1.34"}).key != kubernetes({KUBERNETES: "1.35"}).key


def test_binaries_of_kubernetes_report_their_version() -> None:
    flags = kubernetes({KUBERNETES: "1.34"}).ldflags
    assert "-X k8s.io/component-base/version.gitVersion=v1.34." in flags
    assert "-X k8s.io/client-go/pkg/version.gitMinor=34" in flags


def test_no_program_is_in_two_modules() -> None:
    assert len(set(list_commands())) == len(list_commands())
