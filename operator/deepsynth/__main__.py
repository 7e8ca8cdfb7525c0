"""The `deepsynth` command: one function per subcommand, and the one place that turns errors into exit codes."""

import atexit
import gc
import os
import sys
import traceback
from argparse import Namespace
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Final

# Else pydantic reads the entry points of each installed package, which takes as long as importing pydantic.
os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")

from deepsynth.command_line.parser import build_parser
from deepsynth.completing import build_choice, build_script, complete
from deepsynth.place import PLUGIN, open_resources
from deepsynth.verbs.names import find_one
from deepsynth.verbs.templates import build_generations, build_run, describe_run, format_presets, format_resource
from deepsynth_api.errors import WorkloadError
from deepsynth_api.exit_codes import ExitCode
from deepsynth_client.errors import ClientError, CommandExit, InvalidError
from deepsynth_client.interface import Resources, Selection
from deepsynth_local.runs.runs_folder import DEFAULT_RUNS, RunsFolder

_EXTRAS: Final = (
    "run pip install 'deepsynth-operator[client]' to use a cluster, 'deepsynth-operator[train,local,render]' to run "
    "resources and models on this machine"
)
_OBJECTS_PER_COLLECTION: Final = 100_000
"""Cycles of garbage are rare in a command, and looking for them after 700 new objects takes a tenth of its time."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns its exit code."""
    gc.set_threshold(_OBJECTS_PER_COLLECTION)
    atexit.register(_skip_last_collection)
    parser = build_parser(PLUGIN if _is_plugin() else "deepsynth")
    if "_ARGCOMPLETE" in os.environ:
        complete(parser)
    try:
        chosen = parser.parse_args(arguments)
    except SystemExit as error:
        return CommandExit.INVALID if error.code else CommandExit.DONE
    try:
        return COMMANDS[chosen.command](chosen)
    except KeyboardInterrupt:
        return CommandExit.INTERRUPTED
    except BrokenPipeError:
        # The reader closed the pipe, as `head` does. Without this Python reports the error once more when it exits.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return CommandExit.DONE
    except Exception as error:  # noqa: BLE001 - users see a traceback only with --debug
        return report_error(error, debug=chosen.debug)


def _skip_last_collection() -> None:
    """Python would look at all objects once more before it frees them. Torch reports those that are not freed."""
    if "torch" not in sys.modules:
        gc.freeze()


def run_local(chosen: Namespace) -> int:
    from deepsynth_local.local_run import run_files  # slow to import, and the other commands do not need it

    return run_files(chosen.files, RunsFolder(chosen.runs.resolve()), chosen.prices)


def apply(chosen: Namespace) -> int:
    from deepsynth.verbs.apply import apply_files

    return _print(apply_files(_open(chosen), chosen.files, force=chosen.force_conflicts))


def get(chosen: Namespace) -> int:
    from deepsynth.verbs.get import Query, get_resources, watch_resources

    selection = Selection(chosen.selector, chosen.field_selector, all_namespaces=chosen.all_namespaces)
    query = Query(chosen.words, selection, chosen.output)
    resources = _open(chosen)
    if chosen.watch:
        return _print(watch_resources(resources, query))
    text = get_resources(resources, query)
    print(text) if text else _say(f"No resources found in {resources.place}")
    return CommandExit.DONE


def describe(chosen: Namespace) -> int:
    from deepsynth.verbs.describe import describe as describe_resource

    resources = _open(chosen)
    found = find_one(resources, chosen.words)
    print(describe_resource(resources, found, datetime.now(UTC), build_choice(chosen).options))
    return CommandExit.DONE


def logs(chosen: Namespace) -> int:
    from deepsynth.verbs.logs import LogQuery, read_logs

    query = LogQuery(chosen.attempt, chosen.previous, chosen.rank, chosen.follow)
    resources = _open(chosen)
    return _print(read_logs(resources, find_one(resources, chosen.words), query, _say))


def wait(chosen: Namespace) -> int:
    from deepsynth.verbs.waiting import wait_for_all

    resources = _open(chosen)
    return wait_for_all(resources, chosen.words, chosen.goal, chosen.timeout, _say)


def suspend(chosen: Namespace) -> int:
    from deepsynth.verbs.lifecycle import suspend_resources

    return _print(suspend_resources(_open(chosen), chosen.words, suspend=chosen.command == "suspend"))


def delete(chosen: Namespace) -> int:
    from deepsynth.verbs.lifecycle import delete_resources

    ask = partial(_ask, is_agreed=chosen.yes)
    return _print(delete_resources(_open(chosen), chosen.words, with_data=chosen.data, ask=ask))


def report(chosen: Namespace) -> int:
    from deepsynth.verbs.reporting import report_resources

    path: Path = report_resources(_open(chosen), chosen.words, chosen.output, _say)
    print(f"report: {path}")
    return CommandExit.DONE


def compare(chosen: Namespace) -> int:
    from deepsynth.verbs.compare import compare as compare_runs
    from deepsynth.verbs.compare import format_comparison, write_comparison

    resources = _open(chosen)
    comparison = compare_runs(resources, chosen.words, _say)
    print(format_comparison(comparison))
    print(f"curves: {write_comparison(comparison, resources.place, chosen.output)}")
    return CommandExit.DONE


def cost(chosen: Namespace) -> int:
    if bool(chosen.words) and bool(chosen.files):
        raise InvalidError("must have names or -f FILE, not both")
    resources = _open(chosen)
    if chosen.files:
        from deepsynth_local.cost_estimate.estimating import Options, estimate_files  # slow to import

        folder = RunsFolder(Path(chosen.runs or DEFAULT_RUNS).resolve())
        options = Options(chosen.prices, chosen.documents, chosen.calibrate)
        print(estimate_files(chosen.files, resources, folder, options))
        return CommandExit.DONE
    if chosen.prices or chosen.documents or chosen.calibrate:
        raise InvalidError("--prices, --documents, --calibrate: need -f FILE; resources keep the prices of their start")
    from deepsynth.verbs.cost import list_costs

    text = list_costs(resources, chosen.words)
    print(text) if text else _say(f"No resources found in {resources.place}")
    return CommandExit.DONE


def ui(chosen: Namespace) -> int:
    from deepsynth_ui.server import serve  # slow to import

    serve(_open(chosen), Selection(all_namespaces=chosen.all_namespaces), chosen.host, chosen.port, _say)
    return CommandExit.DONE


def prune(chosen: Namespace) -> int:
    from deepsynth.verbs.prune import prune as prune_runs
    from deepsynth.verbs.prune_old import prune_old

    resources, ask = _open(chosen), partial(_ask, is_agreed=chosen.yes)
    if chosen.older_than is None:
        return _print(prune_runs(resources, chosen.words, ask))
    return _print(prune_old(resources, chosen.words, timedelta(seconds=chosen.older_than), datetime.now(UTC), ask))


def list_datasets(_chosen: Namespace) -> int:
    print(format_presets())
    return CommandExit.DONE


def print_template(chosen: Namespace) -> int:
    if chosen.template == "dataset":
        resources = build_generations(chosen.presets, chosen.max_rows, os.environ)
    else:
        resources = [build_run(chosen.presets, chosen.model, chosen.gpus, os.environ)]
        print(describe_run(chosen.model, chosen.gpus), end="")
    print("---\n".join(map(format_resource, resources)), end="")
    return CommandExit.DONE


def fit(chosen: Namespace) -> int:
    from deepsynth_local.memory_fit import fit_files  # slow to import

    text = fit_files(
        chosen.files,
        RunsFolder(chosen.runs.resolve()),
        pages=chosen.pages,
        label_tokens=chosen.label_tokens,
        compare=chosen.compare,
        output=chosen.output,
        show=_say,
    )
    print(text)
    return CommandExit.DONE


def predict(chosen: Namespace) -> int:
    from deepsynth_local.prediction import predict_files  # slow to import

    predict_files(chosen)
    return CommandExit.DONE


def evaluate(chosen: Namespace) -> int:
    from deepsynth_local.model_evaluation import evaluate as evaluate_model  # slow to import

    print(evaluate_model(chosen))
    return CommandExit.DONE


def print_completion(chosen: Namespace) -> int:
    print(build_script(chosen.shell))
    return CommandExit.DONE


def print_version(_chosen: Namespace) -> int:
    from importlib.metadata import version  # slow to import

    print(version("deepsynth-operator"))
    return CommandExit.DONE


def report_error(error: Exception, *, debug: bool) -> int:
    """Print what went wrong, as one line unless `debug`; returns the exit code."""
    if debug:
        traceback.print_exception(error)
    if isinstance(error, WorkloadError | ClientError):
        _say(f"error: {error.message}")
        return error.exit_code
    package = str(error.name).partition(".")[0] if isinstance(error, ModuleNotFoundError) else "deepsynth"
    if not package.startswith("deepsynth"):
        _say(f"error: the package {package} is not installed; {_EXTRAS}")
        return ExitCode.BAD_CONFIGURATION
    defect = f"{type(error).__name__}: {error}; this is a bug, run again with --debug to see the traceback"
    _say(f"error: {defect}")
    return CommandExit.DEFECT


def _open(chosen: Namespace) -> Resources:
    """The resources of the place that was chosen, after a line about it on stderr, so that the output can be piped."""
    resources = open_resources(build_choice(chosen), is_plugin=_is_plugin())
    _say(resources.place)
    return resources


def _is_plugin() -> bool:
    """Whether kubectl has started this as its plugin."""
    return Path(sys.argv[0]).name == "kubectl-deepsynth"


def _print(lines: Iterable[str]) -> int:
    for line in lines:
        print(line, flush=True)
    return CommandExit.DONE


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _ask(question: str, *, is_agreed: bool) -> bool:
    """Raises InvalidError where nobody can answer."""
    _say(question)
    if is_agreed:
        return True
    if not sys.stdin.isatty():
        raise InvalidError("nobody can answer here; add --yes to do it without a question")
    return input("Continue? [y/N] ").strip().lower() in {"y", "yes"}


COMMANDS: Final[Mapping[str, Callable[[Namespace], int]]] = {
    "local": run_local,
    "apply": apply,
    "get": get,
    "describe": describe,
    "logs": logs,
    "wait": wait,
    "suspend": suspend,
    "resume": suspend,
    "delete": delete,
    "report": report,
    "compare": compare,
    "cost": cost,
    "ui": ui,
    "prune": prune,
    "datasets": list_datasets,
    "template": print_template,
    "fit": fit,
    "predict": predict,
    "evaluate": evaluate,
    "completion": print_completion,
    "version": print_version,
}

if __name__ == "__main__":
    sys.exit(main())
