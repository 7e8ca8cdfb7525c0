"""Rules for all objects of the chart."""

import copy
import re
from collections.abc import Mapping
from typing import Any

import pytest

from chart.kubernetes_types import find_misfits
from deepsynth_api.crd.schema import build_crd
from deepsynth_api.kinds import KINDS
from support.helm_chart import CHART, EVERYTHING_ON, NAMESPACE, Manifest, merge, render, render_text

MONITORING = "monitoring.coreos.com/v1"
CLUSTER_SCOPED = {"ClusterRole", "ClusterRoleBinding", "CustomResourceDefinition"}
NAMESPACED: Mapping[str, Any] = merge(EVERYTHING_ON, {"watchNamespaces": ["team-a", "team-b"]})
SETTINGS = {"default": {}, "everything": EVERYTHING_ON, "namespaced": NAMESPACED}


@pytest.mark.parametrize("values", SETTINGS.values(), ids=SETTINGS)
def test_rendering_twice_gives_the_same_bytes(values: Mapping[str, Any]) -> None:
    assert render_text(values) == render_text(values)


def test_templates_use_neither_time_nor_chance_nor_the_cluster() -> None:
    """Otherwise `helm template` and GitOps tools would show a difference each time. The one exception is whether the
    cluster is OpenShift, which does not change, and which Argo CD and Flux see; `openshift` overrides it.
    """
    is_openshift = '.Capabilities.APIVersions.Has "security.openshift.io/v1"'
    forbidden = re.compile(
        r"\b(now|rand\w+|uuidv4|gen[A-Z]\w+|lookup|Capabilities|env|expandenv|derivePassword)\b(?! *:)"
    )
    actions = {
        path.name: re.findall(r"{{[^`]*?}}", path.read_text().replace(is_openshift, ""))
        for path in (CHART / "templates").glob("*")
        if path.suffix in {".yaml", ".tpl", ".txt"}
    }
    assert len(actions) > 10
    assert {name for name, found in actions.items() if forbidden.search(" ".join(found))} == set()


@pytest.mark.parametrize("values", SETTINGS.values(), ids=SETTINGS)
def test_every_field_exists_in_kubernetes_and_has_the_right_type(values: Mapping[str, Any]) -> None:
    objects = [found for found in render(values).objects if found["apiVersion"] != MONITORING]
    assert [misfit for manifest in objects for misfit in find_misfits(manifest)] == []


def test_misspelt_fields_and_wrong_types_are_found() -> None:
    deployment = copy.deepcopy(render().find("Deployment"))
    deployment["spec"]["replica"] = 1
    deployment["spec"]["template"]["spec"]["containers"][0]["env"][0]["value"] = 15
    deployment["spec"]["template"]["spec"]["enableServiceLinks"] = "no"
    assert len(find_misfits(deployment)) == 3


@pytest.mark.parametrize("values", SETTINGS.values(), ids=SETTINGS)
def test_every_namespaced_object_names_its_namespace(values: Mapping[str, Any]) -> None:
    for manifest in render(values).objects:
        allowed = {None} if manifest["kind"] in CLUSTER_SCOPED else {NAMESPACE, *values.get("watchNamespaces", [])}
        assert manifest["metadata"].get("namespace") in allowed, manifest["metadata"]


def test_common_labels_and_annotations_are_on_every_object_and_on_the_pod() -> None:
    extra = {"team": "vision"}
    rendered = render(merge(EVERYTHING_ON, {"commonLabels": extra, "commonAnnotations": extra}))
    pod = rendered.find("Deployment")["spec"]["template"]
    for metadata in (pod["metadata"], *(manifest["metadata"] for manifest in rendered.objects)):
        assert metadata["labels"]["team"] == "vision"
        assert metadata["annotations"]["team"] == "vision"


def test_extra_labels_cannot_override_the_labels_of_selectors() -> None:
    labels = {"app.kubernetes.io/name": "other"}
    rendered = render({"commonLabels": labels, "podLabels": labels})
    pod_labels = rendered.find("Deployment")["spec"]["template"]["metadata"]["labels"]
    assert rendered.find("Deployment")["spec"]["selector"]["matchLabels"].items() <= pod_labels.items()


def test_no_two_objects_have_the_same_name() -> None:
    objects = render(NAMESPACED).objects
    names = {(found["kind"], found["metadata"].get("namespace"), found["metadata"]["name"]) for found in objects}
    assert len(names) == len(objects)


def test_releases_with_the_same_name_in_two_namespaces_do_not_share_cluster_scoped_objects() -> None:
    def list_names(namespace: str) -> set[str]:
        values = {"crds": {"enabled": False}}
        objects = render(values, namespace=namespace).objects
        return {found["metadata"]["name"] for found in objects if found["kind"] in CLUSTER_SCOPED}

    assert list_names("team-a")
    assert list_names("team-a") & list_names("team-b") == set()


@pytest.mark.parametrize("release", ["d", "deepsynth", "x" * 53])
def test_names_and_label_values_are_valid(release: str) -> None:
    label = re.compile(r"[a-z]([-a-z0-9]{0,61}[a-z0-9])?")
    value = re.compile(r"([A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?")
    for manifest in render(EVERYTHING_ON, release=release).objects:
        metadata = manifest["metadata"]
        assert manifest["kind"] in CLUSTER_SCOPED or label.fullmatch(metadata["name"]), metadata["name"]
        assert all(value.fullmatch(found) for found in metadata["labels"].values()), metadata["labels"]


@pytest.mark.parametrize(
    "values",
    [
        {"commonLabels": {"team": "vision"}},
        {"podLabels": {"team": "vision"}},
        {"images": {"operator": {"tag": "v2"}}},
        {"fullnameOverride": "other"},
        NAMESPACED,
    ],
)
def test_no_value_changes_the_selector(values: Mapping[str, Any]) -> None:
    """The selector is immutable: an upgrade that changes it fails."""
    expected = {"app.kubernetes.io/name": "deepsynth", "app.kubernetes.io/instance": "deepsynth"}
    assert render(values).find("Deployment")["spec"]["selector"] == {"matchLabels": expected}
    assert render(values).find("Service")["spec"]["selector"] == expected


@pytest.mark.parametrize("kind", KINDS)
def test_the_crds_match_the_types(kind: str) -> None:
    name = build_crd(kind)["metadata"]["name"]
    (installed,) = [
        found for found in render().find_all("CustomResourceDefinition") if found["metadata"]["name"] == name
    ]
    assert {**installed, "metadata": {"name": name}} == build_crd(kind)


def get_policies(crds: Manifest) -> set[str | None]:
    found = render({"crds": crds}).find_all("CustomResourceDefinition")
    return {manifest["metadata"].get("annotations", {}).get("helm.sh/resource-policy") for manifest in found}


def test_uninstalling_keeps_the_crds_and_so_the_resources() -> None:
    assert get_policies({}) == {"keep"}
    assert get_policies({"keep": False}) == {None}


def test_the_crds_can_be_disabled() -> None:
    assert get_policies({"enabled": False}) == set()
