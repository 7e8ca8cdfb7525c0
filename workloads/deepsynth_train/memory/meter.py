"""MemoryMeter: bytes of live tensors, now and at their peak."""

import weakref
from collections.abc import Iterable
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from deepsynth_train.models.quantization.four_bit import FourBitTensor


class MemoryMeter(TorchDispatchMode):
    """Counts every tensor that an operation returns inside `with`, once per storage, until it is freed.

    Works with real tensors and inside FakeTensorMode. Torch's own MemTracker cannot follow frozen weights.

    now, peak: bytes. resident: tensors that are there already, such as weights.
    """

    def __init__(self, resident: Iterable[torch.Tensor] = ()) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # torch has no types here
        self.now = 0
        self.peak = 0
        self._live: dict[int, weakref.ref[Any]] = {}
        for tensor in resident:
            self._count(tensor)

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if any(issubclass(kind, FourBitTensor) for kind in types):
            return NotImplemented  # it runs other operations, which come here too
        result = func(*args, **(kwargs or {}))
        for value in tree_leaves(result):
            if isinstance(value, torch.Tensor):
                self._count(value)
        return result

    def _count(self, tensor: torch.Tensor) -> None:
        if isinstance(tensor, FourBitTensor):
            for part in tensor.parts:
                self._count(part)
            return
        if tensor.device.type == "meta":
            return
        storage = tensor.untyped_storage()
        key, size = id(storage), storage.nbytes()
        if key in self._live:
            return

        def free(_: Any) -> None:
            self.now -= size
            del self._live[key]

        self._live[key] = weakref.ref(storage, free)
        self.now += size
        self.peak = max(self.peak, self.now)
