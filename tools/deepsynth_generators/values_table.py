"""Keep the table of values in the chart's README in step with the comments of its values.yaml.

    python tools/deepsynth_generators/values_table.py --write     write the table
    python tools/deepsynth_generators/values_table.py --check     fail when it is out of date

A comment that begins with `# --` describes the key below it, over as many lines as it needs.
"""

import json
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml

from deepsynth_generators.generated_file import write_or_check

CHART: Final = Path(__file__).parents[2] / "charts/deepsynth"
BEGIN: Final = "<!-- values: written by `make chart-readme` -->\n"
END: Final = "<!-- end of values -->\n"
_KEY: Final = re.compile(r"(?P<indent> *)(?P<key>[A-Za-z]+):")
_COMMENT: Final = re.compile(r" *#(?P<first> --)? (?P<text>.*)")


@dataclass(frozen=True, slots=True)
class Value:
    """One documented value. path: its keys from the root."""

    path: tuple[str, ...]
    description: str
    default: Any


def read_values(text: str) -> Iterator[Value]:
    """The documented values of a values.yaml, in its order."""
    defaults = yaml.safe_load(text)
    path: list[str] = []
    comment: list[str] = []
    for line in text.splitlines():
        if found := _COMMENT.fullmatch(line):
            comment = [found["text"]] if found["first"] else [*comment, found["text"]]
        elif found := _KEY.match(line):
            path = [*path[: len(found["indent"]) // 2], found["key"]]
            if comment:
                yield Value(tuple(path), " ".join(comment), _find(defaults, path))
            comment = []


def _find(values: Mapping[str, Any], path: Sequence[str]) -> Any:
    for key in path:
        values = values[key]
    return values


def render_table(values: Iterator[Value]) -> str:
    rows = [f"| `{'.'.join(value.path)}` | `{json.dumps(value.default)}` | {value.description} |" for value in values]
    return "\n".join(["| value | default | meaning |", "|---|---|---|", *rows, ""])


def render_readme(readme: str, values: str) -> str:
    """The README with the table of these values between its two marks."""
    before, mark, rest = readme.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not mark or not end:
        raise ValueError(f"README.md lacks the lines {BEGIN.strip()!r} and {END.strip()!r} around the table of values")
    return f"{before}{BEGIN}{render_table(read_values(values))}{END}{after}"


def main(arguments: Sequence[str] | None = None) -> int:
    path = CHART / "README.md"
    expected = render_readme(path.read_text(encoding="utf-8"), (CHART / "values.yaml").read_text(encoding="utf-8"))
    fault = "the table of values is out of date; run `make chart-readme`"
    return write_or_check(arguments, path, expected, what="the table of values in the chart's README", fault=fault)


if __name__ == "__main__":
    sys.exit(main())
