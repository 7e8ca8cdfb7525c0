"""What users should do about a resource that has failed."""

from typing import Any

import pytest

from deepsynth_api.reasons import Reason
from deepsynth_client.remedies import describe_retry, find_remedy


def a_failed(kind: str, reason: str, **status: Any) -> dict[str, Any]:
    failed = {"type": "Failed", "status": "True", "reason": reason, "message": "m"}
    return {"kind": kind, "metadata": {"name": "x"}, "status": {"conditions": [failed], **status}}


@pytest.mark.parametrize("reason", ["BadConfiguration", "BadData", "OutOfMemory", "NonFiniteLoss"])
def test_a_cause_in_the_settings_is_not_met_by_more_attempts(reason: str) -> None:
    retry = describe_retry(a_failed("TrainingRun", reason), "deepsynth delete trun/x")
    assert "backoffLimit" not in retry
    assert retry.startswith("the same settings would fail again: correct the file and apply it")
    assert "`deepsynth delete trun/x`" in retry


@pytest.mark.parametrize("reason", ["HubUnavailable", "Hung", "DiskFull", "HubRefused", "SomebodysWord"])
def test_a_cause_that_passes_or_is_fixed_elsewhere_needs_another_attempt(reason: str) -> None:
    assert "raise spec.backoffLimit" in describe_retry(a_failed("TrainingRun", reason), "deepsynth delete trun/x")


def test_the_cause_behind_too_many_failures_is_that_of_the_last_one() -> None:
    attempts = [{"number": 1, "reason": "HubUnavailable"}, {"number": 2, "reason": "OutOfMemory"}]
    run = a_failed("TrainingRun", "BackoffLimitExceeded", attempts=attempts)
    assert find_remedy(run) == f"OutOfMemory: {Reason.OUT_OF_MEMORY.remedy}"
    assert "backoffLimit" not in describe_retry(run, "d")


def test_a_generation_starts_again_only_after_it_is_deleted() -> None:
    generation = a_failed("DatasetGeneration", "ShardsFailed", lastFailure={"step": "render", "reason": "DiskFull"})
    assert find_remedy(generation) == f"DiskFull: {Reason.DISK_FULL.remedy}"
    assert "delete it (`deepsynth delete dsg/x`)" in describe_retry(generation, "deepsynth delete dsg/x")


def test_words_of_others_have_no_remedy() -> None:
    assert not find_remedy(a_failed("TrainingRun", "SomebodysWord"))
