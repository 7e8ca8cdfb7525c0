"""A decision is made even if what pods report breaks a policy.

Pods run code of users. If one of their values raises where nobody expected it, the resource must still be suspended,
deleted, or stopped at its deadline. So a decision that raises is made again from less:

    everything  ->  without the pods' reports and messages  ->  without the pods

What was given up is in the log as an error with its traceback: it is a defect.
"""

import logging
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from typing import Any, Final, TypeVar

from deepsynth_operator.core.observed import Children, ObservedGeneration, ObservedPod, ObservedRun
from deepsynth_operator.core.settings import Settings
from deepsynth_operator.decisions.shared.decision import Decision

Observed = TypeVar("Observed", ObservedRun, ObservedGeneration)
_UNUSABLE: Final = "its report could not be used"
_logger = logging.getLogger(__name__)


def decide_safely(
    decide: Callable[[Observed, Settings, datetime], Decision[Any]],
    observed: Observed,
    settings: Settings,
    now: datetime,
) -> Decision[Any]:
    """What `decide` returns. Raises its error only if it raises without any pod too."""
    for kept, children in (
        ("pods without their reports", _drop_reports(observed.children)),
        ("no pods", Children(jobs=observed.children.jobs)),
    ):
        try:
            return decide(observed, settings, now)
        except Exception:
            _logger.exception("a decision failed; deciding again with %s", kept)
            observed = replace(observed, children=children)
    return decide(observed, settings, now)


def _drop_reports(children: Children) -> Children:
    return Children(jobs=children.jobs, pods=tuple(map(_drop_report, children.pods)))


def _drop_report(pod: ObservedPod) -> ObservedPod:
    message = _UNUSABLE if pod.message or pod.report else ""
    return replace(pod, report=None, message=message, waiting_message="", disruption_message="")
