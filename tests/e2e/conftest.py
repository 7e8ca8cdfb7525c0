"""Which worker runs which tests. Each folder has clusters of its own, brought up when the first test asks for them:

    api_server/   a control plane alone
    cluster/      two nodes, without DeepSynth
    installed/    two nodes, with DeepSynth

`pytest -n 2 --dist loadgroup` runs the tests with DeepSynth alongside those without.
"""

from pathlib import Path

import pytest

from deepsynth_cluster.clusters.selection import find_given


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        item.add_marker(pytest.mark.xdist_group(find_group(item.path)))


def find_group(test: Path) -> str:
    """The tests of a group run one after the other on one worker; two groups share no cluster.

    A cluster that the user gives is shared by all tests, so they are one group.
    """
    return "with-deepsynth" if find_given() or test.parent.name == "installed" else "without-deepsynth"
