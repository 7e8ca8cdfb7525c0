"""Write docs/reference/exit-codes.md: those of containers and those of the `deepsynth` command, from the enums."""

import ast
import inspect
import sys
from collections.abc import Iterator, Sequence
from enum import IntEnum
from pathlib import Path
from typing import Final

from deepsynth_api.exit_codes import ExitCode
from deepsynth_client.errors import CommandExit
from deepsynth_generators.docstrings import find_node, list_values
from deepsynth_generators.generated_file import write_or_check

PAGE: Final = Path(__file__).parents[2] / "docs/reference/exit-codes.md"
HEADER: Final = """\
# Exit codes

<!-- Written by `make reference` from deepsynth_api/exit_codes.py and deepsynth_client/errors.py. Do not edit. -->

## Of the deepsynth command

What `deepsynth VERB` ends with. Verbs that work on this machine, such as `local`, `predict` and `evaluate`, can also
end with the codes of containers below.

"""
CONTAINERS: Final = """
## Of containers

What the containers of Jobs end with, as `status.attempts[].exitCode` shows it. The Jobs and the operator act on them. A
code that is not in this table counts as a failure.

"""
TABLE: Final = "| code | meaning |\n|---|---|\n"


def render_page() -> str:
    return "".join([HEADER, TABLE, *describe(CommandExit), CONTAINERS, TABLE, *describe(ExitCode)])


def describe(codes: type[IntEnum]) -> Iterator[str]:
    """A row for each code. Raises ValueError for one without a docstring."""
    path = Path(inspect.getfile(codes))
    for name, text in list_values(find_node(path, codes.__name__, ast.ClassDef)):
        if not text:
            raise ValueError(f"{path}: {codes.__name__}.{name} needs a docstring: what the code means")
        yield f"| {codes[name].value} | {' '.join(text.split())} |\n"


def main(arguments: Sequence[str] | None = None) -> int:
    fault = "the exit codes are out of date; run `make reference`"
    return write_or_check(arguments, PAGE, render_page(), what="docs/reference/exit-codes.md", fault=fault)


if __name__ == "__main__":
    sys.exit(main())
