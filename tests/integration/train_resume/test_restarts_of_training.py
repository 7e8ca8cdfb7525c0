"""A training whose processes are killed, and start again in the same pod, gives the weights of one that was not."""

import hashlib
import os
import signal
from pathlib import Path

import pytest

from deepsynth_api.report import Report
from integration.train_resume.test_train_attempts import Attempt, build_document
from support.training.page_dataset import build_documents, write_dataset

STEPS = 60


def hash_weights(folder: Path) -> dict[str, str]:
    files = sorted(path for path in (folder / "output").rglob("*.safetensors"))
    assert files
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def train(folder: Path, pages: Path, kills: list[tuple[int, int]]) -> Report:
    """A whole run. kills: rank to kill, and the saved step after which it is killed."""
    folder.mkdir()
    attempt = Attempt(folder, build_document(folder, pages, STEPS), DEEPSYNTH_MAX_RESTARTS="5")
    for number, (rank, step) in enumerate(kills, start=1):
        attempt.wait_for("attempt", number)
        attempt.wait_for("savedStep", step)
        os.kill(attempt.find_worker(rank), signal.SIGKILL)
    code, report, output = attempt.wait()
    assert code == 0, output
    return report


@pytest.mark.slow
def test_a_run_whose_ranks_are_killed_has_the_weights_of_an_undisturbed_one(tmp_path: Path) -> None:
    pages = write_dataset(tmp_path / "pages", {"train": build_documents(6)})
    train(tmp_path / "undisturbed", pages, [])
    report = train(tmp_path / "killed", pages, [(1, 4), (0, 12)])
    assert [(item.failure.reason, item.failure.rank) for item in report.restarts] == [
        ("WorkerKilled", 1),
        ("WorkerKilled", 0),
    ]
    assert all(item.saved_step for item in report.restarts)
    assert report.train is not None
    assert (report.train.attempt, report.train.step) == (3, STEPS)
    assert report.train.resumed_from_step == report.restarts[-1].saved_step
    assert hash_weights(tmp_path / "killed") == hash_weights(tmp_path / "undisturbed")
    assert not list((tmp_path / "killed/checkpoints").glob("*.tmp-*"))


@pytest.mark.slow
def test_a_rank_that_is_killed_while_it_starts_again_is_another_restart(tmp_path: Path) -> None:
    pages = write_dataset(tmp_path / "pages", {"train": build_documents(6)})
    train(tmp_path / "undisturbed", pages, [])
    report = train(tmp_path / "killed", pages, [(1, 4), (1, 0)])
    assert [item.failure.rank for item in report.restarts] == [1, 1]
    assert hash_weights(tmp_path / "killed") == hash_weights(tmp_path / "undisturbed")
