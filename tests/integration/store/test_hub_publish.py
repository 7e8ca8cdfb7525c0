from pathlib import Path

import pytest

from deepsynth_api.errors import ConfigurationError, DataError
from deepsynth_store import MANIFEST, open_dataset, open_target, publish_folder
from support.store.generations import build_generation
from support.store.hub_server.repository import Blob
from support.store.hub_server.server import HubServer

REPO = "someone/pages"
URI = f"hf://datasets/{REPO}"


def published_files(hub: HubServer, revision: str = "main") -> dict[str, bytes]:
    files = hub.read(REPO, revision)
    return {path: content for path, content in files.items() if path not in {".gitattributes", "notes.md"}}


def test_a_generation_becomes_visible_in_one_commit(hub: HubServer) -> None:
    generation = build_generation("one", shards=3)
    target = open_target(URI, generation.digest)
    target.prepare()
    generation.render(target)
    assert target.published() is None
    assert published_files(hub) == {}
    revision = target.publish(generation.copies, generation.files)
    repository = hub.repository(REPO)
    assert repository.private
    assert repository.history()[0].sha == revision
    assert len(repository.history()) == 2
    assert list(repository.refs) == ["main"]
    assert published_files(hub) == generation.expected


def test_a_shard_and_its_receipt_are_staged_in_one_commit(hub: HubServer) -> None:
    generation = build_generation("one", shards=2)
    target = open_target(URI, generation.digest)
    target.prepare()
    generation.render(target)
    assert hub.count("commit") == 2
    staged = {file.path: target.get(file.path) for file in target.list_staged()}
    assert staged == generation.staged
    assert [file.path for file in target.list_staged("receipts/")] == ["receipts/00000.json", "receipts/00001.json"]


def test_staging_the_same_again_commits_nothing(hub: HubServer) -> None:
    target = open_target(URI, "a" * 64)
    target.prepare()
    target.put({"shards/0.parquet": b"shard", "receipts/0.json": b"{}"})
    before = hub.count("commit"), hub.count("lfs_put")
    target.put({"shards/0.parquet": b"shard", "receipts/0.json": b"{}"})
    assert (hub.count("commit"), hub.count("lfs_put")) == before


def test_publishing_again_changes_nothing_and_gives_the_same_revision(hub: HubServer) -> None:
    generation = build_generation("one")
    revision = generation.run(open_target(URI, generation.digest))
    assert generation.run(open_target(URI, generation.digest)) == revision
    again = open_target(URI, generation.digest).publish({}, {MANIFEST: generation.files[MANIFEST]})
    assert again == revision
    assert len(hub.repository(REPO).history()) == 2


def test_the_next_generation_replaces_the_last_and_keeps_other_files(hub: HubServer) -> None:
    first, second = build_generation("one", shards=3), build_generation("two", shards=1)
    pinned = first.run(open_target(URI, first.digest))
    hub.repository(REPO).commits[pinned].tree["notes.md"] = Blob(b"mine", is_lfs=False)
    second.run(open_target(URI, second.digest))
    assert published_files(hub) == second.expected
    assert hub.read(REPO)["notes.md"] == b"mine"
    assert published_files(hub, pinned) == first.expected


def test_shards_that_are_missing_are_named_and_nothing_is_published(hub: HubServer) -> None:
    first, second = build_generation("one"), build_generation("two")
    first.run(open_target(URI, first.digest))
    target = open_target(URI, second.digest)
    target.prepare()
    with pytest.raises(DataError, match=r"shards/train-0000\d\.parquet"):
        target.publish(second.copies, second.files)
    assert published_files(hub) == first.expected


def test_another_plan_does_not_see_what_is_staged(hub: HubServer) -> None:
    one, other = open_target(URI, "a" * 64), open_target(URI, "b" * 64)
    one.prepare()
    other.prepare()
    one.put({"receipts/0.json": b"{}"})
    assert list(other.list_staged()) == []
    with pytest.raises(DataError, match="not staged"):
        other.get("receipts/0.json")


def test_data_files_of_another_writer_are_refused_before_anything_is_rendered(hub: HubServer) -> None:
    tree = hub.create_repository(REPO, private=True).find("main").tree
    tree["data/train-00000-of-00001.parquet"] = Blob(b"theirs", is_lfs=True)
    with pytest.raises(ConfigurationError, match=r"output\.uri: .*train-00000-of-00001\.parquet"):
        open_target(URI, "a" * 64).prepare()


def test_a_public_repository_is_refused_for_a_private_output(hub: HubServer) -> None:
    hub.create_repository(REPO, private=False)
    with pytest.raises(ConfigurationError, match="exists and is public"):
        open_target(URI, "a" * 64).prepare()
    open_target(URI, "a" * 64, private=False).prepare()


def test_files_that_a_gitignore_drops_are_reported(hub: HubServer) -> None:
    tree = hub.create_repository(REPO, private=True).find("main").tree
    tree[".gitignore"] = Blob(b"deepsynth-", is_lfs=False)
    target = open_target(URI, "a" * 64)
    target.prepare()
    with pytest.raises(DataError, match=r"lacks deepsynth-a+/receipts/0\.json.*\.gitignore"):
        target.put({"receipts/0.json": b"{}"})


def test_a_model_is_published_in_one_commit_without_files_of_the_last_one(hub: HubServer, tmp_path: Path) -> None:
    for name in ("config.json", "README.md", "model-00001.safetensors", "model-00002.safetensors"):
        (tmp_path / name).write_bytes(name.encode())
    first = publish_folder(tmp_path, "hf://someone/model")
    (tmp_path / "model-00002.safetensors").unlink()
    hub.fail_next("commit", "lost")
    second = publish_folder(tmp_path, "hf://someone/model")
    assert publish_folder(tmp_path, "hf://someone/model") == second
    assert hub.repository("someone/model", "model").find(second).parent == first
    assert [file.path for file in open_dataset("hf://someone/model", second).list_files()] == [
        ".gitattributes",
        "README.md",
        "config.json",
        "deepsynth/manifest.json",
        "model-00001.safetensors",
    ]
    assert open_dataset("hf://someone/model").read("model-00001.safetensors") == b"model-00001.safetensors"
