"""The arguments of the `deepsynth` command."""

import argparse
from pathlib import Path

from deepsynth_local.get import KIND_NAMES
from deepsynth_local.runs.runs_folder import DEFAULT_RUNS
from deepsynth_local.templates import DEFAULT_MODEL

_EXAMPLES = """\
examples:
  deepsynth local -f examples/demo.yaml       run resources on this machine; again: go on, or say what is done
  deepsynth get trainingruns -o wide          what kubectl get would show
  deepsynth template dataset xsum --max-rows 1000 | deepsynth local -f -

exit codes: 0 all complete, 1 a resource failed, 64 a file or an argument is wrong, 75 the disk is full,
            130 stopped by Ctrl-C
"""


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="deepsynth",
        description="Render text into page images and train vision-language models on them, without a cluster.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("--debug", action="store_true", help="show the traceback of an error")
    stored = argparse.ArgumentParser(add_help=False, parents=[common])
    stored.add_argument(
        "--runs", type=Path, default=Path(DEFAULT_RUNS), metavar="FOLDER", help="where runs are kept (%(default)s)"
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    _add_local(commands.add_parser("local", parents=[stored], help="run resources on this machine"))
    _add_get(commands.add_parser("get", parents=[stored], help="show resources of this and earlier runs"))
    _add_delete(commands.add_parser("delete", parents=[stored], help="forget a resource; its data stays"))
    commands.add_parser("datasets", parents=[common], help="list the presets of DatasetGeneration")
    _add_template(commands.add_parser("template", parents=[common], help="print a resource to run or to edit"))
    commands.add_parser("version", parents=[common], help="print the version")
    return parser


def _add_local(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Run DatasetGenerations and TrainingRuns with the operator's own code; pods are processes. pvc://CLAIM/ is a "
        "folder below the runs folder, Secrets are taken from your environment (HF_TOKEN). Ctrl-C saves and stops; the "
        "same command goes on later."
    )
    parser.add_argument(
        "-f",
        "--filename",
        dest="files",
        action="extend",
        nargs="+",
        required=True,
        metavar="FILE",
        help='files with resources; "-": standard input',
    )


def _add_get(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "kind",
        nargs="?",
        choices=sorted(KIND_NAMES),
        metavar="KIND",
        help="trainingruns, datasetgenerations, trun, dsg",
    )
    parser.add_argument("name", nargs="?", metavar="NAME")
    parser.add_argument("-o", "--output", choices=["table", "wide", "yaml", "json"], default="table", help="format")


def _add_delete(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("kind", choices=sorted(KIND_NAMES), metavar="KIND")
    parser.add_argument("name", metavar="NAME")


def _add_template(parser: argparse.ArgumentParser) -> None:
    kinds = parser.add_subparsers(dest="template", required=True, metavar="WHAT")
    dataset = kinds.add_parser("dataset", help="a DatasetGeneration of a preset")
    dataset.add_argument("preset", metavar="PRESET", help="see `deepsynth datasets`")
    dataset.add_argument("--max-rows", type=_parse_count, metavar="N", help="only the first N rows of each split")
    training = kinds.add_parser("training", help="a TrainingRun on the datasets of presets")
    training.add_argument("presets", nargs="+", metavar="PRESET", help="see `deepsynth datasets`")
    training.add_argument("--model", default=DEFAULT_MODEL, metavar="URI", help="model to start from (%(default)s)")
    training.add_argument("--gpus", type=_parse_count, default=0, metavar="N", help="GPUs to train on (none)")


def _parse_count(text: str) -> int:
    if not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of 1 or more")
    return int(text)
