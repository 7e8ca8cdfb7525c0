"""A run that starts from a model on the Hub: one commit, fetched once per node, and no other request."""

from __future__ import annotations

import json
import socket
from contextlib import nullcontext
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from huggingface_hub import constants

from deepsynth_api.errors import ConfigurationError, TemporaryError
from deepsynth_api.reasons import Reason
from deepsynth_api.v1alpha1 import ModelSettings
from deepsynth_store import publish_folder
from support.store.hub_server.repository import Blob
from support.training.page_dataset import build_document, write_dataset

if TYPE_CHECKING:
    from pathlib import Path

    from support.store.hub_server.server import HubServer

REPO = "someone/reader"
URI = f"hf://{REPO}"


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from deepsynth_train.models.loading import load_module

    folder = tmp_path_factory.mktemp("model")
    module, processor = load_module(ModelSettings(uri="config://vit-gpt2-tiny"))
    module.save_pretrained(folder)
    processor.save_pretrained(folder)
    return folder


@pytest.fixture
def commit(hub: HubServer, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The model on the Hub."""
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub-cache"))
    monkeypatch.setenv("DEEPSYNTH_CACHE", str(tmp_path / "cache"))
    return publish_folder(model, URI)


def push(hub: HubServer, name: str, content: bytes) -> None:
    """Somebody changes one file on the main branch."""
    repository = hub.repository(REPO, "model")
    head = repository.find("main")
    repository._record("main", head.sha, "a change", {**head.tree, name: Blob(content, is_lfs=False)})


class Progress:
    """Of one process."""

    def __init__(self) -> None:
        self.models: list[tuple[str, str]] = []
        self.waits: list[str] = []
        self.beats = 0

    def beat(self) -> None:
        self.beats += 1

    def model(self, uri: str, revision: str) -> None:
        self.models.append((uri, revision))

    def wait(self, reason: str, seconds: float) -> None:
        assert seconds > 0
        self.waits.append(reason)


def pin(folder: Path, progress: Progress, *, rank: int = 0, commit: str | None = None, **changes: Any) -> Any:
    """What the first or second process of a node calls. commit: what rank 0 has found."""
    from deepsynth_train.attempt.inputs import pin_model_commit
    from support.training.train_workloads import build_train_workload

    workload = build_train_workload(folder, model={"uri": URI, **changes})
    world: Any = SimpleNamespace(
        is_first=rank == 0,
        is_first_on_node=rank == 0,
        wait_for_all=lambda _: None,
        share=lambda found: found if rank == 0 else commit,
    )
    return pin_model_commit(workload, world, progress)  # type: ignore[arg-type]  # the part that it calls


def test_the_first_process_of_a_node_fetches_and_the_others_ask_for_nothing(
    hub: HubServer, commit: str, tmp_path: Path
) -> None:
    from deepsynth_train.models.loading import load_module

    progress = Progress()
    workload = pin(tmp_path, progress)
    assert workload.model.revision == commit
    assert progress.models == [(URI, commit)]
    assert progress.beats, "a download counts as a sign of life"
    assert hub.count("lfs_get") == 1
    hub.requests.clear()
    second = pin(tmp_path, Progress(), rank=1, commit=commit)
    module, _ = load_module(second.model)
    assert module.config._commit_hash == commit
    assert hub.requests == []


def test_a_hub_that_is_down_while_a_model_is_fetched_is_waited_for_and_then_named(
    hub: HubServer, commit: str, tmp_path: Path
) -> None:
    progress = Progress()
    hub.fail_next("*", "unavailable", times=9)
    assert pin(tmp_path, progress).model.revision == commit
    assert progress.waits, "the wait is shown, and counts as a sign of life"
    hub.fail_next("*", "unavailable", times=10_000)
    with pytest.raises(TemporaryError, match=f"could not read {URI}") as caught:
        pin(tmp_path, progress)
    assert (caught.value.exit_code, caught.value.reason) == (75, Reason.HUB_UNAVAILABLE)


def test_a_change_while_a_model_is_read_mixes_nothing(hub: HubServer, commit: str) -> None:
    from deepsynth_train.models.loading import load_module
    from deepsynth_train.models.opening import open_model

    prompt = json.dumps({"prompt": "of the next commit"}).encode()
    hub.before_next("resolve", lambda: push(hub, "deepsynth.json", prompt))
    module, _, found = open_model(ModelSettings(uri=URI))
    assert (module.config._commit_hash, found) == (commit, None)
    module, _, found = open_model(ModelSettings(uri=URI))
    second = module.config._commit_hash
    assert second != commit
    assert found == "of the next commit"
    hub.before_next("tree", lambda: push(hub, "new.json", b"{}"))
    push(hub, "another.json", b"{}")
    module, _ = load_module(ModelSettings(uri=URI))
    assert hub.repository(REPO, "model").find(module.config._commit_hash).parent == second


def test_a_run_on_a_fetched_model_connects_to_nothing(
    hub: HubServer, commit: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Processor, tokenizer, adapters, checkpoints, card and export come from the files that were fetched."""
    from deepsynth_train import create_trainer
    from deepsynth_train.models.loading import fetch_model

    fetch_model(ModelSettings(uri=URI))
    connections: list[Any] = []
    connect = socket.socket.connect

    def watch(own: socket.socket, address: Any) -> None:
        connections.append(address)
        connect(own, address)

    monkeypatch.setattr(socket.socket, "connect", watch)
    monkeypatch.setattr("builtins.input", lambda *_: pytest.fail("nobody answers a question of a pod"))
    hub.requests.clear()
    rows = [row for number in range(5) for row in build_document(number)]
    trainer = create_trainer(
        {"uri": URI, "revision": commit},
        write_dataset(tmp_path / "pages", {"train": rows, "validation": rows[:2]}),
        task="ocr",
        lora=True,
        max_steps=1,
        precision="fp32",
        checkpoint=tmp_path / "run",
        publish={"uri": f"file://{tmp_path}/published", "format": "adapter"},
        evaluation={"max_new_tokens": 5},
        progress="none",
    )
    assert trainer.train().output is not None
    assert json.loads((tmp_path / "published/adapter_config.json").read_text())["revision"] == commit
    assert connections == []
    assert hub.requests == []


@pytest.mark.parametrize(
    ("name", "remedy"),
    [
        (
            "tokenizer_config.json",
            pytest.raises(ConfigurationError, match=f"{URI} needs Python code of its own, .* use"),
        ),
        ("preprocessor_config.json", nullcontext()),  # the library has a class of its own for this model
    ],
)
def test_a_processor_with_code_of_its_own_asks_nobody(
    hub: HubServer, commit: str, name: str, remedy: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from deepsynth_train.models.loading import load_module

    monkeypatch.setattr("builtins.input", lambda *_: pytest.fail("nobody answers a question of a pod"))
    own = json.loads(hub.read(REPO, commit, "model").get(name, b"{}"))
    for key in ("tokenizer_class", "image_processor_type", "feature_extractor_type", "processor_class"):
        own.pop(key, None)
    code = {"AutoTokenizer": ["own.Own", None], "AutoImageProcessor": "own.Own", "AutoProcessor": "own.Own"}
    push(hub, name, json.dumps({**own, "auto_map": code}).encode())
    with remedy:
        load_module(ModelSettings(uri=URI))
