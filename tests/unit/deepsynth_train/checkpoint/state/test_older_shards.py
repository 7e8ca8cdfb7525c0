"""Checkpoints of format 1 hold pickles, which could call anything when they are read."""

from __future__ import annotations

import hashlib
import io
import json
import pickle
import shutil
import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from deepsynth_api.errors import TemporaryError
from deepsynth_train.checkpoint.manifest import compute_digest
from support.training.toy_checkpoints import Toy
from unit.deepsynth_train.checkpoint.test_folder import load, open_folder, steps_in

OLDER = Path(__file__).parents[4] / "fixtures/older_checkpoint/checkpoints/step-2/shards"


class Trap:
    """Touches a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.path,)


def write_older_checkpoint(path: Path) -> Toy:
    """step-5 of a toy, as torch.distributed.checkpoint writes it, with a manifest of format 1."""
    from torch.distributed.checkpoint.filesystem import FileSystemWriter
    from torch.distributed.checkpoint.state_dict import get_state_dict
    from torch.distributed.checkpoint.state_dict_saver import save

    toy = Toy()
    toy.train(2)
    open_folder(path).claim()
    model, optimizer = get_state_dict(toy.model, toy.optimizer)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="torch.distributed is disabled")
        save(
            {"model": model, "optimizer": optimizer},
            storage_writer=FileSystemWriter(path / "step-5/shards"),
            no_dist=True,
        )
    (path / "step-5/state.json").write_text('{"step": 5}')
    (path / "step-5/metrics.jsonl").write_text("")
    write_manifest(path / "step-5")
    return toy


def read_metadata(path: Path) -> Any:
    try:
        return pickle.loads(path.read_bytes())  # noqa: S301 - the fixture
    except ValueError:
        pytest.skip("this torch is older than the one that wrote the fixture, and cannot read it itself")


def write_manifest(root: Path) -> None:
    """Of format 1, over the files as they are: hashes are no protection against who can write the folder."""
    files = [compute_digest(root, file) for file in sorted(root.rglob("*")) if file.is_file()]
    document = {
        "step": 5,
        "time": "2026-01-01T00:00:00+00:00",
        "attempt": 1,
        "world_size": 1,
        "fingerprint": "same",
        "loss": None,
        "files": [vars(file) for file in files if file.path != "manifest.json"],
        "format": 1,
    }
    (root / "manifest.json").write_text(json.dumps(document))


def test_an_older_checkpoint_is_resumed_with_its_optimizer(tmp_path: Path) -> None:
    toy = write_older_checkpoint(tmp_path)
    step, resumed, folder = load(tmp_path)
    assert (step, folder.notes) == (5, [])
    assert resumed.weights == toy.weights
    for one in (toy, resumed):
        one.train(2)
    assert resumed.weights == toy.weights


def test_all_tensors_of_an_older_checkpoint_are_those_that_torch_reads() -> None:
    import torch
    from torch.distributed.checkpoint.filesystem import FileSystemReader
    from torch.distributed.checkpoint.state_dict_loader import load as load_shards

    from deepsynth_train.checkpoint.state.older_shards import open_older_shards

    stored = open_older_shards(OLDER)
    read_metadata(OLDER / ".metadata")
    expected = {name: torch.zeros(kind.shape, dtype=kind.dtype) for name, kind in stored.tensors.items()}
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="torch.distributed is disabled")
        load_shards(expected, storage_reader=FileSystemReader(OLDER), no_dist=True)
    assert len(expected) == 121
    assert all(torch.equal(stored.get(name), tensor) for name, tensor in expected.items())


@pytest.mark.parametrize("is_part_of_metadata", [False, True])
def test_metadata_that_would_run_code_is_damage_and_runs_nothing(tmp_path: Path, is_part_of_metadata: bool) -> None:
    write_older_checkpoint(tmp_path)
    path, touched = tmp_path / "step-5/shards/.metadata", tmp_path / "touched"
    trap: Any = Trap(touched)
    if is_part_of_metadata:
        trap = replace(pickle.loads(path.read_bytes()), planner_data=trap)  # noqa: S301 - written above
    path.write_bytes(pickle.dumps(trap))
    write_manifest(tmp_path / "step-5")
    step, _, folder = load(tmp_path)
    assert step is None
    assert not touched.exists()
    assert "does not belong there" in folder.notes[0]
    assert steps_in(tmp_path) == ["step-5.corrupt-attempt-2"]
    pickle.loads(pickle.dumps(Trap(touched)))  # noqa: S301
    assert touched.exists(), "the trap works"


@pytest.mark.parametrize("name", ["os.system", "builtins.eval", "torch.load", "torch.hub.load", "functools.partial"])
def test_no_callable_can_be_named_in_metadata(tmp_path: Path, name: str) -> None:
    from deepsynth_train.checkpoint.state.older_shards import open_older_shards
    from deepsynth_train.checkpoint.state.tensor_files import Damage

    module, _, function = name.rpartition(".")
    (tmp_path / ".metadata").write_bytes(f"c{module}\n{function}\n.".encode())
    with pytest.raises(Damage, match="does not belong there"):
        open_older_shards(tmp_path)


def test_a_tensor_that_would_run_code_ends_the_attempt_and_the_next_one_starts_without_it(tmp_path: Path) -> None:
    import torch

    write_older_checkpoint(tmp_path)
    touched = tmp_path / "touched"
    content = io.BytesIO()
    torch.save(Trap(touched), content)
    path = tmp_path / "step-5/shards/__0_0.distcp"
    path.write_bytes(content.getvalue().ljust(path.stat().st_size, b"\0"))
    write_manifest(tmp_path / "step-5")
    with pytest.raises(TemporaryError, match=r"damaged checkpoint step-5: .* cannot be read"):
        load(tmp_path)
    assert not touched.exists()
    assert load(tmp_path, attempt=3)[0] is None


def test_the_fixture_is_as_it_was_written() -> None:
    digest = hashlib.sha256((OLDER / ".metadata").read_bytes()).hexdigest()
    assert digest == "5b532a4352baf586625c4425baf16a0a0065dd71daaa0135b7ba77ac68c1d298"


def test_a_path_outside_of_the_folder_is_damage(tmp_path: Path) -> None:
    from deepsynth_train.checkpoint.state.older_shards import open_older_shards
    from deepsynth_train.checkpoint.state.tensor_files import Damage

    shutil.copytree(OLDER, tmp_path / "shards")
    path = tmp_path / "shards/.metadata"
    metadata = read_metadata(path)
    for place in metadata.storage_data.values():
        place.relative_path = "../" + place.relative_path
    path.write_bytes(pickle.dumps(metadata))
    with pytest.raises(Damage, match="is not a file of this folder"):
        open_older_shards(tmp_path / "shards")
