"""The `deepsynth` command: one function per subcommand, and the one place that turns errors into exit codes."""

import os
import sys
import traceback
from argparse import Namespace
from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import version
from typing import Final

from deepsynth_api.errors import WorkloadError
from deepsynth_api.exit_codes import ExitCode
from deepsynth_api.kinds import KINDS
from deepsynth_local.command_line import FAILED, INTERRUPTED, build_parser
from deepsynth_local.runs.resource_store import ResourceStore
from deepsynth_local.runs.runs_folder import RunsFolder
from deepsynth_local.stored_resources import KIND_NAMES, NotFoundError, delete_resource, get_resources
from deepsynth_local.templates import build_generations, build_run, format_presets, format_resource


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns its exit code."""
    try:
        chosen = build_parser().parse_args(arguments)
    except SystemExit as error:
        return ExitCode.BAD_CONFIGURATION if error.code else ExitCode.DONE
    try:
        return COMMANDS[chosen.command](chosen)
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        # The reader closed the pipe, as `head` does. Without this Python reports the error once more when it exits.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return ExitCode.DONE
    except Exception as error:  # noqa: BLE001 - users see a traceback only with --debug
        return report_error(error, debug=chosen.debug)


def run_local(chosen: Namespace) -> int:
    from deepsynth_local.local_run import run_files  # slow to import, and the other commands do not need it

    return run_files(chosen.files, RunsFolder.open(chosen.runs))


def get(chosen: Namespace) -> int:
    kinds = [KIND_NAMES[chosen.kind]] if chosen.kind else list(KINDS)
    store = ResourceStore(RunsFolder(chosen.runs.resolve()))
    text = get_resources(store, kinds, chosen.name, chosen.output)
    print(text) if text else print(f"No resources found in {store.runs.path}", file=sys.stderr)
    return ExitCode.DONE


def delete(chosen: Namespace) -> int:
    print(delete_resource(ResourceStore(RunsFolder.open(chosen.runs)), KIND_NAMES[chosen.kind], chosen.name))
    return ExitCode.DONE


def list_datasets(_chosen: Namespace) -> int:
    print(format_presets())
    return ExitCode.DONE


def print_template(chosen: Namespace) -> int:
    if chosen.template == "dataset":
        resources = build_generations(chosen.presets, chosen.max_rows, os.environ)
    else:
        resources = [build_run(chosen.presets, chosen.model, chosen.gpus, os.environ)]
    print("---\n".join(map(format_resource, resources)), end="")
    return ExitCode.DONE


def fit(chosen: Namespace) -> int:
    from deepsynth_local.memory_fit import fit_files  # slow to import

    text = fit_files(
        chosen.files,
        RunsFolder(chosen.runs.resolve()),
        pages=chosen.pages,
        label_tokens=chosen.label_tokens,
        compare=chosen.compare,
        output=chosen.output,
    )
    print(text)
    return ExitCode.DONE


def predict(chosen: Namespace) -> int:
    from deepsynth_local.prediction import predict_files  # slow to import

    predict_files(chosen)
    return ExitCode.DONE


def evaluate(chosen: Namespace) -> int:
    from deepsynth_local.model_evaluation import evaluate as evaluate_model  # slow to import

    print(evaluate_model(chosen))
    return ExitCode.DONE


def print_version(_chosen: Namespace) -> int:
    print(version("deepsynth-operator"))
    return ExitCode.DONE


def report_error(error: Exception, *, debug: bool) -> int:
    """Print what went wrong, as one line unless `debug`; returns the exit code."""
    if debug:
        traceback.print_exception(error)
    if isinstance(error, WorkloadError):
        print(f"error: {error.message}", file=sys.stderr)
        return FAILED if isinstance(error, NotFoundError) else error.exit_code
    defect = f"{type(error).__name__}: {error}; this is a bug, run again with --debug to see the traceback"
    print(f"error: {defect}", file=sys.stderr)
    return ExitCode.INTERNAL


COMMANDS: Final[Mapping[str, Callable[[Namespace], int]]] = {
    "local": run_local,
    "get": get,
    "delete": delete,
    "datasets": list_datasets,
    "template": print_template,
    "fit": fit,
    "predict": predict,
    "evaluate": evaluate,
    "version": print_version,
}

if __name__ == "__main__":
    sys.exit(main())
