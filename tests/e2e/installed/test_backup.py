"""The commands of docs/operations/backup.md: a run whose resource was lost continues from its checkpoints."""

import os
import subprocess
from pathlib import Path

import pytest

from deepsynth_cluster.clusters.interface import Cluster
from deepsynth_cluster.programs.build import program
from deepsynth_demo.chart import RELEASE, SYSTEM_NAMESPACE
from e2e.support.installation import Installation
from e2e.support.lives import RunLife
from e2e.support.resources import build_run

pytestmark = pytest.mark.slow
BACKUP = "kubectl --namespace {} get trainingruns {} --output yaml | sed '/^  uid: /d; /^  resourceVersion: /d' > {}"
STOP, START = (f"kubectl --namespace {SYSTEM_NAMESPACE} scale deployment {RELEASE} --replicas={n}" for n in (0, 1))


@pytest.mark.parametrize("with_status", [False, True], ids=["without its status", "with its status"])
def test_a_lost_run_continues_from_its_backup(
    with_status: bool, installation: Installation, undisturbed: str, tmp_path: Path
) -> None:
    name, file = ("remembered" if with_status else "forgotten"), tmp_path / "resources.yaml"
    life = RunLife.begin(installation.api, installation.volume, build_run(name))
    uid = life.wait_for_saved_step(10).metadata.uid
    shell(installation.cluster, BACKUP.format(installation.api.namespace, name, file))
    installation.api.delete("TrainingRun", name)
    installation.wait_for_no_pods(name, uid)
    if with_status:
        replace = f"kubectl replace --subresource=status --filename {file}"
        shell(installation.cluster, f"{STOP} && kubectl apply --filename {file} && {replace} && {START}")
    else:
        shell(installation.cluster, f"kubectl apply --filename {file}")
    restored = RunLife(installation.api, name, installation.volume)
    assert restored.wait_for_model() == undisturbed
    status = restored.run.status
    assert [attempt.outcome for attempt in status.attempts] == ["Disrupted", "Succeeded"][not with_status :]
    assert (status.attempts[-1].resumed_from_step or 0) >= 10
    assert status.failures == 0


def shell(cluster: Cluster, command: str) -> None:
    path = f"{program('kubectl').parent}:{os.environ['PATH']}"
    environment = {**os.environ, "KUBECONFIG": str(cluster.kubeconfig), "PATH": path}
    subprocess.run(["bash", "-ec", command], env=environment, check=True, timeout=120)
