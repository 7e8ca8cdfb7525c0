"""The arguments of the `deepsynth` command and its help.

A new subcommand also needs its function in `__main__.COMMANDS`.
"""

import argparse
from pathlib import Path
from typing import Any, Final, get_args

from deepsynth.completing import complete_names
from deepsynth.templates import DEFAULT_MODEL
from deepsynth.verbs.waiting import parse_duration
from deepsynth_api.v1alpha1.settings.result_settings import Metric
from deepsynth_local.runs.runs_folder import DEFAULT_RUNS

DEFAULT_HOST: Final = "127.0.0.1"
DEFAULT_PORT: Final = 8475
SHELLS: Final = ("bash", "zsh", "fish")

_EXAMPLES: Final = """\
examples:
  deepsynth local -f examples/demo.yaml       run the resources of a file here, or continue them
  deepsynth apply -f training-run.yaml        create or change resources: in the cluster, or with --local here
  deepsynth get trainingruns -w               list runs as `kubectl get` does, and show changes
  deepsynth describe read-xsum                show attempts, checkpoints, Events and what to do next
  deepsynth logs -f read-xsum                 show what rank 0 prints
  deepsynth ui                                show pages in a browser, with live progress
  deepsynth fit -f training-run.yaml          estimate the GPU memory that a run needs
  deepsynth cost -f training-run.yaml         estimate what it will cost
  deepsynth predict runs/first/model scan.pdf read pages with a trained model
  deepsynth evaluate runs/first/model pages   measure how well a model reads the pages of a dataset
  deepsynth template dataset xsum --max-rows 1000 | deepsynth local -f -

resources are in the folder deepsynth-runs if the current folder has one, else in the cluster of the kubeconfig's
current context. --local or --runs choose the folder, --context or --namespace the cluster.

exit codes:
  0    done; all resources are complete
  1    a resource failed or was not found
  64   a file, an argument or a resource is invalid
  69   the API server does not answer
  70   a bug in deepsynth
  75   the disk is full
  77   you may not do this in the cluster
  78   no usable kubeconfig or context, or DeepSynth is not installed in the cluster
  124  timed out
  130  stopped by Ctrl-C
"""


def build_parser(program: str = "deepsynth") -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=program,
        description="Render text into page images and train vision-language models on them, in a cluster or here.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("--debug", action="store_true", help="print a traceback when an error occurs")
    stored = argparse.ArgumentParser(add_help=False, parents=[common])
    _add_runs(stored, default=Path(DEFAULT_RUNS))
    placed = argparse.ArgumentParser(add_help=False, parents=[common])
    _add_place(placed)
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    _add_local(commands.add_parser("local", parents=[stored], help="run resources on this machine"))
    _add_apply(commands.add_parser("apply", parents=[placed], help="create resources, or change them"))
    _add_get(commands.add_parser("get", parents=[placed], help="list resources"))
    _add_describe(commands.add_parser("describe", parents=[placed], help="show a resource and what to do next"))
    _add_logs(commands.add_parser("logs", parents=[placed], help="show what a process printed"))
    _add_wait(commands.add_parser("wait", parents=[placed], help="wait until resources have ended"))
    _add_suspend(commands.add_parser("suspend", parents=[placed], help="save and stop, to continue later"))
    _add_resume(commands.add_parser("resume", parents=[placed], help="continue suspended resources"))
    _add_delete(commands.add_parser("delete", parents=[placed], help="delete resources but keep their data"))
    _add_report(commands.add_parser("report", parents=[placed], help="write an HTML page about resources"))
    _add_compare(commands.add_parser("compare", parents=[placed], help="show what differs between runs"))
    _add_cost(commands.add_parser("cost", parents=[placed], help="show what resources cost, or estimate it before"))
    _add_ui(commands.add_parser("ui", parents=[placed], help="show resources as pages in a browser"))
    _add_prune(
        commands.add_parser("prune", parents=[placed], help="remove what ended runs left on volumes and in stores")
    )
    commands.add_parser("datasets", parents=[common], help="list the presets of DatasetGeneration")
    _add_template(commands.add_parser("template", parents=[common], help="print a resource as YAML, to run or to edit"))
    _add_fit(commands.add_parser("fit", parents=[stored], help="estimate the GPU memory that a TrainingRun needs"))
    _add_predict(commands.add_parser("predict", parents=[stored], help="read images, PDF or text files with a model"))
    _add_evaluate(commands.add_parser("evaluate", parents=[stored], help="measure how well a model reads a dataset"))
    _add_completion(commands.add_parser("completion", parents=[common], help="print a completion script for a shell"))
    commands.add_parser("version", parents=[common], help="print the version")
    return parser


def _add_runs(parser: argparse.ArgumentParser, default: Path | None) -> None:
    parser.add_argument(
        "--runs",
        type=Path,
        default=default,
        metavar="FOLDER",
        help=f"folder with resources, logs and volumes (default: {DEFAULT_RUNS})",
    )


def _add_place(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--local", action="store_true", help="use the folder of this machine, not a cluster")
    _add_runs(parser, default=None)
    parser.add_argument(
        "--context", default="", metavar="NAME", help="context of the kubeconfig (default: the current)"
    )
    parser.add_argument(
        "-n", "--namespace", default="", metavar="NAME", help="namespace (default: that of the context)"
    )


def _add_names(parser: argparse.ArgumentParser, text: str) -> None:
    action: Any = parser.add_argument("words", nargs="+", metavar="NAME", help=text)
    action.completer = complete_names


def _add_selectors(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "-l", "--selector", default="", metavar="LABELS", help="only those with these labels, such as team=a,tier!=test"
    )
    parser.add_argument(
        "--field-selector", default="", metavar="FIELDS", help="only those with these fields: status.state=Running"
    )
    parser.add_argument("-A", "--all-namespaces", action="store_true", help="in all namespaces")


def _add_local(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Run DatasetGenerations and TrainingRuns on this machine with the operator's own code. Pods are processes, "
        "pvc://CLAIM/ is a folder inside the runs folder, and Secrets come from your environment (HF_TOKEN). Ctrl-C "
        "saves the progress and stops; run the same command again to continue."
    )
    _add_files(parser, "resources")
    _add_prices(parser)


def _add_prices(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--prices", type=Path, metavar="FILE", help="price table, see docs/tasks/costs.md (default: $DEEPSYNTH_PRICES)"
    )


def _add_files(parser: argparse.ArgumentParser, content: str, *, required: bool = True) -> None:
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


def _add_apply(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Create the resources of files, or change their specs, and return at once. With --local, a process in the "
        "background runs them on this machine until all of them are at rest."
    )
    _add_files(parser, "resources, or folders with such files")
    parser.add_argument(
        "--force-conflicts", action="store_true", help="take over fields that others manage, as `kubectl apply` does"
    )


def _add_get(parser: argparse.ArgumentParser) -> None:
    kind: Any = parser.add_argument(
        "words",
        nargs="*",
        metavar="KIND [NAME]",
        help="trainingruns (trun), datasetgenerations (dsg) or both (all, the default), and names; or KIND/NAME",
    )
    kind.completer = complete_names
    parser.add_argument(
        "-o",
        "--output",
        choices=["table", "wide", "yaml", "json", "name"],
        default="table",
        help="format (default: %(default)s)",
    )
    parser.add_argument("-w", "--watch", action="store_true", help="then show each change; Ctrl-C ends it")
    _add_selectors(parser)


def _add_describe(parser: argparse.ArgumentParser) -> None:
    _add_names(parser, "KIND NAME, KIND/NAME or NAME")


def _add_logs(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Show what one process of an attempt printed: by default, of the last attempt, the one that failed first, else "
        "rank 0. Once its pod is gone, the end of its log next to the checkpoints is shown."
    )
    _add_names(parser, "KIND NAME, KIND/NAME or NAME")
    parser.add_argument(
        "-f", "--follow", action="store_true", help="show new lines, also of further attempts, until the end"
    )
    parser.add_argument("--rank", type=_parse_index, metavar="N", help="process of a run, or shard of a generation")
    parser.add_argument("--attempt", type=_parse_count, metavar="N", help="attempt (default: the last)")
    parser.add_argument("-p", "--previous", action="store_true", help="the attempt before the last")


def _add_wait(parser: argparse.ArgumentParser) -> None:
    parser.description = "Wait until resources have ended: exit code 0 if all are complete, 1 if one has failed."
    _add_names(parser, "KIND NAME, KIND/NAME or NAME")
    parser.add_argument(
        "--for",
        dest="goal",
        default="end",
        metavar="GOAL",
        help="end (the default), delete, state=STATE, condition=TYPE or condition=TYPE=STATUS",
    )
    parser.add_argument(
        "--timeout", type=_parse_seconds, metavar="TIME", help="such as 90s or 2h30m (default: no limit)"
    )


def _add_suspend(parser: argparse.ArgumentParser) -> None:
    _add_names(parser, "KIND NAME, KIND/NAME or NAME")


def _add_resume(parser: argparse.ArgumentParser) -> None:
    _add_names(parser, "KIND NAME, KIND/NAME or NAME")


def _add_delete(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Delete resources and their pods. Checkpoints, models and datasets stay, unless --data is given."
    )
    _add_names(parser, "KIND NAME, KIND/NAME or NAME")
    parser.add_argument(
        "--data",
        action="store_true",
        help="also delete what they wrote to volumes and object stores, after a question that shows its size",
    )
    _add_yes(parser)


def _add_yes(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("-y", "--yes", action="store_true", help="do not ask")


def _add_report(parser: argparse.ArgumentParser) -> None:
    action: Any = parser.add_argument(
        "words", nargs="*", metavar="NAME", help="KIND NAME, KIND/NAME or NAME (default: all)"
    )
    action.completer = complete_names
    parser.add_argument(
        "-o", "--output", type=Path, default=Path("report.html"), metavar="FILE", help="default: %(default)s"
    )


def _add_compare(parser: argparse.ArgumentParser) -> None:
    parser.description = "Show which settings and results of TrainingRuns differ, and write a page with their curves."
    _add_names(parser, "names of at least two TrainingRuns, or KIND/NAME of each")
    parser.add_argument(
        "-o", "--output", type=Path, default=Path("comparison.html"), metavar="FILE", help="default: %(default)s"
    )


def _add_cost(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Show what resources have cost, useful and lost apart. With -f: estimate what the resources of files will "
        "cost, from those that have ended. Nothing is started, unless --calibrate is given."
    )
    action: Any = parser.add_argument(
        "words", nargs="*", metavar="NAME", help="KIND NAME, KIND/NAME or NAME (default: all)"
    )
    action.completer = complete_names
    _add_files(parser, "resources that are not applied yet", required=False)
    _add_prices(parser)
    parser.add_argument(
        "--documents", type=_parse_count, metavar="N", help="with -f: size of each source, if it is not known"
    )
    parser.add_argument(
        "--calibrate",
        action="store_true",
        help="with -f: render the first rows of each source here",
    )


def _add_ui(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Show generations and runs with their progress, curves, samples and logs as pages in a browser, until Ctrl-C. "
        "The pages change nothing. By default, only this machine can reach them: they have no login."
    )
    parser.add_argument("--host", default=DEFAULT_HOST, metavar="ADDRESS", help="listen here (default: %(default)s)")
    parser.add_argument(
        "--port", type=_parse_port, default=DEFAULT_PORT, metavar="N", help="0 for any (default: %(default)s)"
    )
    parser.add_argument("-A", "--all-namespaces", action="store_true", help="of all namespaces")


def _add_prune(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Remove what TrainingRuns that have ended left on volumes and in object stores: unfinished saves and damaged "
        "checkpoints; of complete runs also all checkpoints but the newest and the best, and features of pages. With "
        "--older-than, everything of resources that ended longer ago: the resources, their datasets, checkpoints and "
        "models, and here their logs. Asks first."
    )
    parser.add_argument(
        "--older-than", type=_parse_seconds, metavar="TIME", help="such as 30d: remove resources that ended before"
    )
    action: Any = parser.add_argument(
        "words", nargs="*", metavar="NAME", help="KIND NAME, KIND/NAME or NAME (default: all)"
    )
    action.completer = complete_names
    _add_yes(parser)


def _add_completion(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Print a script that completes commands, options and names: source <(deepsynth completion bash)"
    )
    parser.add_argument("shell", choices=SHELLS, metavar="SHELL", help=f"of {', '.join(SHELLS)}")


def _add_template(parser: argparse.ArgumentParser) -> None:
    kinds = parser.add_subparsers(dest="template", required=True, metavar="WHAT")
    dataset = kinds.add_parser("dataset", help="a DatasetGeneration from each preset")
    dataset.add_argument(
        "presets", nargs="+", metavar="PRESET", help="names of presets, or all; `deepsynth datasets` lists them"
    )
    dataset.add_argument("--max-rows", type=_parse_count, metavar="N", help="only the first N rows of each split")
    training = kinds.add_parser("training", help="a TrainingRun on datasets from presets")
    training.add_argument("presets", nargs="+", metavar="PRESET", help="names of presets, or all")
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


def _parse_index(text: str) -> int:
    if not text.isdigit():
        raise argparse.ArgumentTypeError(f"must be an integer of at least 0, got {text!r}")
    return int(text)


def _parse_port(text: str) -> int:
    if not (text.isdigit() and int(text) < 65536):
        raise argparse.ArgumentTypeError(f"must be an integer from 0 to 65535, got {text!r}")
    return int(text)


def _parse_seconds(text: str) -> float:
    try:
        return parse_duration(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error
