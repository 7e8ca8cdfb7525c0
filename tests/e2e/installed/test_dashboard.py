"""The chart's dashboard on a real cluster, as its user opens it: a port-forward and a browser."""

import os
import re
import subprocess
from collections.abc import Iterator
from contextlib import closing
from http.client import HTTPConnection
from typing import Any

import pytest

from deepsynth_cluster.programs.build import program
from deepsynth_demo.chart import SYSTEM_NAMESPACE, upgrade
from e2e.support.api import wait_until
from e2e.support.installation import Installation
from e2e.support.resources import build_run
from support.chromium import open_browser

pytestmark = pytest.mark.slow
SERVICE = "deepsynth-dashboard"


@pytest.fixture
def address(installation: Installation, values: dict[str, Any]) -> Iterator[str]:
    """Where a port-forward to the Service answers."""
    cluster = installation.cluster
    upgrade(cluster, {**values, "dashboard.enabled": True})
    command = [str(program("kubectl")), "port-forward", "-n", SYSTEM_NAMESPACE, f"service/{SERVICE}", ":80"]
    environment = os.environ | {"KUBECONFIG": str(cluster.kubeconfig)}
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as forward:
        assert forward.stdout
        found = re.search(r"127\.0\.0\.1:(\d+)", forward.stdout.readline())
        assert found
        yield f"http://127.0.0.1:{found[1]}/"
        forward.terminate()
    upgrade(cluster, values)


def read(address: str, **headers: str) -> tuple[int, str]:
    """Status and text of the list."""
    with closing(HTTPConnection(address.split("/")[2], timeout=60)) as connection:
        connection.request("GET", "/", headers=headers)
        answer = connection.getresponse()
        return answer.status, answer.read().decode()


def test_a_run_is_watched_live_and_its_log_is_read(
    installation: Installation, address: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    api, name = installation.api, "watched"
    api.create(build_run(name, maxSteps=200))
    page = f"{address}runs/{api.namespace}/{name}"
    with open_browser(tmp_path_factory.mktemp("browser") / "profile") as tab:
        tab.look(width=1200, height=900)
        wait_until("the page of the run", lambda: name in read(address)[1], 60)
        tab.open(page)
        assert tab.ask("document.querySelector('.title .state').textContent") != "Complete", (
            "it is opened before its end"
        )
        tab.wait_for("document.querySelector('.title .state').textContent === 'Complete'")
        assert tab.list_complaints() == []
        assert tab.list_hosts() == {address.split("/")[2]}
        tab.open(f"{page}/logs")
        assert "step 200/200" in tab.ask("document.body.textContent")
        tab.open(f"{address}generations/{api.namespace}/pages")
        assert "Complete" in tab.ask("document.body.textContent")
        assert tab.list_complaints() == []


def test_it_answers_only_to_its_own_names_and_its_account_reads_no_secrets(
    installation: Installation, address: str
) -> None:
    assert "pages" in read(address)[1]
    assert read(address, Host="attacker.example")[0] == 421
    account = f"system:serviceaccount:{SYSTEM_NAMESPACE}:{SERVICE}"
    for right, expected in (
        (["list", "trainingruns.deepsynth.io"], "yes"),
        (["get", "pods", "--subresource=log"], "yes"),
        (["list", "secrets"], "no"),
        (["patch", "trainingruns.deepsynth.io"], "no"),
        (["create", "pods"], "no"),
        (["create", "pods", "--subresource=exec"], "no"),
    ):
        asked = installation.cluster.kubectl(
            "auth", "can-i", *right, "--as", account, "-n", installation.api.namespace, check=False
        )
        assert asked.stdout.strip() == expected, right
