"""Options that several verbs have, and how their values are read."""

import argparse
from pathlib import Path

from deepsynth.verbs.suggestions import suggest
from deepsynth.verbs.waiting import parse_duration
from deepsynth_local.runs.runs_folder import DEFAULT_RUNS


class CommandParser(argparse.ArgumentParser):
    """A parser that proposes the nearest verb for a mistyped one, as argparse itself does from Python 3.14 on."""

    def _check_value(self, action: argparse.Action, value: object) -> None:
        if action.choices is not None and value not in action.choices:
            near = suggest(str(value), map(str, action.choices))
            raise argparse.ArgumentError(action, f"unknown word {str(value)!r}; {near}")


def add_runs(parser: argparse.ArgumentParser, default: Path | None) -> None:
    parser.add_argument(
        "--runs",
        type=Path,
        default=default,
        metavar="FOLDER",
        help=f"folder with resources, logs and volumes (default: {DEFAULT_RUNS})",
    )


def add_place(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--local", action="store_true", help="use the folder of this machine, not a cluster")
    add_runs(parser, default=None)
    parser.add_argument(
        "--context", default="", metavar="NAME", help="context of the kubeconfig (default: the current)"
    )
    parser.add_argument(
        "-n", "--namespace", default="", metavar="NAME", help="namespace (default: that of the context)"
    )


def add_names(parser: argparse.ArgumentParser, text: str) -> None:
    parser.add_argument("words", nargs="+", metavar="NAME", help=text)


def add_selectors(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "-l", "--selector", default="", metavar="LABELS", help="only those with these labels, such as team=a,tier!=test"
    )
    parser.add_argument(
        "--field-selector", default="", metavar="FIELDS", help="only those with these fields: status.state=Running"
    )
    parser.add_argument("-A", "--all-namespaces", action="store_true", help="in all namespaces")


def add_files(parser: argparse.ArgumentParser, content: str, *, required: bool = True) -> None:
    parser.add_argument(
        "-f",
        "--filename",
        dest="files",
        action="extend",
        nargs="+",
        default=[],
        required=required,
        metavar="FILE",
        help=f'YAML files with {content}; "-" reads standard input',
    )


def add_prices(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--prices", type=Path, metavar="FILE", help="price table, see docs/tasks/costs.md (default: $DEEPSYNTH_PRICES)"
    )


def add_yes(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("-y", "--yes", action="store_true", help="do not ask")


def parse_count(text: str) -> int:
    if not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"must be a positive integer, got {text!r}")
    return int(text)


def parse_index(text: str) -> int:
    if not text.isdigit():
        raise argparse.ArgumentTypeError(f"must be an integer of at least 0, got {text!r}")
    return int(text)


def parse_port(text: str) -> int:
    if not (text.isdigit() and int(text) < 65536):
        raise argparse.ArgumentTypeError(f"must be an integer from 0 to 65535, got {text!r}")
    return int(text)


def parse_seconds(text: str) -> float:
    try:
        return parse_duration(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error
