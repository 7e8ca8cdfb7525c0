"""Everything that speaks to the Hub survives a proxy, a cache or another server on the way to it, for a while."""

import json
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from huggingface_hub import close_session, constants, get_session

from deepsynth_api.errors import TemporaryError, WorkloadError
from deepsynth_api.reasons import Reason
from deepsynth_store import Waiting, fetch_folder, open_dataset, open_target
from deepsynth_store.core.atomic import compute_sha256
from deepsynth_store.hub import calls
from support.store.generations import build_generation
from support.store.hub_server.faults import FaultKind
from support.store.hub_server.repository import Blob
from support.store.hub_server.server import HubServer

REPO = "someone/things"
MODEL = f"hf://{REPO}"
DATASET = f"hf://datasets/{REPO}"
PAGES = "hf://datasets/someone/pages"
CONTENT = bytes(range(256)) * 400
READ_ROUTES = ["repo_info", "tree", "resolve", "lfs_get"]
WRITE_ROUTES = ["create_repo", "preupload", "lfs_batch", "commit", "paths_info", "validate_yaml"]
ODD: list[FaultKind] = ["page", "list", "object", "deep", "binary", "odd_throttle", "odd_refusal"]
PASSING: list[FaultKind] = [*ODD, "broken", "throttle_date", "loop", "late"]
OF_LARGE_FILES: list[FaultKind] = ["short", "damaged"]
"""Only large files have a hash to compare with."""
READ_FAULTS = [(route, kind) for route in READ_ROUTES for kind in PASSING] + [
    ("lfs_get", kind) for kind in OF_LARGE_FILES
]


@pytest.fixture(autouse=True)
def _things(hub: HubServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("huggingface_hub.utils._auth._get_token_from_file", lambda: None)
    blob = Blob(CONTENT, is_lfs=True)
    hub.hub.objects[blob.sha256] = CONTENT
    for kind in ("model", "dataset"):
        files = {"config.json": Blob(b'{"a": 1}', is_lfs=False), "large.safetensors": blob}
        hub.create_repository(REPO, kind).find("main").tree.update(files)


@pytest.fixture
def impatient(hub: HubServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Answers are waited for 0.2 s; a late one takes longer."""
    monkeypatch.setattr(calls, "_TIMEOUT_SECONDS", 0.2)
    monkeypatch.setattr(constants, "HF_HUB_ETAG_TIMEOUT", 0.2)
    monkeypatch.setattr(constants, "HF_HUB_DOWNLOAD_TIMEOUT", 0.2)
    hub.faults.delay = 0.4
    close_session()


def read_model(_: Path) -> None:
    folder = fetch_folder(MODEL, None, ("*.json", "*.safetensors"), field="spec.model.uri")
    assert json.loads((folder / "config.json").read_text()) == {"a": 1}
    assert (folder / "large.safetensors").read_bytes() == CONTENT


def read_dataset(folder: Path) -> None:
    dataset = open_dataset(DATASET)
    assert json.loads(dataset.read("config.json")) == {"a": 1}
    dataset.download("large.safetensors", folder / "downloaded")
    assert (folder / "downloaded").read_bytes() == CONTENT


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("read", [read_model, read_dataset])
@pytest.mark.parametrize(("route", "kind"), READ_FAULTS)
def test_models_and_datasets_are_read_whole_through_a_passing_fault(
    hub: HubServer, tmp_path: Path, read: Callable[[Path], None], route: str, kind: FaultKind
) -> None:
    hub.fail_next(route, kind, times=1 if kind in {"damaged", "late"} else 2)
    read(tmp_path)


@pytest.mark.parametrize("kind", [*ODD, "broken", "throttle_date", "loop"])
def test_a_generation_is_published_once_through_faults_of_every_route(hub: HubServer, kind: FaultKind) -> None:
    generation = build_generation("one")
    # The answer to the creation of a branch is not read, so only a page there is noticed.
    for route in [*READ_ROUTES, *WRITE_ROUTES, *(["create_branch"] * (kind in {"page", "loop"}))]:
        hub.fail_next(route, kind)
    hub.fail_next("commit", kind, skip=2)  # the first two are staging; this one is the publishing commit
    revision = generation.run(open_target(PAGES, generation.digest))
    files = {path: content for path, content in hub.read("someone/pages").items() if path != ".gitattributes"}
    assert files == generation.expected
    published = [commit.sha for commit in hub.repository("someone/pages").history() if "Publish" in commit.title]
    assert published == [revision]


@pytest.mark.parametrize("read", [read_model, read_dataset])
@pytest.mark.parametrize("kind", ODD)
def test_odd_answers_that_stay_end_as_temporary_with_the_place_to_look(
    hub: HubServer, tmp_path: Path, read: Callable[[Path], None], kind: FaultKind
) -> None:
    hub.fail_next("*", kind, times=10_000)
    with pytest.raises(TemporaryError, match=f"at {hub.url}") as caught:
        read(tmp_path)
    assert caught.value.reason == Reason.HUB_UNAVAILABLE
    if kind in {"list", "object", "deep", "binary"}:
        assert "check HF_ENDPOINT" in caught.value.message


@pytest.mark.parametrize("read", [read_model, read_dataset])
def test_a_date_as_retry_after_is_waited_for(
    hub: HubServer, tmp_path: Path, pauses: list[float], read: Callable[[Path], None]
) -> None:
    hub.faults.seconds = 45
    hub.fail_next("repo_info", "throttle_date")
    read(tmp_path)
    assert [seconds for seconds in pauses if seconds > 40]


@pytest.mark.parametrize("kind", ["throttle", "throttle_date", "throttle_window"])
@pytest.mark.parametrize("read", [read_model, read_dataset])
def test_a_server_that_asks_for_a_day_is_given_up_at_once(
    hub: HubServer, tmp_path: Path, pauses: list[float], read: Callable[[Path], None], kind: FaultKind
) -> None:
    hub.faults.seconds = 86_400
    hub.fail_next("*", kind, times=10_000)
    with pytest.raises(TemporaryError, match="it asks to wait 86,400 s"):
        read(tmp_path)
    assert sum(pauses) < 60


def test_a_long_pause_is_reported_every_minute(hub: HubServer) -> None:
    hub.faults.seconds = 299
    hub.fail_next("repo_info", "throttle")
    waits: list[Waiting] = []
    open_dataset(DATASET, on_wait=waits.append)
    assert [round(waiting.seconds, -1) for waiting in waits] == [300, 240, 180, 120, 60] or len(waits) == 6
    assert all(0 < waiting.seconds <= 302 for waiting in waits)


def test_calls_of_users_are_repeated_by_the_library_as_ever(hub: HubServer, pauses: list[float]) -> None:
    """The client is shared with all code in the process, such as that of a notebook."""
    from huggingface_hub.utils._http import http_backoff

    hub.fail_next("repo_info", "throttle")
    url = f"{hub.url}/api/datasets/{REPO}"
    assert http_backoff("GET", url, headers={"Authorization": f"Bearer {hub.token}"}).status_code == 200
    assert pauses == [2.0]
    hub.fail_next("repo_info", "page")
    assert get_session().get(url).status_code == 200


def test_a_defect_of_our_own_is_not_taken_for_an_answer_of_the_hub(hub: HubServer, pauses: list[float]) -> None:
    from deepsynth_store.core.uri import HubLocation

    def fail() -> None:
        raise KeyError("ours")

    with pytest.raises(KeyError, match="ours"):
        calls.HubCalls(HubLocation(DATASET, "dataset", REPO), field="uri", on_wait=None).call("read", fail)
    assert not pauses


def test_a_name_that_the_hub_does_not_allow_is_refused_at_once(hub: HubServer, pauses: list[float]) -> None:
    with pytest.raises(WorkloadError, match=r"^spec.model.uri: hf://some--one/model is not a name") as caught:
        fetch_folder("hf://some--one/model", None, ("*",), field="spec.model.uri")
    assert caught.value.exit_code == 64
    assert not pauses


def test_a_file_is_compared_with_its_hash_once(hub: HubServer, monkeypatch: pytest.MonkeyPatch) -> None:
    from deepsynth_store.hub import snapshot

    hashed: list[Path] = []

    def watch(path: Path) -> str:
        hashed.append(path)
        return compute_sha256(path)

    monkeypatch.setattr(snapshot, "compute_sha256", watch)
    for _ in range(2):
        fetch_folder(MODEL, None, ("*",), field="uri")
    assert len(hashed) == 1
    hashed[0].write_bytes(CONTENT[::-1])  # a disk that loses bits changes no time; an edit does
    read_model(Path())
    assert len(hashed) == 3, "damaged, fetched again, and right"


def test_a_commit_that_is_cached_needs_no_hub(hub: HubServer) -> None:
    folder = fetch_folder(MODEL, None, ("*",), field="uri")
    hub.stop()
    assert fetch_folder(MODEL, folder.name, ("*.json",), field="uri") == folder


def test_a_commit_that_is_cached_in_part_waits_for_the_hub(hub: HubServer, pauses: list[float]) -> None:
    folder = fetch_folder(MODEL, None, ("*.json",), field="uri")
    hub.stop()
    with pytest.raises(TemporaryError, match="could not fetch"):
        fetch_folder(MODEL, folder.name, ("*",), field="uri")
    assert sum(pauses) > 60


def test_progress_is_reported_while_files_arrive(hub: HubServer) -> None:
    beats: list[float] = []
    fetch_folder(MODEL, None, ("*",), field="uri", on_progress=lambda: beats.append(time.monotonic()))
    assert beats
