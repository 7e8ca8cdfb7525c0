"""Options of the verbs that print a file: resources from presets, and completion for a shell."""

import argparse
from typing import Final

from deepsynth.command_line.shared import parse_count
from deepsynth.verbs.templates import DEFAULT_MODEL

SHELLS: Final = ("bash", "zsh", "fish")


def add_template(parser: argparse.ArgumentParser) -> None:
    kinds = parser.add_subparsers(dest="template", required=True, metavar="WHAT")
    dataset = kinds.add_parser("dataset", help="a DatasetGeneration from each preset")
    dataset.add_argument(
        "presets", nargs="+", metavar="PRESET", help="names of presets, or all; `deepsynth datasets` lists them"
    )
    dataset.add_argument("--max-rows", type=parse_count, metavar="N", help="only the first N rows of each split")
    training = kinds.add_parser("training", help="a TrainingRun on datasets from presets")
    training.add_argument("presets", nargs="+", metavar="PRESET", help="names of presets, or all")
    training.add_argument(
        "--model", default=DEFAULT_MODEL, metavar="URI", help="model to start from (default: %(default)s)"
    )
    training.add_argument(
        "--gpus", type=parse_count, default=0, metavar="N", help="number of GPUs (default: train on the CPU)"
    )


def add_completion(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Print a script that completes commands, options and names: source <(deepsynth completion bash)"
    )
    parser.add_argument("shell", choices=SHELLS, metavar="SHELL", help=f"of {', '.join(SHELLS)}")
