"""CheckpointFolder in one process, without a process group."""

from __future__ import annotations

import errno
import itertools
import os
import shutil
from typing import TYPE_CHECKING, Any

import pytest

from deepsynth_api.errors import ConfigurationError, PeerLostError, TemporaryError
from deepsynth_train.checkpoint.manifest import find_damage, read_manifest
from deepsynth_train.checkpoint.owner import Owner
from support.training.toy_checkpoints import Toy, evaluate, save_steps
from unit.deepsynth_train.checkpoint.file_crashes import Died, dying_at_call

if TYPE_CHECKING:
    from pathlib import Path

    from deepsynth_train.checkpoint.folder import CheckpointFolder

OWNER = Owner("uid-1", "same", 1)


def open_folder(path: Path, owner: Owner = OWNER, **changes: Any) -> CheckpointFolder:
    from deepsynth_train.checkpoint.folder import CheckpointFolder

    return CheckpointFolder(f"file://{path}", owner, **changes)


def steps_in(path: Path) -> list[str]:
    return sorted(entry.name for entry in path.iterdir() if entry.is_dir())


def load(path: Path, attempt: int = 2) -> tuple[int | None, Toy, CheckpointFolder]:
    toy = Toy()
    folder = open_folder(path, Owner("uid-1", "same", attempt))
    loaded = folder.load_latest(toy.trained)
    return (loaded.step if loaded else None), toy, folder


def flip_a_byte(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def test_training_continues_from_a_checkpoint_as_if_it_had_not_stopped(tmp_path: Path) -> None:
    whole, interrupted = Toy(), Toy()
    whole.train(5)
    save_steps(open_folder(tmp_path), interrupted, 1, 2, 3)
    step, resumed, _ = load(tmp_path)
    resumed.train(2)
    assert step == 3
    assert resumed.weights == whole.weights


def test_state_and_curve_are_loaded(tmp_path: Path) -> None:
    save_steps(open_folder(tmp_path), Toy(), 7)
    toy = Toy()
    loaded = open_folder(tmp_path).load_latest(toy.trained)
    assert loaded is not None
    assert (loaded.step, loaded.state, loaded.metrics) == (7, {"step": 7}, [{"step": 7}])


def test_an_empty_folder_has_nothing_to_load(tmp_path: Path) -> None:
    step, _, folder = load(tmp_path)
    assert (step, folder.records, folder.best, folder.notes) == (None, [], None, [])


def test_training_does_not_change_a_save_in_flight(tmp_path: Path) -> None:
    toy, folder = Toy(), open_folder(tmp_path)
    toy.train()
    before = toy.weights
    folder.save(1, toy.snapshot(1))
    toy.train(3)
    folder.wait()
    assert load(tmp_path)[1].weights == before != toy.weights


def test_the_manifest_covers_every_file_and_the_record_describes_the_checkpoint(tmp_path: Path) -> None:
    folder = open_folder(tmp_path)
    save_steps(folder, Toy(), 3, loss=1.5, write_model=lambda path, _: (path / "weights").write_text("w"))
    files = {str(path.relative_to(tmp_path / "step-3")) for path in (tmp_path / "step-3").rglob("*") if path.is_file()}
    assert files - {file.path for file in read_manifest(tmp_path / "step-3").files} == {"manifest.json"}
    (record,) = folder.records
    assert (record.step, record.loss, record.uri) == (3, 1.5, f"file://{tmp_path}/step-3")
    assert record.bytes == sum((tmp_path / "step-3" / name).stat().st_size for name in files - {"manifest.json"})


def test_the_last_and_the_best_checkpoints_are_kept_and_named(tmp_path: Path) -> None:
    folder, toy = open_folder(tmp_path, keep_last=2), Toy()
    for step, loss in {1: 3.0, 2: 1.0, 3: 2.0, 4: None, 5: 2.5}.items():
        save_steps(folder, toy, step, loss=loss)
    assert steps_in(tmp_path) == ["step-2", "step-4", "step-5"]
    assert ((tmp_path / "latest").read_text(), (tmp_path / "best").read_text()) == ("step-5", "step-2")
    assert folder.best is not None
    assert folder.best.step == 2


def test_a_step_that_is_saved_is_not_saved_again(tmp_path: Path) -> None:
    folder, toy = open_folder(tmp_path), Toy()
    save_steps(folder, toy, 1)
    before = (tmp_path / "step-1/manifest.json").stat().st_mtime_ns
    folder.save(1, toy.snapshot(1))
    folder.wait()
    assert (tmp_path / "step-1/manifest.json").stat().st_mtime_ns == before


@pytest.mark.parametrize("name", ["shards/rank-0.safetensors", "shards/index.json", "state.json", "metrics.jsonl"])
def test_a_flipped_byte_in_the_newest_checkpoint_is_named_and_the_one_before_it_is_used(
    tmp_path: Path, name: str
) -> None:
    save_steps(open_folder(tmp_path), Toy(), 1, 2)
    flip_a_byte(tmp_path / "step-2" / name)
    step, _, folder = load(tmp_path)
    assert step == 1
    assert folder.notes == [
        f"warning: skipped the damaged checkpoint step-2: {name}: sha256 does not match the manifest"
    ]
    assert steps_in(tmp_path) == ["step-1", "step-2.corrupt-attempt-2"]


def test_a_truncated_file_a_missing_file_and_a_bad_manifest_are_distinguished(tmp_path: Path) -> None:
    save_steps(open_folder(tmp_path, keep_last=9), Toy(), 1, 2, 3, 4)
    (tmp_path / "step-2/manifest.json").write_text('{"format": 99}')
    (tmp_path / "step-3/state.json").unlink()
    (tmp_path / "step-4/metrics.jsonl").write_text("")
    step, _, folder = load(tmp_path)
    assert step == 1
    assert [note.removeprefix("warning: ").partition(": ")[2][:41] for note in folder.notes] == [
        "metrics.jsonl: expected 12 bytes, found 0",
        "state.json: cannot be read (No such file ",
        "manifest.json: cannot be read (format mus",
    ]
    assert steps_in(tmp_path) == ["step-1", *(f"step-{step}.corrupt-attempt-2" for step in (2, 3, 4))]


def test_the_step_of_a_damaged_checkpoint_can_be_saved_again(tmp_path: Path) -> None:
    save_steps(open_folder(tmp_path), Toy(), 1, 2)
    flip_a_byte(tmp_path / "step-2/state.json")
    _, toy, folder = load(tmp_path)
    save_steps(folder, toy, 2)
    assert load(tmp_path, attempt=3)[0] == 2


def test_a_different_model_is_refused_with_the_remedy(tmp_path: Path) -> None:
    save_steps(open_folder(tmp_path), Toy(), 1)
    toy = Toy(width=5)
    with pytest.raises(
        ConfigurationError, match=r"weight has the shape \[2, 4\], the model has \[2, 5\]\); choose an empty"
    ):
        open_folder(tmp_path).load_latest(toy.trained)


def test_a_leftover_process_of_an_earlier_attempt_cannot_commit(tmp_path: Path) -> None:
    leftover, toy = open_folder(tmp_path), Toy()
    save_steps(leftover, toy, 1)
    _, _, owner = load(tmp_path, attempt=2)
    with pytest.raises(PeerLostError, match="attempt 2"):
        save_steps(leftover, toy, 2)
    assert steps_in(tmp_path) == ["step-1"]
    save_steps(owner, toy, 2)


def test_unfinished_saves_of_an_earlier_attempt_are_deleted(tmp_path: Path) -> None:
    save_steps(open_folder(tmp_path), Toy(), 1)
    (tmp_path / "step-9.tmp-attempt-1/shards").mkdir(parents=True)
    assert load(tmp_path)[0] == 1
    assert steps_in(tmp_path) == ["step-1"]


def raise_no_space(*_: Any, **__: Any) -> Any:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@pytest.mark.parametrize(
    "function", ["write_tensors", "write_index", "sync_and_digest", "write_manifest", "fsync_folder"]
)
def test_a_full_disk_is_reported_and_leaves_earlier_checkpoints_intact(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, function: str
) -> None:
    from deepsynth_train.checkpoint import save as save_module

    folder, toy = open_folder(tmp_path), Toy()
    save_steps(folder, toy, 1)
    monkeypatch.setattr(save_module, function, raise_no_space)
    with pytest.raises(TemporaryError, match=r"the disk is full.*free some space or lower spec\.checkpoint\.keepLast"):
        save_steps(folder, toy, 2)
    assert load(tmp_path)[0] == 1


def test_a_full_disk_is_found_in_the_error_of_the_library_that_writes_the_model(tmp_path: Path) -> None:
    def write_model(path: Path, tensors: dict[str, Any]) -> None:
        raise RuntimeError("Error while serializing: I/O error: No space left on device (os error 28)")

    folder = open_folder(tmp_path)
    with pytest.raises(TemporaryError, match="the disk is full"):
        save_steps(folder, Toy(), 1, write_model=write_model)
    assert steps_in(tmp_path) == []


def test_an_error_of_the_model_writer_reaches_the_caller_unchanged(tmp_path: Path) -> None:
    def write_model(path: Path, tensors: dict[str, Any]) -> None:
        raise KeyboardInterrupt

    folder, toy = open_folder(tmp_path), Toy()
    with pytest.raises(KeyboardInterrupt):
        save_steps(folder, toy, 1, write_model=write_model)
    save_steps(folder, toy, 2)
    assert steps_in(tmp_path) == ["step-2"]


def test_the_listener_is_called_for_each_change(tmp_path: Path) -> None:
    seen: list[list[int]] = []

    def listen(folder: CheckpointFolder) -> None:
        seen.append([record.step for record in folder.records])

    save_steps(open_folder(tmp_path, on_change=listen), Toy(), 1, 2)
    assert seen == [[], [1], [2, 1]]


def test_a_step_that_was_saved_before_its_evaluation_can_become_the_best(tmp_path: Path) -> None:
    folder, toy = open_folder(tmp_path, keep_last=1), Toy()
    for step, loss in {1: 3.0, 2: 1.0, 3: 2.0}.items():
        toy.train()
        folder.save(step, toy.snapshot(step))
        evaluate(folder, step, loss)
    folder.wait()
    assert steps_in(tmp_path) == ["step-2", "step-3"]
    assert (tmp_path / "best").read_text() == "step-2"
    assert folder.best is not None
    assert folder.best.step == 2
    assert [record.loss for record in folder.records] == [2.0, 1.0]


def test_the_evaluation_of_the_loaded_step_is_part_of_the_curve(tmp_path: Path) -> None:
    folder = open_folder(tmp_path)
    save_steps(folder, Toy(), 1)
    evaluate(folder, 1, 2.5)
    folder.wait()
    assert load_curve(tmp_path) == [{"step": 1}, {"step": 1, "validation_loss": 2.5}]
    flip_a_byte(tmp_path / "step-1/evaluation.json")
    assert load_curve(tmp_path) == [{"step": 1}]


def load_curve(path: Path) -> list[dict[str, Any]]:
    toy = Toy()
    loaded = open_folder(path).load_latest(toy.trained)
    assert loaded is not None
    return loaded.metrics


def test_the_evaluation_of_a_step_that_is_not_saved_leaves_no_trace(tmp_path: Path) -> None:
    folder = open_folder(tmp_path)
    save_steps(folder, Toy(), 1)
    evaluate(folder, 2, 2.5)
    folder.wait()
    assert steps_in(tmp_path) == ["step-1"]
    assert not (tmp_path / "step-1/evaluation.json").exists()


def test_a_leftover_process_of_an_earlier_attempt_cannot_add_an_evaluation(tmp_path: Path) -> None:
    leftover = open_folder(tmp_path)
    save_steps(leftover, Toy(), 1)
    load(tmp_path, attempt=2)
    evaluate(leftover, 1, 2.5)
    leftover.wait()
    assert "the evaluation of step 1 was not stored" in leftover.notes[-1]
    assert not (tmp_path / "step-1/evaluation.json").exists()


def test_changed_fields_of_a_manifest_count_as_damage(tmp_path: Path) -> None:
    save_steps(open_folder(tmp_path), Toy(), 1, 2)
    path = tmp_path / "step-2/manifest.json"
    path.write_text(path.read_text().replace('"loss": null', '"loss": 0.1'))
    folder = open_folder(tmp_path)
    folder.claim()
    assert [record.step for record in folder.records] == [1]
    step, _, loaded = load(tmp_path)
    assert step == 1
    assert "do not match its own sha256" in loaded.notes[0]


def read_pointers(path: Path) -> tuple[str | None, ...]:
    """The contents of `latest` and `best`."""
    return tuple(file.read_text() if file.exists() else None for file in (path / "latest", path / "best"))


def test_pointers_do_not_name_a_damaged_checkpoint(tmp_path: Path) -> None:
    save_steps(open_folder(tmp_path), Toy(), 1)
    save_steps(open_folder(tmp_path), Toy(), 2, loss=1.0)
    assert read_pointers(tmp_path) == ("step-2", "step-2")
    flip_a_byte(tmp_path / "step-2/state.json")
    load(tmp_path)
    assert read_pointers(tmp_path) == ("step-1", None)


def test_a_save_and_its_evaluation_killed_at_any_moment_leave_a_folder_to_resume_from(tmp_path: Path) -> None:
    save_steps(open_folder(tmp_path / "first"), Toy(), 1, 2, 3)
    resumed = set()
    for number in itertools.count(1):
        path = tmp_path / f"death-{number}"
        shutil.copytree(tmp_path / "first", path)
        _, toy, folder = load(path)
        try:
            with dying_at_call(number, path):
                toy.train()
                folder.save(4, toy.snapshot(4))
                evaluate(folder, 4, 1.0)
                folder.wait()
            break
        except Died:
            step, _, after = load(path, attempt=3)
            assert after.notes == []
            assert list(path.glob("*.tmp-*")) == []
            assert [entry for entry in path.glob("step-*") if find_damage(entry, read_manifest(entry).files)] == []
            resumed.add((step, after.records[0].loss))
            assert read_pointers(path) == (f"step-{step}", "step-4" if after.records[0].loss else None)
    assert number > 30
    assert resumed == {(3, None), (4, None), (4, 1.0)}
