"""Later attempts, other nodes and other runs read which samples there are, and find the same as by choosing them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from integration.train_numerics.sample_choice import prepare, prepare_on_a_node
from support.training.page_dataset import build_documents, write_dataset
from support.training.rank_processes import CONTEXT, run_ranks
from support.training.tiny_training import MODULES, OCR2, VIT, build_model, build_world

if TYPE_CHECKING:
    from pathlib import Path

    from deepsynth_train.models.interface.page_model import PageModel

CONTEXT.set_forkserver_preload(MODULES)


@pytest.fixture(scope="module")
def model() -> PageModel:
    return build_model(VIT)


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> str:
    """URI of twelve documents, one without a text and one with a long one; and of three to test, the last a copy."""
    train, test = build_documents(12), build_documents(2, start=20)
    for row in (*train, *test):
        row["text"] = write_text(f"{row['text']}.{row['document_id']}", 8)
    train[0]["text"] = None
    train[-1]["text"] = write_text("long", 30)
    test += [row for row in train if row["document_id"] == "d4"]
    return f"file://{write_dataset(tmp_path_factory.mktemp('pages'), {'train': train, 'test': test})}"


def write_text(name: str, words: int) -> str:
    return " ".join(f"{name}{word}".replace(" ", "") for word in range(words))


@pytest.fixture(autouse=True)
def _node(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("DEEPSYNTH_CACHE", str(tmp_path / "node"))


SETTINGS: dict[str, dict[str, Any]] = {
    "documents": {"task": "summarize", "datasets": [{"name": "a"}, {"name": "b", "validation_split": "test"}]},
    "held out, and similar ones dropped": {
        "datasets": [{"name": "a"}, {"name": "b", "train_split": "test"}],
        "max_similarity_percent": 80,
    },
    "streamed, and long ones dropped": {
        "datasets": [{"name": "a", "validation_split": "test"}],
        "stream": True,
        "max_label_tokens": 130,
    },
}


@pytest.mark.parametrize(
    ("name", "reasons"),
    [*zip(SETTINGS, (set[str](), {"NearDuplicate", "SimilarToEvaluation"}, {"LabelTooLong"}), strict=True)],
)
def test_a_later_attempt_has_the_samples_notes_and_counts_of_the_first_one(
    name: str, reasons: set[str], pages: str, model: PageModel, tmp_path: Path
) -> None:
    changes = {**SETTINGS[name], "datasets": [{**dataset, "uri": pages} for dataset in SETTINGS[name]["datasets"]]}
    first = prepare(tmp_path, pages, model, build_world(), **changes)
    second = prepare(tmp_path, pages, model, build_world(), **changes, attempt=2)
    assert first.pop("chosen")
    assert not second.pop("chosen")
    assert second == first
    assert len(first["samples"]) == 2
    assert not reasons or reasons & {*first["samples"][0]["dropped"]}


def test_two_nodes_have_the_samples_of_one_which_chose_them(pages: str, tmp_path: Path) -> None:
    for size in (1, 2):
        assert run_ranks(size, tmp_path, prepare_on_a_node, tmp_path, pages, size) == [0] * size
    one = json.loads((tmp_path / "rank-0-of-1.json").read_text())
    two = [json.loads((tmp_path / f"rank-{rank}-of-2.json").read_text()) for rank in range(2)]
    assert [found.pop("chosen") for found in (one, *two)] == [True, True, False]
    assert two == [one, one]


def test_another_run_finds_them_in_the_folder_that_both_share(pages: str, model: PageModel, tmp_path: Path) -> None:
    from deepsynth_store.cache.files import FileCache

    found = []
    for run in ("one", "other"):
        shared = FileCache(tmp_path / "shared", 10**9, pytest.fail)
        found.append(prepare(tmp_path / run, pages, model, build_world(), shared=shared, uid=run))
        shared.close()
    assert [each.pop("chosen") for each in found] == [True, False]
    assert found[0] == found[1]
    assert (tmp_path / "other/checkpoints/sample-index.bin").exists(), "for its own later attempts"


def test_what_they_depend_on_makes_them_be_chosen_again(pages: str, model: PageModel, tmp_path: Path) -> None:
    def is_chosen(uri: str = pages, **changes: Any) -> bool:
        return bool(prepare(tmp_path, uri, model, build_world(), attempt=2, **changes)["chosen"])

    assert is_chosen()
    assert not is_chosen()
    other = write_dataset(tmp_path / "other", {"train": build_documents(12), "validation": build_documents(2)})
    changed: list[dict[str, Any]] = [{"max_label_tokens": 130}, {"uri": f"file://{other}"}, {"task": "summarize"}]
    for changes in changed:
        assert is_chosen(**changes), changes
        assert not is_chosen(**changes), changes


@pytest.mark.parametrize(
    "why", ["this model needs the size of all pages", "what to evaluate on is chosen by its pages"]
)
def test_what_only_whole_pages_decide_is_streamed_by_the_next_attempt(
    why: str, pages: str, model: PageModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    changes: dict[str, Any] = {"datasets": [{"name": "a", "uri": pages}], "stream": True}
    if "size" in why:
        tiles = {"size": 64, "max_tiles": 2}
        model, changes = build_model(OCR2, image_processor=tiles), {**changes, "image_processor": tiles}
    first = prepare(tmp_path, pages, model, build_world(), **changes)
    monkeypatch.setenv("DEEPSYNTH_CACHE", str(tmp_path / "other-node"))
    second = prepare(tmp_path, pages, model, build_world(), **changes, attempt=2)
    assert why in "".join(first["notes"])
    assert (first["streams"], second["streams"]) == (0, 1)
    assert second["samples"] == first["samples"]
    assert len(first["samples"]) == 2, "some documents are held out"


@pytest.mark.parametrize("damage", ["a bit", "its end", "all of it", "another format"])
def test_a_damaged_file_is_not_used_and_replaced(
    damage: str, pages: str, model: PageModel, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    first = prepare(tmp_path, pages, model, build_world())
    path = tmp_path / "checkpoints/sample-index.bin"
    whole = path.read_bytes()
    damaged = {
        "a bit": whole[:200] + bytes([whole[200] ^ 1]) + whole[201:],
        "its end": whole[:-10],
        "all of it": b"",
        "another format": b"GIF89a",
    }
    path.write_bytes(damaged[damage])
    second = prepare(tmp_path, pages, model, build_world(), attempt=2)
    assert second == first
    assert second["chosen"]
    assert "sample-index.bin are not used" in caplog.text
    assert path.read_bytes() == whole
