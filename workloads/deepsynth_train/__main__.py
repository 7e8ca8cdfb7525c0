"""Entry of a pod: `python -m deepsynth_train --document FILE` starts the launcher."""

import argparse
import io
import signal
import sys
from datetime import UTC, datetime
from pathlib import Path

from deepsynth_api.errors import ConfigurationError, WorkloadError
from deepsynth_api.exit_codes import ExitCode
from deepsynth_api.report import Report
from deepsynth_api.report_fit import fit_report
from deepsynth_api.workload import DOCUMENT_PATH, TrainWorkload


def main(arguments: list[str] | None = None) -> int:
    """Returns the exit code (deepsynth_api.exit_codes)."""
    # PID 1 ignores signals that it has no handler for.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(ExitCode.STOPPED))
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(line_buffering=True)  # what the workers print passes through this process
    parser = argparse.ArgumentParser(prog="deepsynth_train", description="Run one attempt of a TrainingRun.")
    parser.add_argument("--document", type=Path, default=Path(DOCUMENT_PATH), help="JSON document of the attempt")
    document: Path = parser.parse_args(arguments).document
    from deepsynth_train.launcher.launch import Launch, build_worker_command
    from deepsynth_train.launcher.launcher_logs import configure_launcher_logs

    try:
        configure_launcher_logs()
        launch = Launch(read_document(document), lambda folder: build_worker_command(document, folder))
    except WorkloadError as error:
        return report_refusal(error)
    return launch.run()


def read_document(path: Path) -> TrainWorkload:
    """Raises ConfigurationError when the file cannot be read or is not a valid document."""
    try:
        return TrainWorkload.parse(path.read_bytes())
    except OSError as error:
        raise ConfigurationError(f"--document: cannot read {path}: {error.strerror}") from error


def report_refusal(error: WorkloadError) -> int:
    """Report an error that happened before there was anything to run. Returns its exit code."""
    from deepsynth_train.launcher.launch import describe_error
    from deepsynth_train.launcher.reports import say, write_termination_message

    say(f"{error.message} ({error.reason}, exit code {int(error.exit_code)})")
    write_termination_message(fit_report(Report(step="train", time=datetime.now(UTC), failure=describe_error(error))))
    return int(error.exit_code)


if __name__ == "__main__":
    sys.exit(main())
