"""How an administrator's defaults and a resource's own template become one."""

from typing import Any

import pytest

from deepsynth_api.errors import ConfigurationError
from deepsynth_api.v1alpha1.pod.pod_template import PodTemplate
from deepsynth_operator.core.job_defaults import FIELDS, JobDefault
from deepsynth_operator.core.settings import Settings
from deepsynth_operator.manifests.children import build_children
from deepsynth_operator.manifests.defaults import apply_defaults, check_defaults, merge_templates
from support.resources.builders import a_dataset_generation, a_training_run


def a_default(template: dict[str, Any], **fields: Any) -> JobDefault:
    return JobDefault.model_validate({**fields, "template": template})


def merge(below: dict[str, Any], above: dict[str, Any]) -> dict[str, Any]:
    merged = merge_templates(PodTemplate.model_validate(below), PodTemplate.model_validate(above)).to_dict()
    return {name: value for name, value in merged.items() if value}


@pytest.mark.parametrize("field", ["labels", "annotations", "nodeSelector"])
def test_maps_merge_by_key_and_the_resource_wins(field: str) -> None:
    merged = merge({field: {"a": "below", "b": "below"}}, {field: {"b": "above", "c": "above"}})
    assert merged == {field: {"a": "below", "b": "above", "c": "above"}}


def test_variables_append_by_name_and_the_resource_may_refer_to_defaults() -> None:
    below = [{"name": "PROXY", "value": "p"}, {"name": "A", "value": "below"}]
    above = [{"name": "A", "value": "above"}, {"name": "B", "value": "$(PROXY)"}]
    assert merge({"env": below}, {"env": above}) == {"env": [below[0], *above]}


def test_pull_secrets_append_by_name() -> None:
    merged = merge({"imagePullSecrets": [{"name": "a"}, {"name": "b"}]}, {"imagePullSecrets": [{"name": "b"}]})
    assert merged == {"imagePullSecrets": [{"name": "a"}, {"name": "b"}]}


def test_tolerations_append_unless_they_are_equal() -> None:
    gpu, spot = {"key": "nvidia.com/gpu", "operator": "Exists"}, {"key": "spot", "operator": "Exists"}
    assert merge({"tolerations": [gpu, spot]}, {"tolerations": [gpu]}) == {"tolerations": [spot, gpu]}


@pytest.mark.parametrize("own", [{"name": "ca", "mountPath": "/mine"}, {"name": "mine", "mountPath": "/ca"}])
def test_a_volume_with_the_same_name_or_path_replaces_the_default(own: dict[str, Any]) -> None:
    default = {"name": "ca", "mountPath": "/ca", "configMap": {"name": "ca"}}
    (volume,) = merge({"volumes": [default]}, {"volumes": [{**own, "emptyDir": {}}]})["volumes"]
    assert volume["name"] == own["name"]


@pytest.mark.parametrize("field", ["priorityClassName", "schedulerName", "runtimeClassName"])
def test_a_name_is_that_of_the_resource_if_it_has_one(field: str) -> None:
    assert merge({field: "below"}, {}) == {field: "below"}
    assert merge({field: "below"}, {field: "above"}) == {field: "above"}


def test_every_field_that_may_have_a_default_is_one_of_the_template() -> None:
    assert set(FIELDS) <= set(PodTemplate.model_fields)
    decided = {"resources", "resource_claims", "run_as_user", "termination_grace_period_seconds"}
    assert not decided & set(FIELDS), "decisions or documents depend on these"


def test_later_entries_win_and_the_resource_wins_over_all() -> None:
    defaults = [
        a_default({"nodeSelector": {"pool": "all", "zone": "1", "disk": "ssd"}}),
        a_default({"nodeSelector": {"pool": "team", "zone": "2"}}, namespaces=["default"]),
        a_default({"nodeSelector": {"zone": "3"}}, namespaces=["other"]),
        a_default({"nodeSelector": {"zone": "4"}}, kinds=["DatasetGeneration"]),
    ]
    run = a_training_run().with_template(nodeSelector={"disk": "own"}).build()
    assert apply_defaults(run, defaults).spec.template.node_selector == {"pool": "team", "zone": "2", "disk": "own"}
    generation = a_dataset_generation().build()
    assert apply_defaults(generation, defaults).spec.template.node_selector["zone"] == "4"


def test_without_defaults_the_resource_stays_as_it_is() -> None:
    run = a_training_run().with_template(env=[{"name": "A", "value": "b"}], runAsUser=7).build()
    assert apply_defaults(run, []) == run


def test_the_pods_of_a_job_have_the_defaults() -> None:
    volume = {"name": "ca", "mountPath": "/etc/ssl/extra", "readOnly": True, "configMap": {"name": "ca-bundle"}}
    default = a_default(
        {
            "env": [{"name": "SSL_CERT_FILE", "value": "/etc/ssl/extra/ca.pem"}],
            "volumes": [volume],
            "imagePullSecrets": [{"name": "mirror"}],
            "schedulerName": "volcano",
            "runtimeClassName": "nvidia",
            "labels": {"cost-centre": "7"},
        }
    )
    attempt = {"number": 1, "startTime": "2026-01-02T03:04:05Z", "job": "read-xsum-train-1", "image": "gpu"}
    pinned = [{"name": "pages", "uri": "pvc://data/pages"}]
    run = a_training_run().with_status(datasets=pinned, attempts=[attempt]).build()
    job = build_children(run, "read-xsum-train-1", Settings(job_defaults=(default,)))[-1]
    pod = job["spec"]["template"]["spec"]
    assert {"name": "SSL_CERT_FILE", "value": "/etc/ssl/extra/ca.pem"} in pod["containers"][0]["env"]
    assert {"name": "ca", "mountPath": "/etc/ssl/extra", "readOnly": True} in pod["containers"][0]["volumeMounts"]
    assert pod["imagePullSecrets"] == [{"name": "mirror"}]
    assert (pod["schedulerName"], pod["runtimeClassName"]) == ("volcano", "nvidia")
    assert job["metadata"]["labels"]["cost-centre"] == "7"


def test_a_volume_with_a_name_of_ours_is_an_error_that_names_the_field() -> None:
    volume = {"name": "tmp", "mountPath": "/x", "emptyDir": {}}
    with pytest.raises(ConfigurationError, match=r"^jobs\.defaults\[1\]\.template\.volumes\[0\]\.name: tmp is used"):
        check_defaults([a_default({}), a_default({"volumes": [volume]})])
