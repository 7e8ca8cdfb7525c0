"""Where a command finds its resources, from what the command line says and what is there."""

import pytest

from deepsynth.place import Choice, Place, choose
from deepsynth_client.errors import InvalidError

NOTHING = Choice()


@pytest.mark.parametrize(
    ("choice", "has_runs", "has_cluster", "expected"),
    [
        (NOTHING, False, False, "folder"),
        (NOTHING, False, True, "cluster"),
        (NOTHING, True, True, "folder"),  # a local run of this folder stays what `deepsynth get` shows
        (NOTHING, True, False, "folder"),
        (Choice(local=True), False, True, "folder"),
        (Choice(runs="other"), False, True, "folder"),
        (Choice(local=True, namespace="team"), False, True, "folder"),
        (Choice(namespace="team"), True, True, "cluster"),
        (Choice(context="prod"), True, True, "cluster"),
        (Choice(context="prod"), False, False, "cluster"),
    ],
)
def test_the_options_decide_first_then_the_folder_then_the_kubeconfig(
    choice: Choice, has_runs: bool, has_cluster: bool, expected: Place
) -> None:
    assert choose(choice, is_plugin=False, has_runs=has_runs, has_cluster=has_cluster) == expected


def test_the_plugin_of_kubectl_uses_the_cluster_unless_local_is_given() -> None:
    assert choose(NOTHING, is_plugin=True, has_runs=True, has_cluster=False) == "cluster"
    assert choose(Choice(local=True), is_plugin=True, has_runs=False, has_cluster=True) == "folder"


def test_options_that_contradict_each_other_are_refused() -> None:
    with pytest.raises(InvalidError, match="--context: cannot be used with --local or --runs"):
        choose(Choice(runs="a", context="b"), is_plugin=False, has_runs=True, has_cluster=True)


def test_the_options_of_a_place_are_those_that_were_given() -> None:
    assert NOTHING.options == ""
    assert Choice(local=True, runs="my runs").options == " --local --runs 'my runs'"
    assert Choice(context="prod", namespace="team").options == " --context prod --namespace team"
