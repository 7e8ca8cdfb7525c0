"""The parser of the `deepsynth` command, with its verbs in the order in which the help lists them.

A new verb also needs its function in `__main__.COMMANDS`.
"""

import argparse
from pathlib import Path
from typing import Final

from deepsynth.command_line import changing, models, printing, shared, showing
from deepsynth_local.runs.runs_folder import DEFAULT_RUNS

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
    parser: argparse.ArgumentParser = shared.CommandParser(
        prog=program,
        description="Render text into page images and train vision-language models on them, in a cluster or here.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("--debug", action="store_true", help="print a traceback when an error occurs")
    stored = argparse.ArgumentParser(add_help=False, parents=[common])
    shared.add_runs(stored, default=Path(DEFAULT_RUNS))
    placed = argparse.ArgumentParser(add_help=False, parents=[common])
    shared.add_place(placed)
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    changing.add_local(commands.add_parser("local", parents=[stored], help="run resources on this machine"))
    changing.add_apply(commands.add_parser("apply", parents=[placed], help="create resources, or change them"))
    showing.add_get(commands.add_parser("get", parents=[placed], help="list resources"))
    showing.add_describe(commands.add_parser("describe", parents=[placed], help="show a resource and what to do next"))
    showing.add_logs(commands.add_parser("logs", parents=[placed], help="show what a process printed"))
    showing.add_wait(commands.add_parser("wait", parents=[placed], help="wait until resources have ended"))
    changing.add_suspend(commands.add_parser("suspend", parents=[placed], help="save and stop, to continue later"))
    changing.add_resume(commands.add_parser("resume", parents=[placed], help="continue suspended resources"))
    changing.add_delete(commands.add_parser("delete", parents=[placed], help="delete resources but keep their data"))
    showing.add_report(commands.add_parser("report", parents=[placed], help="write an HTML page about resources"))
    showing.add_compare(commands.add_parser("compare", parents=[placed], help="show what differs between runs"))
    showing.add_cost(
        commands.add_parser("cost", parents=[placed], help="show what resources cost, or estimate it before")
    )
    showing.add_ui(commands.add_parser("ui", parents=[placed], help="show resources as pages in a browser"))
    changing.add_prune(
        commands.add_parser("prune", parents=[placed], help="remove what ended runs left on volumes and in stores")
    )
    commands.add_parser("datasets", parents=[common], help="list the presets of DatasetGeneration")
    printing.add_template(
        commands.add_parser("template", parents=[common], help="print a resource as YAML, to run or to edit")
    )
    models.add_fit(
        commands.add_parser("fit", parents=[stored], help="estimate the GPU memory that a TrainingRun needs")
    )
    models.add_predict(
        commands.add_parser("predict", parents=[stored], help="read images, PDF or text files with a model")
    )
    models.add_evaluate(
        commands.add_parser("evaluate", parents=[stored], help="measure how well a model reads a dataset")
    )
    printing.add_completion(
        commands.add_parser("completion", parents=[common], help="print a completion script for a shell")
    )
    commands.add_parser("version", parents=[common], help="print the version")
    return parser
