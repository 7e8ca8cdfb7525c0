"""The pages in a real browser: no complaints, live updates, keys, a phone."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from deepsynth_local.local_resources import LocalResources
from deepsynth_local.runs.runs_folder import RunsFolder
from integration.ui.served_pages import serve_on_a_port
from integration.ui.test_folder import ATTEMPT, FAILED, TIME, put_generation, put_run, write_curve, write_sample
from support.chromium import Tab, open_browser

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def tab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tab]:
    with open_browser(tmp_path_factory.mktemp("browser") / "profile") as tab:
        yield tab


@pytest.fixture
def runs(tmp_path: Path) -> RunsFolder:
    return RunsFolder.open(tmp_path / "runs")


@pytest.fixture
def address(runs: RunsFolder) -> Iterator[str]:
    with serve_on_a_port(LocalResources(runs)) as address:
        yield address


def open_live(tab: Tab, url: str) -> None:
    """Once the server has seen the resource, until the page follows it."""
    tab.open(url)
    while tab.ask("document.title.startsWith('Not Found')"):
        tab.open(url)
    tab.wait_for("document.getElementById('live-state').textContent === ', live'")


def test_all_pages_load_without_a_complaint_and_from_one_server(runs: RunsFolder, address: str, tab: Tab) -> None:
    condition = {"type": "Failed", "status": "True", "reason": "X", "message": "NaN", "lastTransitionTime": TIME}
    put_run(runs, attempts=[{**ATTEMPT, **FAILED}], state="Failed", conditions=[condition])
    put_run(runs, "other")
    put_generation(runs)
    write_sample(write_curve(runs))
    tab.look(width=1200, height=900)

    for path in ("", "runs/default/read-xsum", "runs/default/read-xsum/logs", "generations/default/xsum"):
        open_live(tab, address + path)
        complaints = [text for text in tab.list_complaints() if "samples/0/0.png" not in text]
        assert complaints == [], path
        assert tab.list_hosts() == {address.split("/")[2]}
        assert tab.ask("getComputedStyle(document.querySelector('.bar')).display") == "flex", "the style is loaded"


def test_an_open_page_follows_a_run_and_keeps_what_the_user_did(runs: RunsFolder, address: str, tab: Tab) -> None:
    put_run(runs, "first")
    open_live(tab, address + "runs/default/first")
    tab.ask("document.querySelector('details').open = true, document.querySelector('summary').focus()")

    put_run(runs, "first", state="Complete", summary={"step": "3000/3000"})

    tab.wait_for("document.querySelector('.title .state').textContent === 'Complete'")
    tab.wait_for("document.getElementById('overview').textContent.includes('3000/3000')")
    assert tab.ask("document.querySelector('details').open")
    assert tab.list_complaints() == []


def test_chosen_runs_stay_chosen_in_a_list_that_changes(runs: RunsFolder, address: str, tab: Tab) -> None:
    put_run(runs, "first")
    put_run(runs, "second")
    tab.open(address)
    tab.wait_for("document.querySelectorAll('tbody tr').length === 2")
    tab.ask("document.querySelectorAll('input[type=checkbox]').forEach((box) => { box.checked = true; })")

    put_run(runs, "third")

    tab.wait_for("document.querySelectorAll('tbody tr').length === 3")
    assert tab.ask("document.querySelectorAll('input:checked').length") == 2
    tab.ask("document.querySelector('form[action$=compare] > button').click()")
    tab.wait_for("location.pathname.endsWith('/compare') && document.readyState === 'complete'")
    assert "first" in tab.ask("document.body.textContent")


def test_keys_lead_through_the_list(runs: RunsFolder, address: str, tab: Tab) -> None:
    put_run(runs, "first")
    tab.open(address)
    tab.wait_for("document.querySelectorAll('tbody tr').length === 1")

    tab.press("Tab")
    assert tab.ask("document.activeElement.className") == "skip"
    tab.press("/")
    assert tab.ask("document.activeElement.name") == "q"
    for letter in "fir":
        tab.press(letter)
    tab.press("Enter")
    tab.wait_for("location.search.includes('q=fir') && document.readyState === 'complete'")
    tab.wait_for("document.querySelectorAll('tbody tr').length === 1")


@pytest.mark.parametrize("path", ["", "runs/default/read-xsum", "runs/default/read-xsum/logs"])
def test_a_page_fits_a_phone(runs: RunsFolder, address: str, tab: Tab, path: str) -> None:
    long = "x" * 300
    put_run(runs, attempts=[{**ATTEMPT, **FAILED, "message": long}], summary={"step": long})
    write_curve(runs)
    runs.log_file("read-xsum-1-1-x").write_text(long)
    tab.look(width=390, height=844)

    open_live(tab, address + path)

    assert tab.ask("document.documentElement.scrollWidth") <= 390
    tab.look(width=1200, height=900)


def test_colors_follow_the_preference_of_the_user(runs: RunsFolder, address: str, tab: Tab) -> None:
    put_run(runs)
    tab.open(address)
    ground = "getComputedStyle(document.body).backgroundColor"

    tab.look(width=1200, height=900, dark=True)
    dark = tab.ask(ground)
    tab.look(width=1200, height=900)

    assert tab.ask(ground) != dark
