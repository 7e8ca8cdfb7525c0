"""Why no node takes a pod, in the scheduler's words."""

import pytest

from deepsynth_operator.core.observed import ObservedPod

NO_CLAIM = '0/3 nodes are available: persistentvolumeclaim "data" not found'


@pytest.mark.parametrize(
    ("message", "shown"),
    [
        (f"{NO_CLAIM}. not found", NO_CLAIM),
        (f"{NO_CLAIM}. not found.", NO_CLAIM),
        (NO_CLAIM, NO_CLAIM),
        ("0/3 nodes: 3 Insufficient cpu. preemption: none.", "0/3 nodes: 3 Insufficient cpu. preemption: none."),
        ("", ""),
    ],
)
def test_words_that_the_scheduler_repeats_are_shown_once(message: str, shown: str) -> None:
    condition = {"type": "PodScheduled", "status": "False", "message": message}
    pod = {"metadata": {"name": "a", "uid": "u"}, "status": {"conditions": [condition]}}

    assert ObservedPod.parse(pod).unschedulable == shown
