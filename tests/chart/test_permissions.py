"""The operator may do what its code does, and nothing more."""

from collections.abc import Iterable, Mapping
from typing import Any

import pytest

from deepsynth_operator.kubernetes.permissions import CLUSTER_RULES, PROXY_RULES, RULES, Rule
from support.helm_chart import NAMESPACE, Manifest, Rendered, render

Right = tuple[str, str, str]
"""Group, resource, verb."""
NAMESPACES = ["team-a", "team-b"]


def list_rights(roles: Iterable[Manifest]) -> list[Right]:
    return sorted(
        (group, resource, verb)
        for role in roles
        for rule in role["rules"]
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    )


def list_needed(*tables: Iterable[Rule]) -> list[Right]:
    return sorted(
        (rule.group, resource, verb)
        for table in tables
        for rule in table
        for resource in rule.resources
        for verb in rule.verbs
    )


def find_own(rendered: Rendered, kind: str) -> list[Manifest]:
    """Roles of the operator, without those that are aggregated."""
    return [found for found in rendered.find_all(kind) if not is_aggregated(found)]


def is_aggregated(role: Manifest) -> bool:
    return any("aggregate-to" in label for label in role["metadata"]["labels"])


def test_cluster_wide_it_may_do_what_its_code_needs_and_nothing_more() -> None:
    rendered = render()
    assert list_rights(find_own(rendered, "ClusterRole")) == list_needed(RULES, CLUSTER_RULES)
    assert rendered.find_all("Role") == []


def test_namespaced_it_may_do_so_in_these_namespaces_alone() -> None:
    rendered = render({"watchNamespaces": NAMESPACES})
    roles = rendered.find_all("Role")
    assert [role["metadata"]["namespace"] for role in roles] == NAMESPACES
    assert all(list_rights([role]) == list_needed(RULES) for role in roles)
    assert list_rights(find_own(rendered, "ClusterRole")) == list_needed(CLUSTER_RULES)


def test_nodes_can_be_left_out_so_that_no_cluster_role_is_needed() -> None:
    rbac = {"readNodes": False, "aggregate": False}
    assert render({"watchNamespaces": NAMESPACES, "rbac": rbac}).find_all("ClusterRole") == []
    assert list_rights(find_own(render({"rbac": rbac}), "ClusterRole")) == list_needed(RULES)


@pytest.mark.parametrize(("values", "kind"), [({}, "ClusterRole"), ({"watchNamespaces": ["team-a"]}, "Role")])
def test_the_pod_proxy_is_granted_only_where_it_is_used(values: Mapping[str, Any], kind: str) -> None:
    without, with_proxy = (
        set(list_rights(find_own(render({**values, "reportsThroughApiServer": on}), kind))) for on in (False, True)
    )
    assert with_proxy - without == set(list_needed(PROXY_RULES))


def test_no_rule_is_wider_than_it_says() -> None:
    """No wildcard, no name of an object, no Secret."""
    for values in ({}, {"watchNamespaces": NAMESPACES}, {"reportsThroughApiServer": True}):
        rendered = render(values)
        roles = [*rendered.find_all("ClusterRole"), *rendered.find_all("Role")]
        assert all(set(rule) == {"apiGroups", "resources", "verbs"} for role in roles for rule in role["rules"])
        rights = list_rights(roles)
        assert not any("*" in part for right in rights for part in right)
        assert not any(resource.startswith("secrets") for _, resource, _ in rights)


@pytest.mark.parametrize("values", [{}, {"watchNamespaces": NAMESPACES}])
def test_every_binding_binds_a_role_that_exists_to_the_operator(values: Mapping[str, Any]) -> None:
    rendered = render(values)
    bindings = [*rendered.find_all("ClusterRoleBinding"), *rendered.find_all("RoleBinding")]
    assert len(bindings) == len(find_own(rendered, "ClusterRole")) + len(rendered.find_all("Role"))
    for binding in bindings:
        where = binding["metadata"].get("namespace")
        roles = rendered.find_all(binding["roleRef"]["kind"])
        assert (binding["roleRef"]["name"], where) in {
            (role["metadata"]["name"], role["metadata"].get("namespace")) for role in roles
        }
        assert binding["subjects"] == [{"kind": "ServiceAccount", "name": "deepsynth", "namespace": NAMESPACE}]


def get_aggregated(role: str) -> set[str]:
    label = f"rbac.authorization.k8s.io/aggregate-to-{role}"
    roles = [found for found in render().find_all("ClusterRole") if found["metadata"]["labels"].get(label) == "true"]
    rights = list_rights(roles)
    assert {(group, resource) for group, resource, _ in rights} == {
        ("deepsynth.io", "datasetgenerations"),
        ("deepsynth.io", "trainingruns"),
    }
    return {verb for _, _, verb in rights}


def test_view_lets_one_look_and_never_create_for_that_equals_creating_pods() -> None:
    assert get_aggregated("view") == {"get", "list", "watch"}


def test_edit_lets_one_create_change_and_delete_but_not_write_status() -> None:
    assert get_aggregated("edit") == {"create", "update", "patch", "delete", "deletecollection"}


def test_nobody_else_gets_rights() -> None:
    aggregated = [role for role in render().find_all("ClusterRole") if is_aggregated(role)]
    assert [role["metadata"]["name"].rpartition(":")[2] for role in aggregated] == ["edit", "view"]
    assert not any(is_aggregated(role) for role in render({"rbac": {"aggregate": False}}).find_all("ClusterRole"))


def test_rights_can_come_from_elsewhere() -> None:
    rendered = render({"rbac": {"create": False}, "watchNamespaces": NAMESPACES})
    assert find_own(rendered, "ClusterRole") == rendered.find_all("Role") == []
    assert rendered.find_all("RoleBinding") == rendered.find_all("ClusterRoleBinding") == []
