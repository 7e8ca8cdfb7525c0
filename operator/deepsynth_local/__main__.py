"""The `deepsynth` command: each subcommand in a few lines, and the only place that turns errors into exit codes."""

import argparse
import os
import sys
import traceback
from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import version
from typing import Final

from deepsynth_api.errors import WorkloadError
from deepsynth_api.exit_codes import ExitCode
from deepsynth_api.kinds import KINDS
from deepsynth_local.command_line import build_parser
from deepsynth_local.get import KIND_NAMES, NotFoundError, get_resources
from deepsynth_local.runs.resource_store import DEFAULT_NAMESPACE, ResourceStore
from deepsynth_local.runs.runs_folder import RunsFolder
from deepsynth_local.templates import build_generation, build_run, format_presets, format_resource

FAILED: Final = 1
INTERRUPTED: Final = 130


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
        # The reader of a pipe has seen enough; without this Python complains once more at its exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return ExitCode.DONE
    except Exception as error:  # noqa: BLE001 - a person never sees a traceback that was not asked for
        return _report_error(error, debug=chosen.debug)


def run_local(chosen: argparse.Namespace) -> int:
    from deepsynth_local.local_run import (
        run_files,
    )  # rich and the controller cost start-up time that `get` need not pay

    return run_files(chosen.files, RunsFolder.open(chosen.runs))


def get(chosen: argparse.Namespace) -> int:
    kinds = [KIND_NAMES[chosen.kind]] if chosen.kind else list(KINDS)
    store = ResourceStore(RunsFolder(chosen.runs.resolve()))
    text = get_resources(store, kinds, chosen.name, chosen.output)
    print(text) if text else print(f"No resources found in {store.runs.path}", file=sys.stderr)
    return ExitCode.DONE


def delete(chosen: argparse.Namespace) -> int:
    kind, name = KIND_NAMES[chosen.kind], chosen.name
    store = ResourceStore(RunsFolder.open(chosen.runs))
    with store.runs.lock():
        if not store.delete(kind, DEFAULT_NAMESPACE, name):
            raise NotFoundError(f'{KINDS[kind].plural} "{name}" not found in {store.runs.path}')
    print(f'{kind.lower()} "{name}" deleted; its data in {store.runs.volumes} stays')
    return ExitCode.DONE


def list_datasets(_chosen: argparse.Namespace) -> int:
    print(format_presets())
    return ExitCode.DONE


def print_template(chosen: argparse.Namespace) -> int:
    if chosen.template == "dataset":
        resource = build_generation(chosen.preset, chosen.max_rows, os.environ)
    else:
        resource = build_run(chosen.presets, chosen.model, chosen.gpus, os.environ)
    print(format_resource(resource), end="")
    return ExitCode.DONE


def print_version(_chosen: argparse.Namespace) -> int:
    print(version("deepsynth-operator"))
    return ExitCode.DONE


def _report_error(error: Exception, *, debug: bool) -> int:
    if debug:
        traceback.print_exception(error)
    if isinstance(error, NotFoundError):
        print(f"error: {error.message}", file=sys.stderr)
        return FAILED
    if isinstance(error, WorkloadError):
        print(f"error: {error.message}", file=sys.stderr)
        return error.exit_code
    print(
        f"error: {type(error).__name__}: {error}; this is a defect, run again with --debug to see where",
        file=sys.stderr,
    )
    return ExitCode.INTERNAL


COMMANDS: Final[Mapping[str, Callable[[argparse.Namespace], int]]] = {
    "local": run_local,
    "get": get,
    "delete": delete,
    "datasets": list_datasets,
    "template": print_template,
    "version": print_version,
}

if __name__ == "__main__":
    sys.exit(main())
