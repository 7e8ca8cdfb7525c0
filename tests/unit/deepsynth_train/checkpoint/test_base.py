"""The hash over frozen weights."""

import pytest


@pytest.mark.parametrize("shape", [(6, 8), (6, 3), (7,), (), (5, 2, 3)])
@pytest.mark.parametrize("dtype", ["bfloat16", "float32", "uint8"])
def test_any_changed_bit_and_any_swapped_rows_change_the_checksum(shape: tuple[int, ...], dtype: str) -> None:
    import torch

    from deepsynth_train.checkpoint.base import compute_checksum
    from deepsynth_train.checkpoint.state.parts import locate

    weight = torch.randn(shape).mul(50).to(getattr(torch, dtype))
    expected = compute_checksum(locate("w", weight))
    flat = weight.view(-1).view(torch.uint8)
    for number in range(len(flat)):
        changed = flat.clone()
        changed[number] ^= 1
        assert compute_checksum(locate("w", changed.view(weight.dtype).view(shape))) != expected
    if len(shape) == 2:
        assert compute_checksum(locate("w", weight[[1, 0, *range(2, shape[0])]])) != expected


def test_the_checksums_of_the_parts_of_a_tensor_add_up_to_its_own() -> None:
    import torch

    from deepsynth_train.checkpoint.base import compute_checksum
    from deepsynth_train.checkpoint.state.parts import Part, locate

    weight = torch.randn(7, 4)
    parts = [Part("w", (7, 4), (start, 0), weight[start : start + 3]) for start in (0, 3, 6)]
    assert sum(map(compute_checksum, parts)) % 2**64 == compute_checksum(locate("w", weight))


def test_the_checksum_does_not_depend_on_how_a_tensor_lies_in_memory() -> None:
    import torch

    from deepsynth_train.checkpoint.base import compute_checksum
    from deepsynth_train.checkpoint.state.parts import locate

    weight = torch.randn(6, 4).bfloat16()
    inside = torch.zeros(1 + weight.numel()).bfloat16()[1:].view(6, 4).copy_(weight)
    turned = weight.T.contiguous().T
    assert {compute_checksum(locate("w", one)) for one in (inside, turned)} == {compute_checksum(locate("w", weight))}


def test_names_shapes_and_dtypes_are_part_of_the_hash() -> None:
    import torch

    from deepsynth_train.checkpoint.base import compute_base
    from deepsynth_train.checkpoint.ranks import Ranks

    ranks = Ranks(None)
    variants = [
        {"w": torch.zeros(4, 2)},
        {"v": torch.zeros(4, 2)},
        {"w": torch.zeros(2, 4)},
        {"w": torch.zeros(4, 2).bfloat16()},
        {"w": torch.zeros(4, 2), "v": torch.zeros(1)},
    ]
    hashes = [found.sha256 for variant in variants if (found := compute_base(variant, "file:///m", None, ranks))]
    assert len(set(hashes)) == len(variants)
    assert compute_base({}, "file:///m", None, ranks) is None
