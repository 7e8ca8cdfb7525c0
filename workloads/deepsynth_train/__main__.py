"""The launcher: `python -m deepsynth_train --document FILE`."""

import argparse
import signal
import sys
from datetime import UTC, datetime
from pathlib import Path

from deepsynth_api.errors import ConfigurationError, WorkloadError
from deepsynth_api.exit_codes import ExitCode
from deepsynth_api.report import Report, fit_report
from deepsynth_api.workload import DOCUMENT_PATH, TrainWorkload


def main(arguments: list[str] | None = None) -> int:
    """Returns the exit code (deepsynth_api.exit_codes)."""
    # As PID 1 a process ignores the signals it has no handler for.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(ExitCode.STOPPED))
    parser = argparse.ArgumentParser(prog="deepsynth_train", description="Run one attempt of a TrainingRun.")
    parser.add_argument("--document", type=Path, default=Path(DOCUMENT_PATH), help="JSON document of the attempt")
    document: Path = parser.parse_args(arguments).document
    from deepsynth_train.launcher.start import Launch, build_worker_command

    try:
        launch = Launch(read_document(document), lambda folder: build_worker_command(document, folder))
    except WorkloadError as error:
        return report_refusal(error)
    return launch.run()


def read_document(path: Path) -> TrainWorkload:
    """Raises ConfigurationError when the file cannot be read or does not fit the type."""
    try:
        return TrainWorkload.parse(path.read_bytes())
    except OSError as error:
        raise ConfigurationError(f"--document: {path} cannot be read: {error.strerror}") from error


def report_refusal(error: WorkloadError) -> int:
    """For errors before there is anything to run."""
    from deepsynth_train.launcher.reports import write_termination_message
    from deepsynth_train.launcher.start import describe_error
    from deepsynth_train.run_folder import say

    say(f"{error.message} ({error.reason}, exit code {int(error.exit_code)})")
    write_termination_message(fit_report(Report(step="train", time=datetime.now(UTC), failure=describe_error(error))))
    return int(error.exit_code)


if __name__ == "__main__":
    sys.exit(main())
