"""Why there is no further attempt after the last one, which is over. The order of the policies is in `policies.py`."""

from collections.abc import Mapping
from typing import Final

from deepsynth_api.counted import counted
from deepsynth_api.exit_codes import PERMANENT, ExitCode
from deepsynth_api.reasons import Reason
from deepsynth_api.v1alpha1 import Attempt
from deepsynth_operator.decisions.shared.decision import Verdict
from deepsynth_operator.decisions.shared.ends import find_deadline_verdict
from deepsynth_operator.decisions.training_run.attempts import describe_attempt
from deepsynth_operator.decisions.training_run.view import RunView

MAX_ATTEMPTS_WITHOUT_PROGRESS: Final = 10
_NEVER_STARTS: Final[Mapping[str, str]] = {
    Reason.INVALID_IMAGE_NAME: "correct image",
    Reason.ERR_IMAGE_NEVER_PULL: "change image, or load it onto the nodes and raise backoffLimit",
    Reason.CREATE_CONTAINER_CONFIG_ERROR: "create what is missing and raise backoffLimit",
}
"""What no other pod can get past either, with the remedy. A registry that does not answer is temporary."""
_NOT_THERE: Final = ("not found", "does not exist", "has no such revision")
"""What the stores say of a dataset, or of its revision, that is not there."""


def exceeded_deadline(view: RunView) -> Verdict | None:
    return find_deadline_verdict(view.run, view.status.continued_time or view.status.start_time, view.now)


def permanent_exit_code(view: RunView) -> Verdict | None:
    last = view.last
    if last is None or last.outcome != "Failed" or last.exit_code not in PERMANENT:
        return None
    remedy = _describe_lost_pages(view, last) or "another attempt would fail in the same way"
    return Verdict(last.reason, f"{describe_attempt(last)}; {remedy}")


def _describe_lost_pages(view: RunView, last: Attempt) -> str:
    """The remedy where an attempt could not open what a DatasetGeneration had published; else nothing.

    The generation stays Complete: it does not look at its pages again.
    """
    uris = {dataset.name: dataset.uri for dataset in view.status.datasets}
    for dataset in view.run.spec.datasets:
        uri = uris.get(dataset.name)
        lost = tuple(f"spec.datasets[{dataset.name}].uri: {uri} {words}" for words in _NOT_THERE)
        is_lost = last.message.startswith((*lost, f"{uri} has changed: "))
        if dataset.dataset_generation_ref is not None and is_lost:
            return (
                f"DatasetGeneration {dataset.dataset_generation_ref.name} published these pages, and they were deleted "
                "or changed since: delete it and this run, and apply both again"
            )
    return ""


def never_starts(view: RunView) -> Verdict | None:
    last = view.last
    if last is None or last.outcome != "Failed" or last.exit_code is not None or last.reason not in _NEVER_STARTS:
        return None
    return Verdict(last.reason, f"{describe_attempt(last)}; {_NEVER_STARTS[last.reason]}; the run then continues")


def repeated_non_finite_loss(view: RunView) -> Verdict | None:
    last = view.last
    if last is None or last.reason != Reason.NON_FINITE_LOSS:
        return None
    earlier = [item.failed_step for item in view.status.attempts[:-1] if item.reason == Reason.NON_FINITE_LOSS]
    if last.failed_step not in earlier:
        return None
    remedy = "lower optimizer.learningRate, or set onNonFinite: skip"
    return Verdict(Reason.NON_FINITE_LOSS, f"the loss was not finite twice at step {last.failed_step}; {remedy}")


def repeated_full_memory(view: RunView) -> Verdict | None:
    """Counts only what a worker reported: a pod that the kernel killed may have other neighbours the next time."""
    last = view.last
    if last is None or not _ran_out_of_memory(last) or last.failed_step is None:
        return None
    earlier = [item.failed_step for item in view.status.attempts[:-1] if _ran_out_of_memory(item)]
    if last.failed_step not in earlier:
        return None
    return Verdict(
        Reason.OUT_OF_MEMORY, f"the memory was full twice after step {last.failed_step}; {describe_attempt(last)}"
    )


def _ran_out_of_memory(attempt: Attempt) -> bool:
    return attempt.reason == Reason.OUT_OF_MEMORY and attempt.exit_code == ExitCode.TRY_AGAIN


def too_many_failures(view: RunView) -> Verdict | None:
    if view.last is None or view.status.failures <= view.run.spec.backoff_limit:
        return None
    return Verdict(
        Reason.BACKOFF_LIMIT_EXCEEDED, f"{counted(view.status.failures, 'failure')}; {describe_attempt(view.last)}"
    )


def no_progress(view: RunView) -> Verdict | None:
    count = view.status.attempts_without_progress
    if view.last is None or count < MAX_ATTEMPTS_WITHOUT_PROGRESS:
        return None
    cause = describe_attempt(view.last)
    return Verdict(Reason.NO_PROGRESS, f"{count} attempts in a row ended without a new checkpoint; {cause}")
