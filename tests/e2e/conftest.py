"""Which worker runs which tests. Each folder has clusters of its own, brought up when the first test asks for them:

    api_server/   a control plane alone
    cluster/      two nodes, without DeepSynth
    installed/    two nodes, with DeepSynth

`pytest -n 2` runs the tests with DeepSynth alongside those without.
"""

from pathlib import PurePath
from typing import Any

import pytest
from xdist.scheduler import LoadScopeScheduling  # type: ignore[import-untyped]

from deepsynth_cluster.clusters.selection import find_given


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """The tests of a group run one after the other on one worker. Two groups share no cluster."""
    scheduler = LoadScopeScheduling(config, log)
    scheduler._split_scope = find_group
    return scheduler


def find_group(nodeid: str) -> str:
    """A cluster that the user gives is shared by all tests, so they are one group."""
    folder = PurePath(nodeid.partition("::")[0]).parent.name
    return "with DeepSynth" if find_given() or folder == "installed" else "without DeepSynth"
