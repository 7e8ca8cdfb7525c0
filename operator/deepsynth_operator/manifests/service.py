"""The headless Service that gives the pods of an attempt their names, `<job>-<rank>.<job>`."""

from typing import Any

from deepsynth_api.v1alpha1 import TrainingRun
from deepsynth_api.workload import RENDEZVOUS_PORT
from deepsynth_operator.core.observed import JOB_NAME_LABEL
from deepsynth_operator.manifests.child import build_metadata


def build_service(run: TrainingRun, job: str) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": build_metadata(run, "train", job),
        "spec": {
            "clusterIP": "None",
            # The ranks must find each other to become ready at all.
            "publishNotReadyAddresses": True,
            "selector": {JOB_NAME_LABEL: job},
            "ports": [{"name": "rendezvous", "port": RENDEZVOUS_PORT}],
        },
    }
