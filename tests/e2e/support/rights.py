"""What an account may do: one SubjectAccessReview per verb of every resource that the API server serves."""

import json
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import product
from typing import Any, NamedTuple

from kubernetes import client, config

from deepsynth_cluster.clusters.clients import Clients

VERBS = ("get", "list", "watch", "create", "update", "patch", "delete", "deletecollection")
SPECIAL = (
    ("", "users", "impersonate"),
    ("", "groups", "impersonate"),
    ("", "serviceaccounts", "impersonate"),
    ("rbac.authorization.k8s.io", "roles", "bind"),
    ("rbac.authorization.k8s.io", "roles", "escalate"),
    ("rbac.authorization.k8s.io", "clusterroles", "bind"),
    ("rbac.authorization.k8s.io", "clusterroles", "escalate"),
    ("certificates.k8s.io", "signers", "approve"),
    ("certificates.k8s.io", "signers", "sign"),
)
"""Rights that no request asks for by itself."""


class Right(NamedTuple):
    group: str
    resource: str
    """With its subresource: pods/log."""
    verb: str


@dataclass(frozen=True)
class Account:
    user: str
    groups: tuple[str, ...]

    @classmethod
    def of_service(cls, namespace: str, name: str) -> "Account":
        groups = ("system:serviceaccounts", f"system:serviceaccounts:{namespace}", "system:authenticated")
        return cls(f"system:serviceaccount:{namespace}:{name}", groups)


class Rights:
    """Reviews rights for every resource and subresource that the API server serves."""

    def __init__(self, cluster: Clients) -> None:
        self._cluster = cluster
        self._reviews = client.AuthorizationV1Api(config.new_client_from_config(str(cluster.kubeconfig)))

    def list_all(self) -> list[Right]:
        """All rights that there are."""
        return sorted(
            {
                *(Right(*found, verb) for found, verb in product(self._discover(), VERBS)),
                *(Right(*right) for right in SPECIAL),
            }
        )

    def find_allowed(self, account: Account, rights: Iterable[Right], namespace: str = "") -> set[Right]:
        """The rights that the account has in the namespace, or in the whole cluster if it is empty."""
        asked = list(rights)
        with ThreadPoolExecutor(8) as pool:
            answers = pool.map(lambda right: self.is_allowed(account, right, namespace), asked)
            return {right for right, allowed in zip(asked, answers, strict=True) if allowed}

    def is_allowed(self, account: Account, right: Right, namespace: str = "") -> bool:
        resource, _, subresource = right.resource.partition("/")
        attributes = client.V1ResourceAttributes(
            namespace=namespace, group=right.group, resource=resource, subresource=subresource, verb=right.verb
        )
        spec = client.V1SubjectAccessReviewSpec(
            user=account.user, groups=list(account.groups), resource_attributes=attributes
        )
        review = self._reviews.create_subject_access_review(client.V1SubjectAccessReview(spec=spec))
        assert review.status is not None
        return bool(review.status.allowed)

    def _discover(self) -> Iterator[tuple[str, str]]:
        """Group and resource, for every version."""
        yield from (("", item["name"]) for item in self._read("/api/v1")["resources"])
        for group in self._read("/apis")["groups"]:
            for version in group["versions"]:
                resources = self._read(f"/apis/{version['groupVersion']}")["resources"]
                yield from ((group["name"], item["name"]) for item in resources)

    def _read(self, path: str) -> dict[str, Any]:
        answer: dict[str, Any] = json.loads(self._cluster.kubectl("get", "--raw", path).stdout)
        return answer
