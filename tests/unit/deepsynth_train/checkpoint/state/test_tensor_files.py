"""Tensors in safetensors files with an index: any number of readers, and no surprises from a file."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from pathlib import Path

    import torch

    from deepsynth_train.checkpoint.state.parts import Part


def cut(name: str, tensor: torch.Tensor, rows: range) -> Part:
    """The part of a rank that holds these rows."""
    from deepsynth_train.checkpoint.state.parts import Part

    start = (rows.start, *(0 for _ in tensor.shape[1:]))
    return Part(name, tuple(tensor.shape), start, tensor[rows.start : rows.stop])


def write(folder: Path, shares: list[list[Part]], **values: Any) -> None:
    """As the ranks of a save do."""
    from deepsynth_train.checkpoint.state.tensor_files import describe_parts, write_index, write_tensors

    written = []
    for rank, parts in enumerate(shares):
        write_tensors(folder / f"rank-{rank}.safetensors", parts)
        written.append(describe_parts(f"rank-{rank}.safetensors", parts))
    write_index(folder, written, values)


def test_tensors_cut_in_one_way_are_read_when_cut_in_another(tmp_path: Path) -> None:
    import torch

    from deepsynth_train.checkpoint.state.tensor_files import open_tensors

    weight = torch.arange(35.0).view(7, 5)
    write(tmp_path, [[cut("w", weight, range(3))], [cut("w", weight, range(3, 6))], [cut("w", weight, range(6, 7))]])
    stored = open_tensors(tmp_path)
    assert torch.equal(stored.get("w"), weight)
    for rows in (range(7), range(4), range(4, 7), range(2, 6), range(7, 7)):
        part = cut("w", torch.zeros(7, 5), rows)
        stored.fill([part])
        assert torch.equal(part.data, weight[rows.start : rows.stop])


def test_every_dtype_a_scalar_and_other_values_come_back_and_the_library_opens_the_file(tmp_path: Path) -> None:
    import torch
    from safetensors.torch import load_file

    from deepsynth_train.checkpoint.state.parts import locate
    from deepsynth_train.checkpoint.state.tensor_files import _DTYPES, open_tensors

    tensors = {code: torch.arange(3).to(dtype) for code, dtype in _DTYPES.items()} | {"scalar": torch.tensor(2.5)}
    write(tmp_path, [[locate(name, tensor) for name, tensor in tensors.items()]], step=7, names=["a"])
    stored = open_tensors(tmp_path)
    assert dict(stored.values) == {"step": 7, "names": ["a"]}
    loaded = load_file(tmp_path / "rank-0.safetensors")
    for name, tensor in tensors.items():
        assert torch.equal(stored.get(name).reshape(-1).view(torch.uint8), tensor.reshape(-1).view(torch.uint8))
        assert loaded[name].dtype == tensor.dtype


def test_another_shape_or_an_unknown_name_is_a_value_error(tmp_path: Path) -> None:
    import torch

    from deepsynth_train.checkpoint.state.parts import locate
    from deepsynth_train.checkpoint.state.tensor_files import open_tensors

    write(tmp_path, [[locate("w", torch.zeros(2, 3))]])
    stored = open_tensors(tmp_path)
    with pytest.raises(ValueError, match=r"w has the shape \[2, 3\], the model has \[3, 2\]"):
        stored.fill([locate("w", torch.zeros(3, 2))])
    with pytest.raises(ValueError, match="it has no tensor v"):
        stored.fill([locate("v", torch.zeros(3, 2))])


def test_ranks_that_hold_different_tensors_cannot_save_a_checkpoint_with_a_gap(tmp_path: Path) -> None:
    import torch

    weight = torch.zeros(4, 2)
    with pytest.raises(ValueError, match=r"the blocks of w do not add up to its shape \[4, 2\]"):
        write(tmp_path, [[cut("w", weight, range(2))], [cut("w", weight, range(3, 4))]])


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"dtype": "F64"}, "is not what the index says"),
        ({"dtype": "F99"}, "F99"),
        ({"shape": [5, 2]}, "do not add up"),
        ({"blocks": []}, "do not add up"),
        ({"blocks": [{"file": "../rank-0.safetensors", "start": [0, 0], "shape": [4, 2]}]}, "in a file of this folder"),
        ({"blocks": [{"file": "rank-0.safetensors", "start": [1, 0], "shape": [4, 2]}]}, "outside"),
        ({"blocks": [{"file": "rank-0.safetensors", "start": [-1, 0], "shape": [4, 2]}]}, "outside"),
        ({"blocks": [{"file": "rank-1.safetensors", "start": [0, 0], "shape": [4, 2]}]}, "rank-1"),
        ({"blocks": [{"file": "rank-0.safetensors", "start": [0], "shape": [8]}]}, "outside"),
    ],
)
def test_an_index_that_does_not_match_its_files_is_found_before_anything_is_read(
    tmp_path: Path, change: dict[str, Any], why: str
) -> None:
    import torch

    from deepsynth_train.checkpoint.state.parts import locate
    from deepsynth_train.checkpoint.state.tensor_files import Damage, open_tensors

    write(tmp_path, [[locate("w", torch.zeros(4, 2))]])
    index = json.loads((tmp_path / "index.json").read_text())
    index["tensors"]["w"].update(change)
    (tmp_path / "index.json").write_text(json.dumps(index))
    with pytest.raises(Damage, match=why):
        open_tensors(tmp_path)
