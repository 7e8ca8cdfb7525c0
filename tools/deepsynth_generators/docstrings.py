"""Docstrings from source files, without importing them: also those of values, which Python itself does not keep."""

import ast
import inspect
from collections.abc import Iterator
from pathlib import Path
from typing import TypeVar

Node = TypeVar("Node", ast.ClassDef, ast.FunctionDef)


def find_node(path: Path, name: str, kind: type[Node]) -> Node:
    """The class or function of this name in a file. Raises ValueError if there is none."""
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, kind) and node.name == name:
            return node
    raise ValueError(f"{path}: has no {kind.__name__} {name}")


def list_values(node: ast.ClassDef) -> Iterator[tuple[str, str]]:
    """Name and docstring of each value of a class, such as a member of an enum; "" without one."""
    for value, after in zip(node.body, [*node.body[1:], None], strict=True):
        if isinstance(value, ast.Assign) and isinstance(value.targets[0], ast.Name):
            yield value.targets[0].id, _read_text(after)


def _read_text(node: ast.stmt | None) -> str:
    if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
        return inspect.cleandoc(node.value.value)
    return ""
