"""A run survives an upgrade and a removal of the operator; deleting one deletes only its own children."""

from typing import Any

import pytest

from deepsynth_demo.chart import RELEASE, SYSTEM_NAMESPACE, install, upgrade
from e2e.support.api import wait_until
from e2e.support.installation import Installation
from e2e.support.lives import RunLife
from e2e.support.resources import build_run

pytestmark = pytest.mark.slow


def test_a_run_survives_upgrade_uninstall_and_install(
    installation: Installation, values: dict[str, Any], undisturbed: str
) -> None:
    life = RunLife.begin(installation.api, installation.volume, build_run("upgraded"))
    life.wait_for_saved_step(5)
    jobs = [job["metadata"]["uid"] for job in installation.api.list_jobs(life.uid)]
    upgrade(installation.cluster, {**values, "logging.format": "json"})
    life.wait_for_saved_step(15)
    installation.cluster.helm("uninstall", RELEASE, "--namespace", SYSTEM_NAMESPACE, "--wait")
    assert installation.api.get_run("upgraded").status.saved_step >= 15, "the resource stays"
    assert [job["metadata"]["uid"] for job in installation.api.list_jobs(life.uid)] == jobs, "and what it runs"
    install(installation.cluster, values)
    assert life.wait_for_model() == undisturbed
    assert [attempt.outcome for attempt in life.run.status.attempts] == ["Succeeded"]
    assert [job["metadata"]["uid"] for job in installation.api.list_jobs(life.uid)] == jobs


def test_deleting_a_run_deletes_its_children_and_nothing_else(installation: Installation) -> None:
    keep = RunLife.begin(installation.api, installation.volume, build_run("kept", suspend=True))
    life = RunLife.begin(installation.api, installation.volume, build_run("deleted", maxSteps=1000))
    life.wait_for_saved_step(5)
    uid = life.uid
    assert installation.api.list_children(uid) != []
    installation.api.delete("TrainingRun", "deleted")
    wait_until("its children to be deleted", lambda: installation.api.list_children(uid) == [], 120)
    assert installation.api.exists("TrainingRun", "kept")
    assert list((installation.volume / "deleted").glob("step-*")) != [], "checkpoints are data"
    assert (installation.volume / "pages").exists()
    installation.api.delete("TrainingRun", keep.name)
