"""The chart grants exactly the permissions that the operator's code needs."""

from collections.abc import Iterable, Mapping
from typing import Any

import pytest

from deepsynth_operator.core.settings import GangApi, Settings
from deepsynth_operator.kubernetes.api.permissions import (
    CLUSTER_RULES,
    GANG_RULES,
    LEASE_RULES,
    POLICY_RULES,
    PROXY_RULES,
    QUEUE_RULES,
    RULES,
    Rule,
)
from support.helm_chart import NAMESPACE, Manifest, Rendered, render

Permission = tuple[str, str, str]
"""API group, resource and verb."""
NAMESPACES = ["team-a", "team-b"]


def list_permissions(roles: Iterable[Manifest]) -> list[Permission]:
    return sorted(
        (group, resource, verb)
        for role in roles
        for rule in role["rules"]
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    )


def list_needed_permissions(*tables: Iterable[Rule]) -> list[Permission]:
    return sorted(
        (rule.group, resource, verb)
        for table in tables
        for rule in table
        for resource in rule.resources
        for verb in rule.verbs
    )


def find_own(rendered: Rendered, kind: str) -> list[Manifest]:
    """The operator's own roles, without the aggregated ones."""
    return [found for found in rendered.find_all(kind) if not is_aggregated(found)]


def is_aggregated(role: Manifest) -> bool:
    return any("aggregate-to" in label for label in role["metadata"]["labels"])


def test_the_cluster_role_grants_exactly_what_the_code_needs() -> None:
    rendered = render()
    assert list_permissions(find_own(rendered, "ClusterRole")) == list_needed_permissions(RULES, CLUSTER_RULES)
    assert rendered.find_all("Role") == []


def test_in_namespaced_mode_roles_grant_it_only_in_the_watched_namespaces() -> None:
    rendered = render({"watchNamespaces": NAMESPACES})
    roles = rendered.find_all("Role")
    assert [role["metadata"]["namespace"] for role in roles] == NAMESPACES
    assert all(list_permissions([role]) == list_needed_permissions(RULES) for role in roles)
    assert list_permissions(find_own(rendered, "ClusterRole")) == list_needed_permissions(CLUSTER_RULES)


def test_without_reading_nodes_namespaced_mode_needs_no_cluster_role() -> None:
    rbac = {"readNodes": False, "aggregate": False}
    assert render({"watchNamespaces": NAMESPACES, "rbac": rbac}).find_all("ClusterRole") == []
    assert list_permissions(find_own(render({"rbac": rbac}), "ClusterRole")) == list_needed_permissions(RULES)


@pytest.mark.parametrize(("values", "kind"), [({}, "ClusterRole"), ({"watchNamespaces": ["team-a"]}, "Role")])
def test_the_pod_proxy_is_granted_only_if_it_is_used(values: Mapping[str, Any], kind: str) -> None:
    without, with_proxy = (
        set(list_permissions(find_own(render({**values, "reportsThroughApiServer": on}), kind))) for on in (False, True)
    )
    assert with_proxy - without == set(list_needed_permissions(PROXY_RULES))


def test_workloads_of_a_queue_are_granted_only_if_asked_for() -> None:
    without = set(list_permissions(find_own(render(), "ClusterRole")))
    with_workloads = set(list_permissions(find_own(render({"rbac": {"readWorkloads": True}}), "ClusterRole")))
    assert with_workloads - without == set(list_needed_permissions(QUEUE_RULES))


@pytest.mark.parametrize("api", GANG_RULES)
def test_pod_groups_are_granted_only_for_the_named_schedulers(api: GangApi) -> None:
    without = set(list_permissions(find_own(render(), "ClusterRole")))
    jobs = {"gangSchedulers": {"first": api, "second": "kai"}}
    with_groups = set(list_permissions(find_own(render({"jobs": jobs}), "ClusterRole")))
    assert with_groups - without == set(list_needed_permissions(GANG_RULES[api]))


def test_the_operator_gets_the_schedulers_as_the_chart_names_them() -> None:
    schedulers = {"volcano": "volcano", "default-scheduler": "kubernetes-v1beta1"}
    environment = {
        item["name"]: item.get("value") for item in render({"jobs": {"gangSchedulers": schedulers}}).container["env"]
    }
    assert Settings.from_environment(environment).gang_schedulers == schedulers


def test_network_policies_are_granted_only_if_they_are_created() -> None:
    without, with_policies = (
        set(list_permissions(find_own(render({"jobs": {"networkPolicy": {"enabled": on}}}), "ClusterRole")))
        for on in (False, True)
    )
    assert with_policies - without == set(list_needed_permissions(POLICY_RULES))


@pytest.mark.parametrize("values", [{}, {"watchNamespaces": [NAMESPACE, "team-a"]}])
def test_the_lease_is_granted_only_with_several_replicas_and_in_the_namespace_of_the_operator(
    values: Mapping[str, Any],
) -> None:
    added = [role for role in render({**values, "replicas": 2}).find_all("Role") if role not in render(values).objects]
    assert [role["metadata"]["namespace"] for role in added] == [NAMESPACE]
    assert list_permissions(added) == list_needed_permissions(LEASE_RULES)


def test_no_rule_has_wildcards_or_grants_secrets() -> None:
    for values in ({}, {"watchNamespaces": NAMESPACES}, {"reportsThroughApiServer": True}, {"replicas": 2}):
        rendered = render(values)
        roles = [*rendered.find_all("ClusterRole"), *rendered.find_all("Role")]
        assert all(set(rule) == {"apiGroups", "resources", "verbs"} for role in roles for rule in role["rules"])
        permissions = list_permissions(roles)
        assert not any("*" in part for permission in permissions for part in permission)
        assert not any(resource.startswith("secrets") for _, resource, _ in permissions)


@pytest.mark.parametrize("values", [{}, {"watchNamespaces": NAMESPACES}, {"replicas": 2}])
def test_every_binding_binds_an_existing_role_to_the_operator(values: Mapping[str, Any]) -> None:
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
    permissions = list_permissions(roles)
    assert {(group, resource) for group, resource, _ in permissions} == {
        ("deepsynth.io", "datasetgenerations"),
        ("deepsynth.io", "trainingruns"),
    }
    return {verb for _, _, verb in permissions}


def test_view_can_read_but_not_create_because_creating_allows_pods() -> None:
    assert get_aggregated("view") == {"get", "list", "watch"}


def test_edit_can_create_change_and_delete_but_not_write_status() -> None:
    assert get_aggregated("edit") == {"create", "update", "patch", "delete", "deletecollection"}


def test_only_view_and_edit_are_aggregated_and_only_if_enabled() -> None:
    aggregated = [role for role in render().find_all("ClusterRole") if is_aggregated(role)]
    assert [role["metadata"]["name"].rpartition(":")[2] for role in aggregated] == ["edit", "view"]
    assert not any(is_aggregated(role) for role in render({"rbac": {"aggregate": False}}).find_all("ClusterRole"))


def test_roles_can_be_disabled() -> None:
    rendered = render({"rbac": {"create": False}, "watchNamespaces": NAMESPACES})
    assert find_own(rendered, "ClusterRole") == rendered.find_all("Role") == []
    assert rendered.find_all("RoleBinding") == rendered.find_all("ClusterRoleBinding") == []
