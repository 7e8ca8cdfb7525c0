"""Write the options of each verb into docs/reference/cli.md, from the parser of the `deepsynth` command."""

import argparse
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from deepsynth.command_line.parser import build_parser
from deepsynth_generators.generated_file import write_or_check

PAGE: Final = Path(__file__).parents[2] / "docs/reference/cli.md"
BEGIN: Final = "<!-- options: written by `make reference` -->\n"
END: Final = "<!-- end of options -->\n"


def render_page(page: str) -> str:
    """The page with the options between its two marks. Raises ValueError if it lacks them."""
    before, mark, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not mark or not end:
        raise ValueError(f"{PAGE} lacks the lines {BEGIN.strip()!r} and {END.strip()!r} around the options")
    return f"{before}{BEGIN}{''.join(describe_verbs(build_parser()))}{END}{after}"


def describe_verbs(parser: argparse.ArgumentParser, help_text: str = "") -> Iterator[str]:
    """A section for each parser that has no subcommands, in their order."""
    nested = [action for action in parser._actions if isinstance(action, argparse._SubParsersAction)]  # noqa: SLF001 - argparse lists its actions nowhere else
    for action in nested:
        texts = {choice.dest: choice.help or "" for choice in action._choices_actions}  # noqa: SLF001 - as above
        for name, below in action.choices.items():
            yield from describe_verbs(below, texts[name])
    if not nested:
        yield f"\n### {parser.prog}\n\n{_finish(parser.description or help_text)}\n"
        yield from _describe_arguments(parser)


def _describe_arguments(parser: argparse.ArgumentParser) -> Iterator[str]:
    given = [action for action in parser._actions if action.dest != "help"]  # noqa: SLF001 - as above
    yield "\n| argument | meaning |\n|---|---|\n"
    for action in sorted(given, key=lambda action: bool(action.option_strings)):
        text = (action.help or "").replace("%(default)s", str(action.default)).replace("|", "\\|")
        yield f"| `{_name(action)}` | {_finish(text)} |\n"


def _name(action: argparse.Action) -> str:
    """As `-o, --output table|yaml`; a positional argument by its place holder, `...` if it may be repeated."""
    choices = "\\|".join(map(str, action.choices)) if action.choices and not action.metavar else ""
    value = "" if action.nargs == 0 else choices or str(action.metavar or action.dest.upper())
    repeated = "..." if action.nargs in {"+", "*"} else ""
    return f"{', '.join(action.option_strings)} {value}{repeated}".strip()


def _finish(text: str) -> str:
    """As a sentence."""
    return f"{text[:1].upper()}{text[1:]}{'' if text.endswith('.') else '.'}"


def main(arguments: Sequence[str] | None = None) -> int:
    fault = "the options are out of date; run `make reference`"
    expected = render_page(PAGE.read_text(encoding="utf-8"))
    return write_or_check(arguments, PAGE, expected, what="the options in docs/reference/cli.md", fault=fault)


if __name__ == "__main__":
    sys.exit(main())
