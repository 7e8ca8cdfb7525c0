"""Options of the verbs that estimate, use and measure models on this machine."""

import argparse
from typing import get_args

from deepsynth.command_line.shared import add_files, parse_count
from deepsynth_api.v1alpha1.settings.result_settings import Metric


def add_fit(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Estimate the memory of a training step by part, on a machine without a GPU and without fetching weights. "
        "The step runs on tensors that have shapes only."
    )
    add_files(parser, "TrainingRuns")
    parser.add_argument(
        "--pages", type=parse_count, default=1, metavar="N", help="pages of a sample (default: %(default)s)"
    )
    parser.add_argument(
        "--label-tokens",
        type=parse_count,
        metavar="N",
        help="tokens of a label (default: spec.maxLabelTokens, or 512)",
    )
    parser.add_argument(
        "--compare", action="store_true", help="also with LoRA, frozen vision and recomputed activations"
    )
    parser.add_argument(
        "-o", "--output", choices=["table", "json"], default="table", help="format (default: %(default)s)"
    )


def add_predict(parser: argparse.ArgumentParser) -> None:
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
        "--max-new-tokens", type=parse_count, metavar="N", help="maximum length of a text (default: the model's own)"
    )
    parser.add_argument(
        "--batch-size", type=parse_count, default=8, metavar="N", help="pages to read at once (default: %(default)s)"
    )
    parser.add_argument("--revision", metavar="NAME", help="branch, tag or commit of a model on the Hub")
    parser.add_argument("--device", metavar="NAME", help="cpu, cuda or cuda:N (default: a GPU if there is one)")


def add_evaluate(parser: argparse.ArgumentParser) -> None:
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
        "--max-samples", type=parse_count, default=200, metavar="N", help="first N samples (default: %(default)s)"
    )
    parser.add_argument(
        "--samples", type=int, default=3, choices=range(65), metavar="N", help="texts to show (default: %(default)s)"
    )
    parser.add_argument(
        "--max-new-tokens",
        type=parse_count,
        metavar="N",
        help="maximum length of a text (default: the model's own, else 256)",
    )
    parser.add_argument(
        "--batch-size",
        type=parse_count,
        default=8,
        metavar="N",
        help="pages that are read at once (default: %(default)s)",
    )
    parser.add_argument(
        "--image-size", type=parse_count, metavar="PIXELS", help="side of a page (default: that of the model)"
    )
    parser.add_argument(
        "-o", "--output", choices=["table", "json"], default="table", help="format (default: %(default)s)"
    )
