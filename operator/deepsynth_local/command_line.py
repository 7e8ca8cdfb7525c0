"""The arguments of the `deepsynth` command, its help, and the exit codes that are its own.

A new subcommand also needs its function in `__main__.COMMANDS`.
"""

import argparse
from pathlib import Path
from typing import Final, get_args

from deepsynth_api.v1alpha1.settings.result_settings import Metric
from deepsynth_local.runs.runs_folder import DEFAULT_RUNS
from deepsynth_local.stored_resources import KIND_NAMES
from deepsynth_local.templates import DEFAULT_MODEL

FAILED: Final = 1
"""A resource failed or was not found. The others are those of the workloads: deepsynth_api.exit_codes."""
INTERRUPTED: Final = 130
"""128 + SIGINT, as a shell shows Ctrl-C."""

_EXAMPLES: Final = """\
examples:
  deepsynth local -f examples/demo.yaml       run the resources of a file, or continue them
  deepsynth get trainingruns -o wide          list runs as `kubectl get` does
  deepsynth fit -f training-run.yaml          estimate the GPU memory that a run needs
  deepsynth predict runs/first/model scan.pdf read pages with a trained model
  deepsynth evaluate runs/first/model pages   measure how well a model reads the pages of a dataset
  deepsynth template dataset xsum --max-rows 1000 | deepsynth local -f -

exit codes:
  0    all resources are complete
  1    a resource failed or was not found
  64   a file or an argument is invalid
  70   a bug in deepsynth
  75   the disk is full
  130  stopped by Ctrl-C
"""


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="deepsynth",
        description="Render text into page images and train vision-language models on them, without a cluster.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("--debug", action="store_true", help="print a traceback when an error occurs")
    stored = argparse.ArgumentParser(add_help=False, parents=[common])
    stored.add_argument(
        "--runs",
        type=Path,
        default=Path(DEFAULT_RUNS),
        metavar="FOLDER",
        help="folder with resources, logs and volumes (default: %(default)s)",
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    _add_local(commands.add_parser("local", parents=[stored], help="run resources on this machine"))
    _add_get(commands.add_parser("get", parents=[stored], help="list resources of this and earlier runs"))
    _add_delete(commands.add_parser("delete", parents=[stored], help="delete a resource but keep its data"))
    commands.add_parser("datasets", parents=[common], help="list the presets of DatasetGeneration")
    _add_template(commands.add_parser("template", parents=[common], help="print a resource as YAML, to run or to edit"))
    _add_fit(commands.add_parser("fit", parents=[stored], help="estimate the GPU memory that a TrainingRun needs"))
    _add_predict(commands.add_parser("predict", parents=[stored], help="read images, PDF or text files with a model"))
    _add_evaluate(commands.add_parser("evaluate", parents=[stored], help="measure how well a model reads a dataset"))
    commands.add_parser("version", parents=[common], help="print the version")
    return parser


def _add_local(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Run DatasetGenerations and TrainingRuns on this machine with the operator's own code. Pods are processes, "
        "pvc://CLAIM/ is a folder inside the runs folder, and Secrets come from your environment (HF_TOKEN). Ctrl-C "
        "saves the progress and stops; run the same command again to continue."
    )
    _add_files(parser, "resources")


def _add_files(parser: argparse.ArgumentParser, content: str) -> None:
    parser.add_argument(
        "-f",
        "--filename",
        dest="files",
        action="extend",
        nargs="+",
        required=True,
        metavar="FILE",
        help=f'YAML files with {content}; "-" reads standard input',
    )


def _add_fit(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Estimate the memory of a training step by part, on a machine without a GPU and without fetching weights. "
        "The step runs on tensors that have shapes only."
    )
    _add_files(parser, "TrainingRuns")
    parser.add_argument(
        "--pages", type=_parse_count, default=1, metavar="N", help="pages of a sample (default: %(default)s)"
    )
    parser.add_argument(
        "--label-tokens",
        type=_parse_count,
        metavar="N",
        help="tokens of a label (default: spec.maxLabelTokens, or 512)",
    )
    parser.add_argument(
        "--compare", action="store_true", help="also with LoRA, frozen vision and recomputed activations"
    )
    parser.add_argument(
        "-o", "--output", choices=["table", "json"], default="table", help="format (default: %(default)s)"
    )


def _add_predict(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Print what a model reads from pages: images, each page of PDF files (at 150 dpi), and text files (.txt, .md "
        "and similar), which are rendered first, as a DatasetGeneration does by default."
    )
    parser.add_argument(
        "model",
        metavar="MODEL",
        help="folder or URI of a model or of published adapters, or its name on the Hub (OWNER/NAME)",
    )
    parser.add_argument("files", nargs="+", metavar="FILE", help="images, PDF and text files")
    parser.add_argument("--json", action="store_true", help="print a JSON object per text, one a line")
    parser.add_argument(
        "--document", action="store_true", help="read all pages of a file together, as for a summary; one text per file"
    )
    parser.add_argument("--prompt", metavar="TEXT", help="what to ask (default: what the model was trained with)")
    parser.add_argument(
        "--max-new-tokens", type=_parse_count, metavar="N", help="maximum length of a text (default: the model's own)"
    )
    parser.add_argument(
        "--batch-size", type=_parse_count, default=8, metavar="N", help="pages to read at once (default: %(default)s)"
    )
    parser.add_argument("--revision", metavar="NAME", help="branch, tag or commit of a model on the Hub")
    parser.add_argument("--device", metavar="NAME", help="cpu, cuda or cuda:N (default: a GPU if there is one)")


def _add_evaluate(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Compute the metrics of spec.evaluation for any model on any dataset: a trained model, or the one that it "
        "started from, for the difference."
    )
    parser.add_argument("model", metavar="MODEL", help="a folder, OWNER/NAME on the Hub, or a URI of spec.model.uri")
    parser.add_argument(
        "dataset", metavar="DATASET", help="a folder of parquet files or images, hf://OWNER/NAME, or a file:// URI"
    )
    parser.add_argument(
        "--split",
        metavar="NAME",
        help="split to evaluate on (default: validation, or what a training holds out of a dataset without that split)",
    )
    parser.add_argument(
        "--metrics",
        nargs="+",
        choices=get_args(Metric),
        default=list(get_args(Metric)),
        metavar="METRIC",
        help=f"of {', '.join(get_args(Metric))} (default: all)",
    )
    parser.add_argument("--task", choices=["ocr", "summarize"], help="default: that of the model, else summarize")
    parser.add_argument(
        "--prompt", metavar="TEXT", help="text after the pages (default: that of the model or the task)"
    )
    parser.add_argument(
        "--max-samples", type=_parse_count, default=200, metavar="N", help="first N samples (default: %(default)s)"
    )
    parser.add_argument(
        "--samples", type=int, default=3, choices=range(65), metavar="N", help="texts to show (default: %(default)s)"
    )
    parser.add_argument(
        "--max-new-tokens",
        type=_parse_count,
        metavar="N",
        help="maximum length of a text (default: the model's own, else 256)",
    )
    parser.add_argument(
        "--batch-size",
        type=_parse_count,
        default=8,
        metavar="N",
        help="pages that are read at once (default: %(default)s)",
    )
    parser.add_argument(
        "--image-size", type=_parse_count, metavar="PIXELS", help="side of a page (default: that of the model)"
    )
    parser.add_argument(
        "-o", "--output", choices=["table", "json"], default="table", help="format (default: %(default)s)"
    )


def _add_get(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "kind",
        nargs="?",
        choices=sorted(KIND_NAMES),
        metavar="KIND",
        help="trainingruns (trun) or datasetgenerations (dsg); all kinds by default",
    )
    parser.add_argument("name", nargs="?", metavar="NAME", help="only the resource with this name")
    parser.add_argument(
        "-o",
        "--output",
        choices=["table", "wide", "yaml", "json"],
        default="table",
        help="format (default: %(default)s)",
    )


def _add_delete(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "kind", choices=sorted(KIND_NAMES), metavar="KIND", help="trainingrun (trun) or datasetgeneration (dsg)"
    )
    parser.add_argument("name", metavar="NAME", help="name of the resource")


def _add_template(parser: argparse.ArgumentParser) -> None:
    kinds = parser.add_subparsers(dest="template", required=True, metavar="WHAT")
    dataset = kinds.add_parser("dataset", help="a DatasetGeneration from each preset")
    dataset.add_argument(
        "presets", nargs="+", metavar="PRESET", help="names of presets, or all; `deepsynth datasets` lists them"
    )
    dataset.add_argument("--max-rows", type=_parse_count, metavar="N", help="only the first N rows of each split")
    training = kinds.add_parser("training", help="a TrainingRun on datasets from presets")
    training.add_argument("presets", nargs="+", metavar="PRESET", help="names of presets")
    training.add_argument(
        "--model", default=DEFAULT_MODEL, metavar="URI", help="model to start from (default: %(default)s)"
    )
    training.add_argument(
        "--gpus", type=_parse_count, default=0, metavar="N", help="number of GPUs (default: train on the CPU)"
    )


def _parse_count(text: str) -> int:
    if not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"must be a positive integer, got {text!r}")
    return int(text)
