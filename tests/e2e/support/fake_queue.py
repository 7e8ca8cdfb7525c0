"""A queue that does to Jobs what Kueue does, on a test's command: suspend, place, admit and evict.

Kueue's webhook suspends Jobs as they are created. A MutatingAdmissionPolicy does the same here.
"""

import json

from deepsynth_api.labels import QUEUE_NAME
from deepsynth_cluster.clusters.interface import Cluster
from e2e.support.api import Api, wait_until

POLICY = {
    "apiVersion": "admissionregistration.k8s.io/v1",
    "kind": "MutatingAdmissionPolicy",
    "metadata": {"name": "fake-queue"},
    "spec": {
        "matchConstraints": {
            "resourceRules": [
                {"apiGroups": ["batch"], "apiVersions": ["v1"], "resources": ["jobs"], "operations": ["CREATE"]}
            ]
        },
        "matchConditions": [
            {
                "name": "queued",
                "expression": f"has(object.metadata.labels) && {QUEUE_NAME!r} in object.metadata.labels",
            }
        ],
        "failurePolicy": "Fail",
        "reinvocationPolicy": "Never",
        "mutations": [
            {
                "patchType": "ApplyConfiguration",
                "applyConfiguration": {"expression": "Object{spec: Object.spec{suspend: true}}"},
            }
        ],
    },
}
BINDING = {
    "apiVersion": "admissionregistration.k8s.io/v1",
    "kind": "MutatingAdmissionPolicyBinding",
    "metadata": {"name": "fake-queue"},
    "spec": {"policyName": "fake-queue"},
}


class FakeQueue:
    def __init__(self, cluster: Cluster, api: Api) -> None:
        self._cluster, self._api = cluster, api
        cluster.kubectl(
            "apply", "-f", "-", input=json.dumps({"apiVersion": "v1", "kind": "List", "items": [POLICY, BINDING]})
        )
        # The API server learns of a new policy by a watch.
        wait_until("the policy of the queue to be in force", self._suspends, 60)

    @staticmethod
    def is_possible(cluster: Cluster) -> bool:
        served = cluster.kubectl("get", "--raw", f"/apis/{POLICY['apiVersion']}").stdout
        return any(resource["kind"] == POLICY["kind"] for resource in json.loads(served)["resources"])

    def remove(self) -> None:
        self._cluster.kubectl("delete", "mutatingadmissionpolicybinding,mutatingadmissionpolicy", "fake-queue")

    def admit(self, job: str) -> None:
        """Set its node selector and tolerations, then resume it."""
        toleration = {"key": "admitted", "operator": "Exists"}
        place = {"nodeSelector": {"kubernetes.io/os": "linux"}, "tolerations": [toleration]}
        self._patch(job, {"spec": {"template": {"spec": place}}})
        self._patch(job, {"spec": {"suspend": False}})

    def evict(self, job: str) -> None:
        """Suspend it, as a queue does to get its resources back."""
        self._patch(job, {"spec": {"suspend": True}})

    def _suspends(self) -> bool:
        container = {"name": "c", "image": "none"}
        pod = {"containers": [container], "restartPolicy": "Never"}
        metadata = {"name": "is-it-suspended", "labels": {QUEUE_NAME: "team"}}
        job = {"apiVersion": "batch/v1", "kind": "Job", "metadata": metadata, "spec": {"template": {"spec": pod}}}
        arguments = ("-n", self._api.namespace, "create", "-f", "-", "--dry-run=server", "-o", "json")
        created = self._cluster.kubectl(*arguments, input=json.dumps(job)).stdout
        return bool(json.loads(created)["spec"].get("suspend"))

    def _patch(self, job: str, patch: object) -> None:
        self._cluster.kubectl(
            "-n",
            self._api.namespace,
            "patch",
            "job",
            job,
            "--type=merge",
            "--field-manager=queue",
            "-p",
            json.dumps(patch),
        )
