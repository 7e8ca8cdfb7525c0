"""Which revision of its datasets a run reads, from attempt to attempt."""

import json
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from deepsynth_api.errors import ConfigurationError, DataError, PeerLostError
from deepsynth_api.v1alpha1.training_run_status import PinnedDataset
from deepsynth_train.checkpoint.files import FolderFiles
from deepsynth_train.checkpoint.owner import Owner, claim_folder
from deepsynth_train.checkpoint.pins import (
    Pins,
    apply_pins,
    find_micro_batch_size,
    pin_model,
    read_pins,
    resolve_datasets,
    resolve_holdout,
    resolve_model,
    write_pins,
)
from support.training.page_dataset import build_documents, write_dataset, write_split
from support.training.train_workloads import build_train_workload


@dataclass
class Repository:
    """Its branches are at `head`; commits are what they are. Has no files."""

    head: str = "commit-1"

    def open(self, _uri: str, revision: str | None, *, field: str) -> Any:
        assert field in {"spec.datasets[d].uri", "spec.model.uri"}
        return SimpleNamespace(
            revision=self.head if revision in {None, "main"} else revision, list_files=lambda _prefix: []
        )


@pytest.fixture
def workload(tmp_path: Path) -> Any:
    """Of a second attempt, which reads what the first one pinned."""
    datasets = [{"name": "d", "uri": "hf://datasets/a/b", "revision": "main"}]
    return build_train_workload(tmp_path, attempt=2, datasets=datasets)


def test_a_branch_that_moves_between_attempts_is_read_at_the_first_ones_commit(workload: Any, tmp_path: Path) -> None:
    repository = Repository()
    owner = Owner(workload.uid, workload.fingerprint, 1)
    claim_folder(tmp_path, owner)
    write_pins(FolderFiles(tmp_path), owner, resolve_datasets(workload, FolderFiles(tmp_path), open_at=repository.open))
    repository.head = "commit-2"
    pinned = resolve_datasets(workload, FolderFiles(tmp_path), open_at=repository.open)
    assert [pin.revision for pin in pinned] == ["commit-1"]
    assert [dataset.revision for dataset in apply_pins(workload, pinned).datasets] == ["commit-1"]
    other = workload.updated(uid="other", fingerprint="another training")
    found = resolve_datasets(other, FolderFiles(tmp_path), open_at=repository.open)
    assert [pin.revision for pin in found] == ["commit-2"]


@pytest.mark.parametrize(
    ("uid", "attempt", "steps", "commit"),
    [
        pytest.param("same", 2, [], "commit-1", id="a later attempt of a run that has not saved yet"),
        pytest.param("same", 1, [], "commit-2", id="a call from Python, which has the same uid each time"),
        pytest.param("new", 1, [], "commit-2", id="deleted and applied again before the first save"),
        pytest.param("new", 2, [], "commit-2", id="and its first attempt died before it wrote pins"),
        pytest.param("new", 1, [3], "commit-1", id="deleted and applied again with checkpoints, which are adopted"),
    ],
)
def test_pins_hold_for_checkpoints_and_for_attempts_of_the_same_run(
    uid: str, attempt: int, steps: list[int], commit: str, tmp_path: Path
) -> None:
    datasets = [{"name": "d", "uri": "hf://datasets/a/b", "revision": "main"}]
    workload = build_train_workload(tmp_path, uid=uid, attempt=attempt, datasets=datasets)
    repository = Repository()
    owner = Owner("same", workload.fingerprint, 1)
    claim_folder(tmp_path, owner)
    write_pins(FolderFiles(tmp_path), owner, [PinnedDataset(name="d", uri="hf://datasets/a/b", revision="commit-1")])
    repository.head = "commit-2"
    for step in steps:
        (tmp_path / f"step-{step}").mkdir()
    found = resolve_datasets(workload, FolderFiles(tmp_path), open_at=repository.open)
    assert [pin.revision for pin in found] == [commit]
    claimant = Owner(uid, workload.fingerprint, attempt)
    claim_folder(tmp_path, claimant)
    write_pins(FolderFiles(tmp_path), claimant, found)
    repository.head = "commit-3"
    again = resolve_datasets(workload.updated(attempt=attempt + 1), FolderFiles(tmp_path), open_at=repository.open)
    assert [pin.revision for pin in again] == [commit], "the next attempt reads the same"


def test_a_run_with_more_steps_reads_what_its_earlier_attempts_read(tmp_path: Path) -> None:
    """Its fingerprint changes with the number of steps; another run with that fingerprint may not use the pins."""
    datasets = [{"name": "d", "uri": "hf://datasets/a/b", "revision": "main"}]
    first = build_train_workload(tmp_path, attempt=1, max_steps=2, datasets=datasets)
    more = build_train_workload(tmp_path, attempt=2, max_steps=4, datasets=datasets).updated(fingerprint="more")
    owner = Owner(first.uid, first.fingerprint, 1)
    claim_folder(tmp_path, owner)
    write_pins(FolderFiles(tmp_path), owner, [PinnedDataset(name="d", uri="hf://datasets/a/b", revision="commit-1")])
    repository = Repository("commit-2")
    assert [pin.revision for pin in resolve_datasets(more, FolderFiles(tmp_path), open_at=repository.open)] == [
        "commit-1"
    ]
    stranger = more.updated(uid="other")
    assert [pin.revision for pin in resolve_datasets(stranger, FolderFiles(tmp_path), open_at=repository.open)] == [
        "commit-2"
    ]


def test_every_attempt_loads_the_commit_of_the_model_that_the_first_one_loaded(workload: Any, tmp_path: Path) -> None:
    repository = Repository()
    of_branch = workload.updated(model=workload.model.updated(uri="hf://a/base", revision="main"))
    owner = Owner(workload.uid, workload.fingerprint, 1)
    claim_folder(tmp_path, owner)
    found = resolve_model(of_branch, FolderFiles(tmp_path), open_at=repository.open)
    write_pins(FolderFiles(tmp_path), owner, [], found)
    repository.head = "commit-2"
    pinned = pin_model(of_branch, resolve_model(of_branch, FolderFiles(tmp_path), open_at=repository.open))
    assert pinned.model.revision == "commit-1"
    stranger = of_branch.updated(uid="other", fingerprint="other")
    assert resolve_model(stranger, FolderFiles(tmp_path), open_at=repository.open) == "commit-2"


def test_the_hub_is_not_asked_for_a_commit_for_other_models_and_offline(
    workload: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from huggingface_hub import constants

    def refuse(*_: Any, **__: Any) -> Any:
        raise AssertionError("asked")

    def resolve(uri: str, revision: str | None) -> str | None:
        model = workload.model.updated(uri=uri, revision=revision)
        return resolve_model(workload.updated(model=model), FolderFiles(tmp_path), open_at=refuse)

    assert resolve("hf://a/base", "c" * 40) == "c" * 40
    assert resolve("config://vit-gpt2-tiny", None) is None
    assert resolve("file:///models/base", None) is None
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    assert resolve("hf://a/base", "main") == "main"


def test_an_attempt_that_lost_the_folder_cannot_change_the_pins(workload: Any, tmp_path: Path) -> None:
    found = resolve_datasets(workload, FolderFiles(tmp_path), open_at=Repository().open)
    claim_folder(tmp_path, Owner(workload.uid, workload.fingerprint, 2))
    with pytest.raises(PeerLostError, match="attempt 2"):
        write_pins(FolderFiles(tmp_path), Owner(workload.uid, workload.fingerprint, 1), found)
    assert read_pins(FolderFiles(tmp_path), Owner(workload.uid, workload.fingerprint, 2)) == Pins()


def test_a_folder_that_was_rewritten_between_attempts_is_refused(tmp_path: Path) -> None:
    pages = write_dataset(tmp_path / "pages", {"train": build_documents(2)})
    workload = build_train_workload(tmp_path, attempt=2, datasets=[{"name": "d", "uri": f"file://{pages}"}])
    owner = Owner(workload.uid, workload.fingerprint, 1)
    claim_folder(tmp_path / "checkpoints", owner)
    write_pins(
        FolderFiles(tmp_path / "checkpoints"), owner, resolve_datasets(workload, FolderFiles(tmp_path / "checkpoints"))
    )
    write_split(pages, "train", build_documents(1, start=9), number=1)
    (pages / "deepsynth" / "manifest.json").write_text(json.dumps({"files": [], "documents": 1}))
    with pytest.raises(DataError, match=r"has changed: expected revision .*, got "):
        resolve_datasets(workload, FolderFiles(tmp_path / "checkpoints"))


def test_documents_are_counted_if_there_is_a_manifest(tmp_path: Path) -> None:
    pages = write_dataset(tmp_path / "pages", {"train": build_documents(2)})
    workload = build_train_workload(tmp_path, datasets=[{"name": "d", "uri": f"file://{pages}"}])
    (pages / "deepsynth").mkdir(exist_ok=True)
    (pages / "deepsynth" / "manifest.json").write_text(json.dumps({"files": [], "documents": 41}))
    assert [pin.rows for pin in resolve_datasets(workload, FolderFiles(tmp_path / "none"))] == [41]
    (pages / "deepsynth" / "manifest.json").unlink()
    assert [pin.rows for pin in resolve_datasets(workload, FolderFiles(tmp_path / "none"))] == [None]


@pytest.mark.parametrize(
    "text", ["[", "[" * 200_000, '{"fingerprint": "f", "revisions": {}, "holdoutPercent": Infinity}']
)
def test_pins_that_cannot_be_parsed_are_refused_by_name(text: str, tmp_path: Path) -> None:
    (tmp_path / "datasets.json").write_text(text)
    with pytest.raises(ConfigurationError, match=r"datasets\.json cannot be parsed"):
        read_pins(FolderFiles(tmp_path), Owner("uid", "f", 2))


def test_the_holdout_does_not_change_under_checkpoints(workload: Any, tmp_path: Path) -> None:
    changed = workload.updated(
        evaluation=workload.evaluation.updated(holdout_percent=7), fingerprint="of a new version"
    )
    assert resolve_holdout(changed, FolderFiles(tmp_path)) == 7, "a new run does as the spec says"
    owner = Owner(workload.uid, workload.fingerprint, 1)
    claim_folder(tmp_path, owner)
    write_pins(FolderFiles(tmp_path), owner, [], holdout=5)
    assert resolve_holdout(changed, FolderFiles(tmp_path)) == 7, "nothing was trained yet"
    (tmp_path / "step-3").mkdir()
    assert resolve_holdout(changed, FolderFiles(tmp_path)) == 5


def test_a_run_of_before_there_was_a_holdout_continues_without_one(workload: Any, tmp_path: Path) -> None:
    document = {"fingerprint": workload.fingerprint, "revisions": {"d": "commit-1"}}
    (tmp_path / "datasets.json").write_text(json.dumps(document))
    (tmp_path / "step-3").mkdir()
    assert workload.evaluation.holdout_percent == 2
    assert resolve_holdout(workload, FolderFiles(tmp_path)) == 0


def test_a_micro_batch_size_is_kept_for_later_attempts_and_checkpoints(workload: Any, tmp_path: Path) -> None:
    first, owner = workload.updated(attempt=1), Owner(workload.uid, workload.fingerprint, 1)
    assert find_micro_batch_size(workload, FolderFiles(tmp_path)) is None
    claim_folder(tmp_path, owner)
    write_pins(FolderFiles(tmp_path), owner, [], micro_batch_size=8)
    assert find_micro_batch_size(workload, FolderFiles(tmp_path)) == 8
    assert find_micro_batch_size(first, FolderFiles(tmp_path)) is None, "nothing was trained yet"
    (tmp_path / "step-3").mkdir()
    assert find_micro_batch_size(first, FolderFiles(tmp_path)) == 8
    write_pins(FolderFiles(tmp_path), owner, [])
    assert "microBatchSize" not in (tmp_path / "datasets.json").read_text()


@pytest.mark.parametrize("size", [0, "8", 1.5])
def test_a_micro_batch_size_that_a_user_wrote_wrongly_is_refused(workload: Any, tmp_path: Path, size: Any) -> None:
    document = {"fingerprint": workload.fingerprint, "revisions": {}, "microBatchSize": size}
    (tmp_path / "datasets.json").write_text(json.dumps(document))
    with pytest.raises(ConfigurationError, match="microBatchSize must be an integer of at least 1"):
        find_micro_batch_size(workload, FolderFiles(tmp_path))


def test_a_file_in_place_of_the_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ConfigurationError, match=r"spec\.checkpoint\.uri: .*file must be a folder"):
        read_pins(FolderFiles(tmp_path / "file"), Owner("uid", "f", 1))


def test_samples_are_not_there_when_a_file_is_in_place_of_their_folder(tmp_path: Path) -> None:
    (tmp_path / "samples").touch()
    assert FolderFiles(tmp_path).read("samples/step-1.json") is None
