"""docs/get-started/terminal.svg: commands and what they printed, line by line as it came. For eyes; needs `make demo`.

    PYTHONPATH=tools python -m deepsynth_generators.recording --write

The commands really run, in the folder of the project. Waits are shortened to MAX_WAIT_SECONDS.
"""

import argparse
import io
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final, NamedTuple

from rich.console import Console
from rich.terminal_theme import DEFAULT_TERMINAL_THEME
from rich.text import Text

PICTURE: Final = Path("docs/get-started/terminal.svg")
RESULTS: Final = "deepsynth-runs/volumes/demo/checkpoints"
COMMANDS: Final = (
    "deepsynth local -f examples/demo.yaml",
    "deepsynth get all",
    f"deepsynth predict {RESULTS}/model {RESULTS}/samples/pages/297-0.png",
)
COLUMNS: Final = 128
MAX_WAIT_SECONDS: Final = 1.5
_TYPING_SECONDS: Final = 0.8
"""From a prompt to the end of the command that is typed there."""

_SVG: Final = """\
<svg viewBox="0 0 {terminal_width} {terminal_height}" xmlns="http://www.w3.org/2000/svg">
<style>
.{unique_id}-matrix {{ font: {char_height}px ui-monospace, "DejaVu Sans Mono", Menlo, Consolas, monospace }}
@keyframes show {{ from {{ opacity: 0 }} to {{ opacity: 1 }} }}
text[clip-path] {{ animation: show 0.01s both }}
{styles}
TIMES
@media (prefers-reduced-motion) {{ text[clip-path] {{ animation: none }} }}
</style>
<defs>{lines}</defs>
<rect width="100%" height="100%" rx="8" fill="#fff" stroke="#d0d0d0"/>
<g transform="translate(9, 9)">
{backgrounds}
<g class="{unique_id}-matrix">
{matrix}
</g>
</g>
</svg>
"""
"""Without the fonts that rich would load from elsewhere."""


class Line(NamedTuple):
    """seconds: from the start of the recording."""

    text: Text
    seconds: float


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Record what commands print.")
    parser.add_argument("--write", action="store_true", required=True, help="write the file")
    parser.parse_args(arguments)
    PICTURE.write_text(draw(list(record(COMMANDS))), encoding="utf-8")
    return 0


def record(commands: Sequence[str]) -> Iterator[Line]:
    """The lines of a terminal in which these commands are typed one after the other."""
    folder = Path(sys.executable).parent
    environment = {**os.environ, "PATH": f"{folder}:{os.environ['PATH']}", "COLUMNS": str(COLUMNS)}
    seconds = 0.0
    for command in commands:
        seconds += _TYPING_SECONDS
        yield Line(Text.assemble(("$ ", "green"), (command, "bold")), seconds)
        last = time.monotonic()
        with subprocess.Popen(command, shell=True, env=environment, stdout=subprocess.PIPE, text=True) as process:  # noqa: S602 - our own commands, with wildcards
            for text in process.stdout or ():
                now = time.monotonic()
                seconds, last = seconds + min(now - last, MAX_WAIT_SECONDS), now
                yield Line(Text.from_ansi(text.rstrip("\n")), seconds)
        if process.returncode:
            raise RuntimeError(f"{command}: ended with {process.returncode}; run `make demo` first")
        seconds += MAX_WAIT_SECONDS
        yield Line(Text(), seconds)


def draw(lines: Sequence[Line]) -> str:
    """An SVG in which each line appears at its time; all of them at once where motion is not wanted."""
    console = Console(record=True, width=COLUMNS, file=io.StringIO(), force_terminal=True, legacy_windows=False)
    times: list[float] = []
    for line in lines:
        rows = line.text.wrap(console, COLUMNS)
        for row in rows or [line.text]:
            console.print(row, no_wrap=True, highlight=False)
            times.append(line.seconds)
    svg = console.export_svg(theme=DEFAULT_TERMINAL_THEME, code_format=_SVG, unique_id="t")
    rules = [f'text[clip-path="url(#t-line-{row})"] {{ animation-delay: {at:.2f}s }}' for row, at in enumerate(times)]
    return svg.replace("TIMES", "\n".join(rules))


if __name__ == "__main__":
    sys.exit(main())
