"""What the structure of a model says about it: modules by their names, and parameters that nothing depends on."""

from collections.abc import Sequence
from typing import Any

import torch


def find_modules(module: Any, names: Sequence[str]) -> tuple[str, ...]:
    """Full names of the modules called so that are in no other one of them: `model.visual`, `lm_head`."""
    found: list[str] = []
    for path, _ in module.named_modules():
        inside = any(path.startswith(f"{outer}.") for outer in found)
        if path.rpartition(".")[2] in names and not inside:
            found.append(path)
    return tuple(found)


def find_unused(module: Any, output: torch.Tensor, skipped: Sequence[str]) -> list[str]:
    """Parameters that get no gradient from `output`, except those in `skipped`: experts take turns."""
    used, seen, waiting = set(), set(), [output.grad_fn]
    while waiting:
        node = waiting.pop()
        if node is None or node in seen:
            continue
        seen.add(node)
        if hasattr(node, "variable"):
            used.add(id(node.variable))
        waiting += [following for following, _ in node.next_functions]
    return [
        name
        for name, parameter in module.named_parameters()
        if parameter.requires_grad and id(parameter) not in used and not name.startswith(tuple(skipped))
    ]
