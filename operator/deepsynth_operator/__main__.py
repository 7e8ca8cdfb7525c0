"""`python -m deepsynth_operator`: run the operator on a cluster, configured by environment variables."""

import asyncio
import sys

from deepsynth_api.errors import ConfigurationError
from deepsynth_operator.core.settings import Settings
from deepsynth_operator.process.logs import configure_logs
from deepsynth_operator.process.settings import ProcessSettings
from deepsynth_operator.process.startup import run_operator


def main() -> int:
    """Run until SIGTERM or SIGINT. Returns the exit code: 0, or that of a ConfigurationError."""
    try:
        settings, process = Settings.from_environment(), ProcessSettings.from_environment()
        configure_logs(process.log_format, process.log_level)
        asyncio.run(run_operator(settings, process))
    except ConfigurationError as error:
        print(f"deepsynth-operator: {error.message}", file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
