"""Defaults for Jobs in the chart: Helm refuses what the operator would refuse, and takes what it takes."""

from typing import Any

import pytest
import yaml

from deepsynth_api.errors import ConfigurationError
from deepsynth_operator.core.job_defaults import parse_job_defaults
from deepsynth_operator.manifests.defaults import check_defaults
from support.helm_chart import RenderError, render

SECRET = {"secretKeyRef": {"name": "proxy", "key": "address"}}
CLAIM = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "10Gi"}}}
VALID: dict[str, dict[str, Any]] = {
    "nothing": {},
    "variables": {"env": [{"name": "A", "value": ""}, {"name": "B", "valueFrom": SECRET}]},
    "certificates": {"volumes": [{"name": "ca", "mountPath": "/ca", "readOnly": True, "configMap": {"name": "ca"}}]},
    "scratch": {"volumes": [{"name": "scratch", "mountPath": "/scratch", "emptyDir": {"sizeLimit": 1000}}]},
    "a claim": {
        "volumes": [{"name": "c", "mountPath": "/c", "ephemeral": {"volumeClaimTemplate": {"spec": CLAIM}}}],
    },
    "scheduling": {
        "nodeSelector": {"example.com/pool": "gpu"},
        "priorityClassName": "high",
        "runtimeClassName": "nvidia",
        "schedulerName": "volcano",
        "tolerations": [{"operator": "Exists"}, {"key": "gpu", "value": "yes", "effect": "NoSchedule"}],
    },
    "names": {"labels": {"team": ""}, "annotations": {"note": "any text"}, "imagePullSecrets": [{"name": "login"}]},
}
INVALID: dict[str, tuple[dict[str, Any], str]] = {
    "unknown field of a variable": ({"env": [{"name": "A", "valueOf": "b"}]}, "env/0"),
    "variable without a value": ({"env": [{"name": "A"}]}, "env/0"),
    "variable with both": ({"env": [{"name": "A", "value": "b", "valueFrom": SECRET}]}, "env/0"),
    "no source": ({"env": [{"name": "A", "valueFrom": {}}]}, "env/0/valueFrom"),
    "source without its key": ({"env": [{"name": "A", "valueFrom": {"secretKeyRef": {"name": "a"}}}]}, "secretKeyRef"),
    "number as value": ({"env": [{"name": "A", "value": 1}]}, "env/0/value"),
    "wrong name": ({"env": [{"name": "1A", "value": "b"}]}, "env/0/name"),
    "reserved name": ({"env": [{"name": "RANK", "value": "1"}]}, "env/0/name"),
    "reserved prefix": ({"env": [{"name": "DEEPSYNTH_X", "value": "1"}]}, "env/0/name"),
    "unknown operator": ({"tolerations": [{"key": "a", "operator": "In"}]}, "tolerations/0/operator"),
    "toleration without a key": ({"tolerations": [{"value": "a"}]}, "tolerations/0"),
    "toleration with an empty key": ({"tolerations": [{"key": "", "value": "a"}]}, "tolerations/0"),
    "volume without a type": ({"volumes": [{"name": "a", "mountPath": "/a"}]}, "volumes/0"),
    "volume of two types": (
        {"volumes": [{"name": "a", "mountPath": "/a", "emptyDir": {}, "secret": {"secretName": "a"}}]},
        "volumes/0",
    ),
    "volume of the operator": ({"volumes": [{"name": "shm", "mountPath": "/a", "emptyDir": {}}]}, "volumes/0/name"),
    "relative path": ({"volumes": [{"name": "a", "mountPath": "a", "emptyDir": {}}]}, "volumes/0/mountPath"),
    "unknown type of volume": ({"volumes": [{"name": "a", "mountPath": "/a", "hostPath": {}}]}, "volumes/0"),
    "class with a space": ({"schedulerName": "A B"}, "schedulerName"),
    "label key with a space": ({"labels": {"a b": "c"}}, "labels"),
    "label value with a space": ({"nodeSelector": {"a": "b c"}}, "nodeSelector/a"),
    "number as label": ({"labels": {"a": 1}}, "labels/a"),
    "secret with a path": ({"imagePullSecrets": [{"name": "a/b"}]}, "imagePullSecrets/0/name"),
    "pull secret with more": ({"imagePullSecrets": [{"name": "a", "key": "b"}]}, "imagePullSecrets/0"),
}


def read(template: dict[str, Any]) -> None:
    check_defaults(parse_job_defaults(yaml.safe_dump([{"template": template}])))


@pytest.mark.parametrize("template", VALID.values(), ids=VALID)
def test_helm_and_the_operator_take_a_valid_default(template: dict[str, Any]) -> None:
    render({"jobs": {"defaults": [{"template": template}]}})
    read(template)


@pytest.mark.parametrize(("template", "where"), INVALID.values(), ids=INVALID)
def test_helm_refuses_what_the_operator_would_refuse_and_names_the_field(template: dict[str, Any], where: str) -> None:
    with pytest.raises(ConfigurationError):
        read(template)
    with pytest.raises(RenderError) as refused:
        render({"jobs": {"defaults": [{"template": template}]}})
    assert "/jobs/defaults/0/template" in str(refused.value)
    assert where in str(refused.value)
