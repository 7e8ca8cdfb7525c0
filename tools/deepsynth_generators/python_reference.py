"""Write docs/reference/python-api.md: what `deepsynth_train` and `deepsynth` offer, from signatures and docstrings.

The sources are parsed and not imported: importing the Reader would load torch.
"""

import ast
import inspect
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

import deepsynth
import deepsynth_train
from deepsynth_api import errors
from deepsynth_client import errors as client_errors
from deepsynth_generators.docstrings import find_node
from deepsynth_generators.generated_file import write_or_check

PAGE: Final = Path(__file__).parents[2] / "docs/reference/python-api.md"
HEADER: Final = """\
# Python API

<!-- Written by `make reference` from the docstrings. Do not edit. -->

What is not on this page may change in any version. [Train from Python](../tasks/python.md) has examples.

The settings of `TrainConfig` are the fields of a [TrainingRun](fields.md#trainingrun) in snake_case, without those for
a cluster: `optimizer.learningRate` is `optimizer={"learning_rate": 1e-4}`.
"""
TRAINING: Final = ("create_trainer", "Trainer", "TrainConfig", "TrainOutput", "Callback", "load_model", "Reader")
"""In the order in which a reader needs them."""


def render_page() -> str:
    """Raises ValueError for a public name that has no section."""
    if missing := set(deepsynth_train.__all__) ^ set(TRAINING):
        raise ValueError(f"{__name__}.TRAINING and deepsynth_train.__all__ differ by {', '.join(sorted(missing))}")
    modules = {name: f"{deepsynth_train._MODULES.get(name, 'trainer')}" for name in TRAINING}  # noqa: SLF001 - our own
    training = Path(inspect.getfile(deepsynth_train)).parent
    client = Path(inspect.getfile(deepsynth)).parent / "notebook.py"
    parts = [HEADER, "\n## deepsynth_train\n"]
    for name, module in modules.items():
        parts += describe(training / f"{module.replace('.', '/')}.py", name)
    parts += ["\n## deepsynth\n", *describe(client, "Client"), "\n## Errors\n", *describe_errors()]
    return "".join(parts)


def describe(path: Path, name: str) -> Iterator[str]:
    """The section of one public class or function."""
    if name[0].islower():
        yield from _describe_function(find_node(path, name, ast.FunctionDef), f"\n### {name}\n")
        return
    node = find_node(path, name, ast.ClassDef)
    yield f"\n### {name}\n"
    functions = [item for item in node.body if isinstance(item, ast.FunctionDef)]
    start = next((item for item in functions if item.name == "__init__"), None)
    fields = [ast.unparse(item) for item in node.body if _is_public_field(item)]
    if start:
        yield _show([f"{name}{_format_arguments(start)}"])
    elif fields and not node.bases:
        yield _show([f"class {name}:", *(f"    {field}" for field in fields)])
    yield _format_docstring(ast.get_docstring(node))
    for function in functions:
        if not function.name.startswith("_"):
            yield from _describe_function(function, f"\n#### {name}.{function.name}\n")


def _describe_function(node: ast.FunctionDef, heading: str) -> Iterator[str]:
    yield heading
    is_property = any(isinstance(item, ast.Name) and item.id == "property" for item in node.decorator_list)
    returns = ast.unparse(node.returns) if node.returns else "None"
    yield _show([f"{node.name}: {returns}" if is_property else f"{node.name}{_format_arguments(node)} -> {returns}"])
    yield _format_docstring(ast.get_docstring(node))


def _format_arguments(node: ast.FunctionDef) -> str:
    """On one line if it is short, else one argument a line; without self."""
    given = node.args
    positional = [*given.posonlyargs, *given.args]
    defaults = [None] * (len(positional) - len(given.defaults)) + list(given.defaults)
    parts = [_format_argument(*pair) for pair in zip(positional, defaults, strict=True) if pair[0].arg != "self"]
    parts += [f"*{_format_argument(given.vararg, None)}"] if given.vararg else ["*"] if given.kwonlyargs else []
    parts += [_format_argument(*pair) for pair in zip(given.kwonlyargs, given.kw_defaults, strict=True)]
    parts += [f"**{_format_argument(given.kwarg, None)}"] if given.kwarg else []
    line = f"({', '.join(parts)})"
    return line if len(line) < 80 else "(\n" + "".join(f"    {part},\n" for part in parts) + ")"


def _format_argument(argument: ast.arg, default: ast.expr | None) -> str:
    kind = f": {ast.unparse(argument.annotation)}" if argument.annotation else ""
    return f"{argument.arg}{kind}{f' = {ast.unparse(default)}' if default else ''}"


def _is_public_field(node: ast.stmt) -> bool:
    return isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name) and not node.target.id.startswith("_")


def _show(lines: Sequence[str]) -> str:
    """As `py`, not `python`: signatures are no programs, which tests would run."""
    return "\n```py\n" + "\n".join(lines) + "\n```\n"


def _format_docstring(text: str | None) -> str:
    """As Markdown, in which indented lines are code, as they are in docstrings."""
    return f"\n{text}\n" if text else ""


def describe_errors() -> Iterator[str]:
    """A row for each error that a caller can catch."""
    for base in (errors.WorkloadError, client_errors.ClientError):
        yield f"\nOf `{base.__module__}`:\n\n| error | meaning |\n|---|---|\n"
        for name, error in inspect.getmembers(sys.modules[base.__module__], inspect.isclass):
            if issubclass(error, base) and error.__doc__:
                yield f"| `{name}` | {' '.join(error.__doc__.split())} |\n"


def main(arguments: Sequence[str] | None = None) -> int:
    fault = "the Python API is out of date; run `make reference`"
    return write_or_check(arguments, PAGE, render_page(), what="docs/reference/python-api.md", fault=fault)


if __name__ == "__main__":
    sys.exit(main())
