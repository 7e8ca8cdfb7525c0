"""The Jobs that a status names: attempts of a TrainingRun, Jobs of the steps of a DatasetGeneration."""

from collections.abc import Mapping
from typing import Any


def list_entries(status: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Entries of status.attempts, or of status.jobs and status.ahead, in the order in which they began.

    An attempt names its Job in `job`, a Job of a step in `name`.
    """
    ahead = (status.get("ahead") or {}).get("job")
    jobs = [*(status.get("jobs") or []), *([ahead] if ahead else [])]
    return [*(status.get("attempts") or []), *sorted(jobs, key=lambda job: str(job["startTime"]))]
