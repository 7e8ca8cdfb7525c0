"""Options of the verbs that show resources, or wait for them."""

import argparse
from pathlib import Path
from typing import Final

from deepsynth.command_line.shared import (
    add_files,
    add_names,
    add_prices,
    add_selectors,
    parse_count,
    parse_index,
    parse_port,
    parse_seconds,
)

DEFAULT_HOST: Final = "127.0.0.1"
DEFAULT_PORT: Final = 8475


def add_get(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "words",
        nargs="*",
        metavar="KIND [NAME]",
        help="trainingruns (trun), datasetgenerations (dsg) or both (all, the default), and names; or KIND/NAME",
    )
    parser.add_argument(
        "-o",
        "--output",
        choices=["table", "wide", "yaml", "json", "name"],
        default="table",
        help="format (default: %(default)s)",
    )
    parser.add_argument("-w", "--watch", action="store_true", help="then show each change of one kind; Ctrl-C ends it")
    add_selectors(parser)


def add_describe(parser: argparse.ArgumentParser) -> None:
    add_names(parser, "KIND NAME, KIND/NAME or NAME")


def add_logs(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Show what one process of an attempt printed: by default, of the last attempt, the one that failed first, else "
        "rank 0. Once its pod is gone, the end of its log next to the checkpoints is shown."
    )
    add_names(parser, "KIND NAME, KIND/NAME or NAME")
    parser.add_argument(
        "-f", "--follow", action="store_true", help="show new lines, also of further attempts, until the end"
    )
    parser.add_argument("--rank", type=parse_index, metavar="N", help="process of a run, or shard of a generation")
    parser.add_argument("--attempt", type=parse_count, metavar="N", help="attempt (default: the last)")
    parser.add_argument("-p", "--previous", action="store_true", help="the attempt before the last")


def add_wait(parser: argparse.ArgumentParser) -> None:
    parser.description = "Wait until resources have ended: exit code 0 if all are complete, 1 if one has failed."
    add_names(parser, "KIND NAME, KIND/NAME or NAME")
    parser.add_argument(
        "--for",
        dest="goal",
        default="end",
        metavar="GOAL",
        help="end (the default), delete, state=STATE, condition=TYPE or condition=TYPE=STATUS",
    )
    parser.add_argument(
        "--timeout", type=parse_seconds, metavar="TIME", help="such as 90s or 2h30m (default: no limit)"
    )


def add_report(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("words", nargs="*", metavar="NAME", help="KIND NAME, KIND/NAME or NAME (default: all)")
    parser.add_argument(
        "-o", "--output", type=Path, default=Path("report.html"), metavar="FILE", help="default: %(default)s"
    )


def add_compare(parser: argparse.ArgumentParser) -> None:
    parser.description = "Show which settings and results of TrainingRuns differ, and write a page with their curves."
    add_names(parser, "names of at least two TrainingRuns, or KIND/NAME of each")
    parser.add_argument(
        "-o", "--output", type=Path, default=Path("comparison.html"), metavar="FILE", help="default: %(default)s"
    )


def add_cost(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Show what resources have cost, useful and lost apart. With -f: estimate what the resources of files will "
        "cost, from those that have ended. Nothing is started, unless --calibrate is given."
    )
    parser.add_argument("words", nargs="*", metavar="NAME", help="KIND NAME, KIND/NAME or NAME (default: all)")
    add_files(parser, "resources that are not applied yet", required=False)
    add_prices(parser)
    parser.add_argument(
        "--documents", type=parse_count, metavar="N", help="with -f: size of each source, if it is not known"
    )
    parser.add_argument(
        "--calibrate",
        action="store_true",
        help="with -f: render the first rows of each source here",
    )


def add_ui(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Show generations and runs with their progress, curves, samples and logs as pages in a browser, until Ctrl-C. "
        "The pages change nothing. By default, only this machine can reach them: they have no login."
    )
    parser.add_argument("--host", default=DEFAULT_HOST, metavar="ADDRESS", help="listen here (default: %(default)s)")
    parser.add_argument(
        "--port", type=parse_port, default=DEFAULT_PORT, metavar="N", help="0 for any (default: %(default)s)"
    )
    parser.add_argument("-A", "--all-namespaces", action="store_true", help="of all namespaces")
