"""What the chart's roles allow on a real API server: what the code needs, nothing more, and never a Secret."""

from collections.abc import Sequence
from typing import Any

import pytest

from deepsynth_cluster.clusters.bare import BareCluster
from deepsynth_demo.chart import apply_all
from deepsynth_operator.kubernetes.api.permissions import CLUSTER_RULES, PROXY_RULES, RULES, Rule
from e2e.support.api import wait_until
from e2e.support.rights import Account, Right, Rights
from support.helm_chart import render

WIDE, NARROW, OTHER = "rbac-wide", "rbac-narrow", "rbac-other"
"""Namespaces: of an operator for the whole cluster, of one for its own namespace, and one without an operator."""
RIGHTS_KINDS = {"ServiceAccount", "Role", "RoleBinding", "ClusterRole", "ClusterRoleBinding"}
RESOURCES = ("datasetgenerations", "trainingruns")


def find_rights(values: dict[str, Any], namespace: str) -> list[dict[str, Any]]:
    """The chart's objects that grant something. Nothing runs."""
    rendered = render({"crds": {"enabled": False}, **values}, namespace=namespace)
    return [manifest for manifest in rendered.objects if manifest["kind"] in RIGHTS_KINDS]


def expand(*tables: Sequence[Rule]) -> set[Right]:
    return {
        Right(rule.group, resource, verb)
        for table in tables
        for rule in table
        for resource in rule.resources
        for verb in rule.verbs
    }


@pytest.fixture(scope="module")
def rights(api_server: BareCluster) -> Rights:
    namespaces = [
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}} for name in (WIDE, NARROW, OTHER)
    ]
    granted = [*find_rights({}, WIDE), *find_rights({"watchNamespaces": [NARROW]}, NARROW)]
    apply_all(api_server, None, *namespaces, *granted)
    return Rights(api_server)


@pytest.fixture(scope="module")
def every_right(rights: Rights) -> list[Right]:
    """All rights of the API, including those on the chart's own resources."""
    return sorted({*rights.list_all(), *expand(RULES, CLUSTER_RULES, PROXY_RULES)})


@pytest.fixture(scope="module")
def of_every_account(rights: Rights, every_right: list[Right]) -> set[Right]:
    """Rights of an account without any grant, such as asking about its own rights."""
    return rights.find_allowed(Account.of_service(OTHER, "nobody"), every_right)


def test_the_whole_api_is_asked_about(every_right: list[Right], of_every_account: set[Right]) -> None:
    assert len(every_right) > 800
    assert {("", "secrets", "get"), ("", "pods/exec", "create"), ("apps", "deployments", "list")} <= set(every_right)
    assert Right("authorization.k8s.io", "selfsubjectaccessreviews", "create") in of_every_account
    assert not any(right.group in ("", "batch", "deepsynth.io") for right in of_every_account)


@pytest.mark.parametrize("namespace", ["", OTHER, "kube-system"])
def test_for_the_whole_cluster_it_may_do_what_its_code_does_and_nothing_more(
    rights: Rights, every_right: list[Right], of_every_account: set[Right], namespace: str
) -> None:
    allowed = rights.find_allowed(Account.of_service(WIDE, "deepsynth"), every_right, namespace)
    assert allowed - of_every_account == expand(RULES, CLUSTER_RULES)


@pytest.mark.parametrize(
    ("namespace", "expected"),
    [(NARROW, expand(RULES, CLUSTER_RULES)), (OTHER, expand(CLUSTER_RULES)), ("", expand(CLUSTER_RULES))],
)
def test_for_a_namespace_it_may_do_so_only_there(
    rights: Rights, every_right: list[Right], of_every_account: set[Right], namespace: str, expected: set[Right]
) -> None:
    allowed = rights.find_allowed(Account.of_service(NARROW, "deepsynth"), every_right, namespace)
    assert allowed - of_every_account == expected


@pytest.mark.parametrize("namespace", [WIDE, NARROW, "kube-system"])
@pytest.mark.parametrize("verb", ["get", "list", "watch"])
def test_kubectl_says_that_the_operator_cannot_read_secrets(api_server: BareCluster, namespace: str, verb: str) -> None:
    for operator in (WIDE, NARROW):
        account = f"system:serviceaccount:{operator}:deepsynth"
        asked = api_server.kubectl("auth", "can-i", verb, "secrets", f"--as={account}", f"-n={namespace}", check=False)
        assert asked.stdout.strip() == "no"


@pytest.mark.parametrize(
    ("role", "verbs"),
    [
        ("view", {"get", "list", "watch"}),
        ("edit", {"get", "list", "watch", "create", "update", "patch", "delete", "deletecollection"}),
        ("admin", {"get", "list", "watch", "create", "update", "patch", "delete", "deletecollection"}),
    ],
)
def test_users_get_the_resources_with_the_usual_roles(
    api_server: BareCluster, rights: Rights, role: str, verbs: set[str]
) -> None:
    """Creating a resource is as powerful as creating a pod, so `view` does not allow it."""
    person = Account(f"{role}er", ("system:authenticated",))
    binding = {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "RoleBinding",
        "metadata": {"name": role},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": role},
        "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": person.user}],
    }
    apply_all(api_server, OTHER, binding)
    asked = [
        Right("deepsynth.io", f"{resource}{part}", verb)
        for resource in RESOURCES
        for part in ("", "/status")
        for verb in ("get", "list", "watch", "create", "update", "patch", "delete", "deletecollection")
    ]
    expected = {Right("deepsynth.io", resource, verb) for resource in RESOURCES for verb in verbs}
    # The controller manager copies the rules into the usual roles.
    wait_until(
        f"{role} to have the resources",
        lambda: rights.find_allowed(person, asked, OTHER) == expected,
        120,
        lambda: rights.find_allowed(person, asked, OTHER) ^ expected,
    )
