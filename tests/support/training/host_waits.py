"""Counts the operations for which the host would wait for a GPU: those that need the values of a tensor.

On a CPU nothing waits, but the same operations run.
"""

from __future__ import annotations

import traceback
from typing import Any, Final

from torch.utils._python_dispatch import TorchDispatchMode

WAITS: Final = frozenset(
    {
        "aten::_local_scalar_dense",  # item, float, bool, print
        "aten::is_nonzero",
        "aten::equal",
        "aten::nonzero",  # and indexing with a mask
        "aten::masked_select",  # and the backward pass of masked_scatter
        "aten::unique_consecutive",
        "aten::_unique2",
        "aten::repeat_interleave.Tensor",
    }
)


class HostWaits(TorchDispatchMode):  # type: ignore[no-untyped-call]  # torch has no types here
    """Inside, `found` collects where such an operation was called, innermost call first."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.found: list[str] = []

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if function.name() in WAITS:
            calls = [call for call in traceback.extract_stack() if "/torch/" not in call.filename][:-1]
            places = [f"{call.filename.rpartition('/')[2]}:{call.lineno}" for call in calls[:-4:-1]]
            self.found.append(f"{function.name()} in {' < '.join(places)}")
        return function(*args, **(kwargs or {}))
