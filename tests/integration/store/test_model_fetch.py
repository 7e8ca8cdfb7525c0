"""A model's files come from the Hub whole, through its faults, or the run says what to do."""

import json
from pathlib import Path

import pytest
from huggingface_hub import constants

from deepsynth_api.errors import ConfigurationError, TemporaryError
from deepsynth_api.reasons import Reason
from deepsynth_api.v1alpha1 import ModelSettings
from deepsynth_store import Waiting, fetch_folder, open_dataset
from deepsynth_store.cache.files import FileCache
from support.store.hub_server.faults import FaultKind
from support.store.hub_server.repository import Blob
from support.store.hub_server.server import HubServer

REPO = "someone/model"
URI = f"hf://{REPO}"
FIELD = "spec.model.uri"
WEIGHTS = bytes(range(256)) * 400
PATTERNS = ("*.json", "*.safetensors")


@pytest.fixture(autouse=True)
def _model(hub: HubServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("huggingface_hub.utils._auth._get_token_from_file", lambda: None)
    repository = hub.create_repository(REPO, "model")
    head = repository.find("main")
    weights = Blob(WEIGHTS, is_lfs=True)
    hub.hub.objects[weights.sha256] = WEIGHTS
    head.tree.update({"config.json": Blob(b"{}", is_lfs=False), "a.safetensors": weights, "a.bin": weights})


def fetch(revision: str | None = None) -> Path:
    return fetch_folder(URI, revision, PATTERNS, field=FIELD)


def assert_whole(folder: Path) -> None:
    files = {path.name: path.read_bytes() for path in folder.iterdir()}
    assert files == {"config.json": b"{}", "a.safetensors": WEIGHTS}


@pytest.mark.parametrize("kind", ["throttle", "throttle_window", "unavailable", "lost", "cut", "refuse"])
@pytest.mark.parametrize("route", ["repo_info", "tree", "resolve", "lfs_get"])
def test_a_fault_of_the_hub_is_waited_out(hub: HubServer, route: str, kind: FaultKind) -> None:
    hub.fail_next(route, kind, times=3)
    assert_whole(fetch())


def test_a_shared_folder_serves_a_new_pod_without_the_users_cache(
    hub: HubServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit = open_dataset(URI).revision
    sent = []
    for pod in ("one", "two"):
        monkeypatch.setenv("DEEPSYNTH_CACHE", str(tmp_path / pod))
        cache = FileCache(tmp_path / "shared", 10**9, pytest.fail)
        before = hub.bytes_sent
        folder = fetch_folder(URI, commit, PATTERNS, field=FIELD, cache=cache)
        cache.close()
        sent.append(hub.bytes_sent - before)
        assert folder.name == commit
        assert {path.name: path.read_bytes() for path in folder.glob("[!.]*")} == {
            "config.json": b"{}",
            "a.safetensors": WEIGHTS,
        }
        hub.fail_next("*", "unavailable", times=1000)
        assert fetch_folder(URI, commit, ["*.json"], field=FIELD) == folder  # another process of the pod
        hub.faults.clear()
    assert sent[0] > len(WEIGHTS) > sent[1]


def test_links_of_a_killed_process_to_files_that_were_evicted_are_made_again(
    hub: HubServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DEEPSYNTH_CACHE", str(tmp_path / "pod"))
    commit = open_dataset(URI).revision
    cache = FileCache(tmp_path / "shared", 10**9, pytest.fail)
    linked = fetch_folder(URI, commit, PATTERNS, field=FIELD, cache=cache)
    for path in (tmp_path / "shared" / "inputs-v1").glob("*.*"):
        path.unlink()
    assert fetch_folder(URI, commit, PATTERNS, field=FIELD, cache=cache) == linked
    cache.close()
    assert (linked / "a.safetensors").read_bytes() == WEIGHTS


def test_files_in_the_cache_are_not_fetched_again(hub: HubServer) -> None:
    assert_whole(fetch())
    before = hub.bytes_sent
    assert_whole(fetch())
    assert hub.bytes_sent - before < len(WEIGHTS)


@pytest.mark.parametrize("kind", ["unavailable", "throttle"])
def test_a_hub_that_stays_down_ends_the_attempt_as_temporary(hub: HubServer, kind: FaultKind) -> None:
    hub.fail_next("*", kind, times=1000)
    waits: list[Waiting] = []
    with pytest.raises(TemporaryError, match=f"could not fetch {URI} at ") as caught:
        fetch_folder(URI, None, PATTERNS, field=FIELD, on_wait=waits.append)
    assert caught.value.reason == Reason.HUB_UNAVAILABLE
    assert waits, "the status shows why it waits"


def test_a_hub_that_cannot_be_reached_is_named(hub: HubServer, monkeypatch: pytest.MonkeyPatch) -> None:
    hub.stop()
    with pytest.raises(
        TemporaryError, match=r"the Hub cannot be reached .*check the network and HF_ENDPOINT"
    ) as caught:
        fetch()
    assert caught.value.reason == Reason.HUB_UNREACHABLE


def test_a_model_that_does_not_exist_is_refused_at_once(hub: HubServer) -> None:
    with pytest.raises(
        ConfigurationError, match=r"^spec.model.uri: hf://someone/no does not exist, .* secretRef"
    ) as caught:
        fetch_folder("hf://someone/no", None, PATTERNS, field=FIELD)
    assert caught.value.reason == Reason.HUB_REFUSED


def test_a_revision_that_does_not_exist_is_named_with_its_field(hub: HubServer) -> None:
    with pytest.raises(ConfigurationError, match=rf"{URI} has no such revision .*; fix spec.model.revision"):
        fetch("v9")


@pytest.mark.parametrize(
    ("token", "message"), [(None, "add the key HF_TOKEN to the Secret that secretRef names"), ("hf_x", "HF_TOKEN")]
)
def test_a_private_model_names_the_secret(
    token: str | None, message: str, hub: HubServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub.create_repository(REPO, "model", private=True)
    monkeypatch.delenv("HF_TOKEN")
    if token:
        monkeypatch.setenv("HF_TOKEN", token)
    with pytest.raises(ConfigurationError, match=rf"^spec.model.uri: .*{message}"):
        fetch()


def test_a_gated_model_is_refused_with_the_remedy(hub: HubServer) -> None:
    hub.repository(REPO, "model").gated = True
    with pytest.raises(ConfigurationError, match=f"{URI} is gated; accept its conditions"):
        fetch()


def test_a_gated_model_without_a_token_names_the_secret_too(hub: HubServer, monkeypatch: pytest.MonkeyPatch) -> None:
    hub.repository(REPO, "model").gated = True
    monkeypatch.delenv("HF_TOKEN")
    with pytest.raises(
        ConfigurationError,
        match=f"{URI} is gated; accept its conditions .* HF_TOKEN to the Secret that secretRef names",
    ):
        fetch()


def test_offline_a_cached_model_is_used_and_another_is_refused(hub: HubServer, monkeypatch: pytest.MonkeyPatch) -> None:
    fetch()
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    assert_whole(fetch())
    with pytest.raises(ConfigurationError, match="while HF_HUB_OFFLINE is set"):
        fetch("other")


def test_a_folder_is_used_where_it_is(tmp_path: Path) -> None:
    assert fetch_folder(f"file://{tmp_path}", None, PATTERNS, field=FIELD) == tmp_path


def test_a_model_with_code_of_its_own_is_refused_before_its_weights_are_fetched(hub: HubServer) -> None:
    from deepsynth_train.models.loading import load_module

    official = {
        "model_type": "deepseek_vl_v2",
        "architectures": ["DeepseekOCR2ForCausalLM"],
        "auto_map": {"AutoModel": "modeling_deepseekocr2.DeepseekOCR2ForCausalLM"},
    }
    hub.repository(REPO, "model").find("main").tree["config.json"] = Blob(json.dumps(official).encode(), is_lfs=False)
    with pytest.raises(
        ConfigurationError, match=f"{URI} needs Python code .*use hf://deepseek-community/DeepSeek-OCR-2"
    ):
        load_module(ModelSettings(uri=URI))
    assert hub.count("lfs_get") == 0
