"""Faults of all kinds hit a run in real containers, in random order and at random moments. Its model stays the same.

DEEPSYNTH_CHAOS_SEED=7 DEEPSYNTH_CHAOS_KILLS=12 gives another campaign; the same seed gives the same faults.
"""

import os
import random
import time
from collections.abc import Callable, Mapping

import pytest

from deepsynth_cluster.clusters.interface import Faults
from e2e.support.installation import Installation
from e2e.support.kills import (
    Scene,
    delete_job,
    delete_pod,
    evict_pod,
    kill_operator,
    kill_worker,
    lose_node,
    suspend_and_resume,
)
from e2e.support.lives import RunLife, describe
from e2e.support.resources import build_run

SEED = int(os.environ.get("DEEPSYNTH_CHAOS_SEED", "1"))
KILLS = int(os.environ.get("DEEPSYNTH_CHAOS_KILLS", "8"))
MAX_PAUSE = 3.0
STEPS = 120 * KILLS
"""More than pass before the fault and the pause, and between two looks at status, on a quiet machine."""
LAST_STEP = STEPS - 120
"""No fault begins later, because the run may end before it."""
FAULTS: Mapping[str, Callable[[Scene], object]] = {
    "a deleted pod": delete_pod,
    "an evicted pod": evict_pod,
    "a killed worker": kill_worker,
    "a deleted Job": delete_job,
    "a suspension": suspend_and_resume,
    "a killed operator": kill_operator,
    "a lost node": lose_node,
    "a restarted API server": lambda scene: scene.faults.restart_api_server(),
    "a restarted controller manager": lambda scene: scene.faults.restart_controller_manager(),
}


def begin(installation: Installation, name: str) -> RunLife:
    run = build_run(name, maxSteps=STEPS, backoffLimit=KILLS)
    return RunLife.begin(installation.api, installation.volume, run)


@pytest.mark.slow
def test_after_random_faults_in_a_row_a_run_ends_with_the_weights_of_an_undisturbed_one(
    installation: Installation, faults: Faults
) -> None:
    expected = begin(installation, "no-kills").wait_for_model()
    draws, done, saved = random.Random(SEED), list[str](), 0
    life = begin(installation, "random-kills")
    scene = Scene(installation, faults, life)
    for _ in range(KILLS):
        saved = life.wait_for_saved_step(saved + 5).status.saved_step
        if saved > LAST_STEP:
            break
        time.sleep(draws.uniform(0, MAX_PAUSE))
        fault = draws.choice(list(FAULTS))
        print(f"{fault} after step {saved}", flush=True)
        FAULTS[fault](scene)
        done.append(fault)
    assert life.wait_for_model() == expected, done
    assert len(done) > KILLS / 2, done
    status = life.run.status
    assert status.failures == done.count("a killed worker"), (done, describe(life.run))
    resumed = [attempt.resumed_from_step for attempt in status.attempts if attempt.resumed_from_step]
    assert resumed == sorted(resumed), "no attempt begins before the one before it"
