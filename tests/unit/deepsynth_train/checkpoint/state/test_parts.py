"""Which rank writes what, and the copy that training cannot change."""

import pytest


def test_each_replicated_tensor_is_written_once_and_the_bytes_are_balanced() -> None:
    import torch

    from deepsynth_train.checkpoint.state.parts import select_parts

    sizes = [900, 400, 300, 200, 100, 50, 50, 1, 0]
    tensors = {f"t{number}": torch.zeros(size) for number, size in enumerate(sizes)}
    shares = [select_parts(tensors, rank, 3) for rank in range(3)]
    assert sorted(part.name for share in shares for part in share) == sorted(tensors)[:-1], "t8 is empty"
    loads = [sum(part.bytes for part in share) for share in shares]
    assert sorted(loads) == [4 * 550, 4 * 551, 4 * 900]


def test_a_copy_keeps_its_values_and_the_next_one_uses_the_same_memory() -> None:
    import torch

    from deepsynth_train.checkpoint.state.parts import HostCopier, select_parts

    tensors = {
        "odd": torch.arange(3, dtype=torch.uint8),
        "step": torch.tensor(7.0),
        "turned": torch.arange(6.0).view(2, 3).T,
        "half": torch.arange(5).bfloat16(),
    }
    expected = {name: tensor.clone() for name, tensor in tensors.items()}
    copier = HostCopier()
    copied = copier.copy(select_parts(tensors, 0, 1))
    for tensor in tensors.values():
        tensor.zero_()
    assert all(torch.equal(part.data, expected[part.name]) for part in copied)
    places = {part.name: part.data.data_ptr() for part in copied}
    assert {part.name: part.data.data_ptr() for part in copier.copy(select_parts(tensors, 0, 1))} == places


@pytest.mark.gpu
def test_a_copy_from_a_gpu_is_pinned_and_complete_when_it_returns() -> None:
    import torch

    from deepsynth_train.checkpoint.state.parts import HostCopier, select_parts

    if not torch.cuda.is_available():
        pytest.skip("needs a CUDA device")
    tensors = {f"t{number}": torch.full((1000, 1000), float(number), device="cuda") for number in range(5)}
    copied = HostCopier().copy(select_parts(tensors, 0, 1))
    for tensor in tensors.values():
        tensor.zero_()
    torch.cuda.synchronize()
    assert all(part.data.is_pinned() for part in copied)
    assert {part.name: float(part.data.mean()) for part in copied} == {f"t{number}": number for number in range(5)}
