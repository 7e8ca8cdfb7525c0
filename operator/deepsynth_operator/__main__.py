"""`python -m deepsynth_operator`: run the operator on a cluster, configured by environment variables."""

import asyncio
import sys

from deepsynth_api.errors import ConfigurationError
from deepsynth_api.exit_codes import ExitCode
from deepsynth_operator.core.errors import LeadershipLost
from deepsynth_operator.core.settings import Settings
from deepsynth_operator.process.logs import configure_logs
from deepsynth_operator.process.settings import ProcessSettings
from deepsynth_operator.process.startup import run_operator


def main() -> int:
    """Run until SIGTERM or SIGINT. Returns the exit code: 0, that of a ConfigurationError, or 75 to be restarted."""
    try:
        settings, process = Settings.from_environment(), ProcessSettings.from_environment()
        configure_logs(process.log_format, process.log_level)
        asyncio.run(run_operator(settings, process))
    except ConfigurationError as error:
        print(f"deepsynth-operator: {error.message}", file=sys.stderr)
        return error.exit_code
    except LeadershipLost as error:
        print(f"deepsynth-operator: stopping, to start again as a candidate: {error}", file=sys.stderr)
        return ExitCode.TRY_AGAIN
    return 0


if __name__ == "__main__":
    sys.exit(main())
