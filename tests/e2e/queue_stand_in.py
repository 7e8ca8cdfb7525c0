"""What Kueue does to a Job, done by hand: a second manager that suspends, places, admits and evicts.

Its webhook suspends Jobs as they are created: a MutatingAdmissionPolicy does the same here.
"""

import json

from deepsynth_api.labels import QUEUE_NAME
from deepsynth_cluster.interface import Cluster
from e2e.api import Api, wait_until

POLICY = {
    "apiVersion": "admissionregistration.k8s.io/v1",
    "kind": "MutatingAdmissionPolicy",
    "metadata": {"name": "queue-stand-in"},
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
    "metadata": {"name": "queue-stand-in"},
    "spec": {"policyName": "queue-stand-in"},
}


class QueueStandIn:
    def __init__(self, cluster: Cluster, api: Api) -> None:
        self._cluster, self._api = cluster, api
        cluster.kubectl(
            "apply", "-f", "-", input=json.dumps({"apiVersion": "v1", "kind": "List", "items": [POLICY, BINDING]})
        )
        # The API server takes a policy up by a watch of its own.
        wait_until("the policy of the queue to be in force", self._suspends, 60)

    @staticmethod
    def is_possible(cluster: Cluster) -> bool:
        served = cluster.kubectl("get", "--raw", f"/apis/{POLICY['apiVersion']}").stdout
        return any(resource["kind"] == POLICY["kind"] for resource in json.loads(served)["resources"])

    def remove(self) -> None:
        self._cluster.kubectl("delete", "mutatingadmissionpolicybinding,mutatingadmissionpolicy", "queue-stand-in")

    def admit(self, job: str) -> None:
        """Give it a place, then let it run."""
        toleration = {"key": "admitted", "operator": "Exists"}
        place = {"nodeSelector": {"kubernetes.io/os": "linux"}, "tolerations": [toleration]}
        self._patch(job, {"spec": {"template": {"spec": place}}})
        self._patch(job, {"spec": {"suspend": False}})

    def evict(self, job: str) -> None:
        """Take its resources back, and its place with them."""
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
