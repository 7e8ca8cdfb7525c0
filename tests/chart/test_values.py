"""Every value is documented, has an effect, and is checked by the schema."""

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from deepsynth_generators import values_table
from deepsynth_images.recipe import read_version
from deepsynth_operator.core.settings import Settings
from support.helm_chart import CHART, EVERYTHING_ON, RenderError, merge, nest, render, run_helm

VALUES = (CHART / "values.yaml").read_text()
DEFAULTS = yaml.safe_load(VALUES)
SCHEMA = json.loads((CHART / "values.schema.json").read_text())
FREE_FORM = {"podSecurityContext", "securityContext", "resources"}
"""Objects of the Kubernetes API, which have one row in the table of values."""

PEER = {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "monitoring"}}}
SPREAD = {"maxSkew": 1, "topologyKey": "zone", "whenUnsatisfiable": "ScheduleAnyway"}
CA_VOLUME = {"name": "ca", "configMap": {"name": "ca-bundle"}}
DIGEST = f"sha256:{'a' * 64}"
OTHER_IMAGE = {"registry": "mirror.local:5000", "repository": "ours/other", "tag": "v9", "digest": DIGEST}
OTHER_VALUES: Mapping[str, Any] = {
    "fullnameOverride": "ds",
    "commonLabels": {"team": "vision"},
    "commonAnnotations": {"team": "vision"},
    "images.registry": "mirror.local:5000",
    "images.pullPolicy": "Always",
    **{
        f"images.{image}.{key}": value
        for image in ("operator", "renderer", "trainer")
        for key, value in OTHER_IMAGE.items()
    },
    "imagePullSecrets": [{"name": "registry-login"}],
    "watchNamespaces": ["team-a"],
    "pollSeconds": 30,
    "replicas": 2,
    "workers": 4,
    "reportsThroughApiServer": True,
    "jobs.defaults": [{"template": {"schedulerName": "volcano"}}],
    "jobs.gangSchedulers": {"default-scheduler": "kubernetes-v1beta1"},
    "jobs.networkPolicy.enabled": False,
    "jobs.networkPolicy.reportsFrom": [PEER, {"ipBlock": {"cidr": "192.0.2.0/24"}}],
    "shutdownSeconds": 40,
    "openshift": True,
    "prices.currency": "EUR",
    "prices.entries": [{"nodeLabels": {"pool": "gpu"}, "perHour": {"nvidia.com/gpu": 3.06}}],
    "logging.format": "json",
    "logging.level": "debug",
    "crds.enabled": False,
    "crds.keep": False,
    "serviceAccount.create": False,
    "serviceAccount.name": "somebody",
    "serviceAccount.annotations": {"role": "arn"},
    "rbac.create": False,
    "rbac.readNodes": False,
    "rbac.readWorkloads": True,
    "rbac.aggregate": False,
    "podLabels": {"team": "vision"},
    "podAnnotations": {"sidecar.istio.io/inject": "false"},
    "extraEnv": [{"name": "HTTPS_PROXY", "value": "http://proxy:3128"}],
    "extraVolumes": [CA_VOLUME],
    "extraVolumeMounts": [{"name": "ca", "mountPath": "/etc/ssl/ours", "readOnly": True}],
    "resources": {"limits": {"memory": "1Gi"}},
    "podSecurityContext": {"runAsUser": 1000},
    "securityContext": {"capabilities": {"drop": ["NET_RAW"]}},
    "priorityClassName": "system-cluster-critical",
    "nodeSelector": {"kubernetes.io/arch": "amd64"},
    "tolerations": [{"operator": "Exists"}],
    "affinity": {"nodeAffinity": {}},
    "topologySpreadConstraints": [SPREAD],
    "metrics.service.annotations": {"prometheus.io/scrape": "true"},
    **{f"metrics.{name}.enabled": False for name in ("serviceMonitor", "podMonitor", "prometheusRule")},
    **{f"metrics.{name}.labels": {"release": "p"} for name in ("serviceMonitor", "podMonitor", "prometheusRule")},
    **{f"metrics.{name}.interval": "1m" for name in ("serviceMonitor", "podMonitor")},
    "metrics.prometheusRule.checkpointAgeSeconds": 60,
    "metrics.prometheusRule.failedAttemptsPerHour": 9,
    "metrics.prometheusRule.runbookBaseUrl": "https://docs.example.com/runbooks",
    "metrics.dashboards.enabled": False,
    "metrics.dashboards.labels": {"grafana": "boards"},
    "metrics.dashboards.annotations": {"grafana_folder": "DeepSynth"},
    "notifications.webhook.url": "http://events:8080/",
    "notifications.webhook.secretName": "other",
    "networkPolicy.enabled": False,
    "networkPolicy.metricsFrom": [PEER],
    "networkPolicy.apiServerCIDRs": ["192.0.2.0/24"],
    "networkPolicy.apiServerPorts": [16443],
    "dashboard.enabled": True,
    "dashboard.accessFrom": [PEER],
    "dashboard.hosts": ["pages.example.org"],
    "dashboard.claims": ["checkpoints"],
    "dashboard.resources": {"limits": {"memory": "1Gi"}},
}


REQUIRED_WITH: Mapping[str, Any] = {
    "metrics.serviceMonitor.enabled": {"metrics": {"prometheusRule": {"enabled": False}}},
    **{f"dashboard.{key}": {"dashboard": {"enabled": True}} for key in ("accessFrom", "hosts", "claims", "resources")},
}
"""What else must be set with a value above: path -> values."""


def list_paths(values: Mapping[str, Any], above: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    for key, value in values.items():
        path = (*above, key)
        if isinstance(value, Mapping) and value and key not in FREE_FORM:
            yield from list_paths(value, path)
        else:
            yield path


def list_schema_paths(schema: Mapping[str, Any], above: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    for key, found in schema.get("properties", {}).items():
        reference = found.get("$ref", "").removeprefix("#/definitions/")
        child = SCHEMA["definitions"][reference] if reference else found
        path = (*above, key)
        yield from list_schema_paths(child, path) if "properties" in child and key not in FREE_FORM else [path]


def list_nodes(schema: object) -> Iterator[Mapping[str, Any]]:
    if isinstance(schema, Mapping):
        yield schema
        for child in schema.values():
            yield from list_nodes(child)


def test_every_value_is_documented() -> None:
    documented = {value.path for value in values_table.read_values(VALUES)}
    assert documented == set(list_paths(DEFAULTS))


def test_the_table_of_values_is_up_to_date() -> None:
    readme = (CHART / "README.md").read_text()
    assert values_table.render_readme(readme, VALUES) == readme


def test_a_readme_without_the_marks_is_an_error_that_shows_them() -> None:
    with pytest.raises(ValueError, match="end of values"):
        values_table.render_readme("# DeepSynth\n", VALUES)


def test_the_guides_use_values_that_exist() -> None:
    text = "".join((CHART.parents[1] / f"docs/operations/{name}.md").read_text() for name in ("install", "security"))
    named = {*re.findall(r"--set '?([\w.]+)=", text), *re.findall(r"`([\w.]+)(?:=\w+)?`", text)}
    values = {name for name in named if name.split(".")[0] in DEFAULTS}
    assert len(values) > 10
    known = {".".join(path) for path in list_paths(DEFAULTS)}
    known |= {f"{name}.{field}" for name in FREE_FORM for field in DEFAULTS[name]}
    assert values <= known


def test_the_schema_has_every_value_and_those_of_parent_charts() -> None:
    assert set(list_schema_paths(SCHEMA)) == {*list_paths(DEFAULTS), ("global",), ("enabled",)}


def test_the_schema_rejects_unknown_keys_in_our_own_objects() -> None:
    with_properties = [
        node for node in list_nodes(SCHEMA) if isinstance(node.get("properties"), Mapping) and "type" in node
    ]
    assert len(with_properties) > 10
    assert [node for node in with_properties if node.get("additionalProperties") is not False] == []


def test_every_value_has_another_value_to_test_with() -> None:
    assert set(OTHER_VALUES) == {".".join(path) for path in list_paths(DEFAULTS)}


@pytest.mark.parametrize("path", OTHER_VALUES)
def test_every_value_changes_something(path: str) -> None:
    base = merge(EVERYTHING_ON, REQUIRED_WITH.get(path, {}))
    changed = merge(base, nest(path.split("."), OTHER_VALUES[path]))
    assert render(changed).text != render(base).text


@pytest.mark.parametrize(
    ("path", "value", "words"),
    [
        ("replicaCount", 2, "replicaCount"),
        ("image", {"tag": "v1"}, "'image' not allowed"),
        ("images.operator.tags", "v1", "'tags' not allowed"),
        ("images.sidecar", {}, "'sidecar' not allowed"),
        ("images.operator.tag", 1.0, "/images/operator/tag"),
        ("images.operator.tag", "a b", "/images/operator/tag"),
        ("images.operator.digest", "sha256:abc", "/images/operator/digest"),
        ("images.operator.repository", "", "/images/operator/repository"),
        ("images.operator.repository", "Ours/Operator", "/images/operator/repository"),
        ("images.registry", "mirror.local/", "/images/registry"),
        ("images.pullPolicy", "Sometimes", "/images/pullPolicy"),
        ("imagePullSecrets", ["registry-login"], "/imagePullSecrets/0"),
        ("watchNamespaces", "team-a", "/watchNamespaces"),
        ("watchNamespaces", ["Team A"], "/watchNamespaces/0"),
        ("watchNamespaces", ["team-a", "team-a"], "/watchNamespaces"),
        ("pollSeconds", 0, "/pollSeconds"),
        ("pollSeconds", "15s", "/pollSeconds"),
        ("workers", 0, "/workers"),
        ("replicas", 0, "/replicas"),
        ("shutdownSeconds", 0, "/shutdownSeconds"),
        ("reportsThroughApiServer", "yes", "/reportsThroughApiServer"),
        ("prices", {"currency": "dollars"}, "/prices/currency"),
        ("prices", {"currency": "", "entries": [{"perHour": {"cpu": 1}}]}, "/prices/currency"),
        ("prices", {"currency": "USD", "entries": [{"perHour": {"cpu": -1}}]}, "/prices/entries/0/perHour/cpu"),
        ("prices", {"currency": "USD", "entries": [{"perHour": {}}]}, "/prices/entries/0/perHour"),
        ("logging.format", "logfmt", "/logging/format"),
        ("logging.level", "INFO", "/logging/level"),
        ("logging.colour", True, "'colour' not allowed"),
        ("crds.install", True, "'install' not allowed"),
        ("crds.keep", "true", "/crds/keep"),
        ("serviceAccount.labels", {}, "'labels' not allowed"),
        ("serviceAccount.annotations", {"role": 1}, "/serviceAccount/annotations/role"),
        ("rbac.clusterScoped", True, "'clusterScoped' not allowed"),
        ("commonLabels", {"team": None, "tier": 1}, "/commonLabels/tier"),
        ("fullnameOverride", "Deep_Synth", "/fullnameOverride"),
        ("fullnameOverride", "d" * 64, "/fullnameOverride"),
        ("extraEnv", {"HTTPS_PROXY": "http://proxy"}, "/extraEnv"),
        ("extraEnv", [{"value": "http://proxy"}], "/extraEnv/0"),
        ("extraEnv", [{"name": "DEEPSYNTH_WORKERS", "value": "1"}], "/extraEnv/0/name"),
        ("extraVolumes", [{"configMap": {"name": "ca-bundle"}}], "/extraVolumes/0"),
        ("extraVolumeMounts", [{"name": "ca"}], "/extraVolumeMounts/0"),
        ("resources.limit", {"memory": "1Gi"}, "'limit' not allowed"),
        ("tolerations", {"operator": "Exists"}, "/tolerations"),
        ("nodeSelector", {"gpu": True}, "/nodeSelector/gpu"),
        ("metrics.enabled", True, "'enabled' not allowed"),
        ("metrics.serviceMonitor.interval", "often", "/metrics/serviceMonitor/interval"),
        ("metrics.podMonitor.namespace", "monitoring", "'namespace' not allowed"),
        ("metrics.prometheusRule.checkpointAgeSeconds", 0, "checkpointAgeSeconds"),
        ("networkPolicy.apiServerCIDRs", ["192.0.2.1"], "/networkPolicy/apiServerCIDRs/0"),
        ("jobs.defaults", {"template": {}}, "/jobs/defaults"),
        ("jobs.defaults", [{"template": {"resources": {}}}], "'resources' not allowed"),
        ("jobs.defaults", [{"template": {}, "kinds": ["Job"]}], "/jobs/defaults/0/kinds/0"),
        ("jobs.networkPolicy.reportsFrom", {}, "/jobs/networkPolicy/reportsFrom"),
        ("networkPolicy.apiServerPorts", [], "/networkPolicy/apiServerPorts"),
        ("networkPolicy.apiServerPorts", [70000], "/networkPolicy/apiServerPorts/0"),
        ("dashboard.claims", ["a/b"], "/dashboard/claims/0"),
        ("dashboard.hosts", ["https://a"], "/dashboard/hosts/0"),
        ("images", None, "missing property 'images'"),
        ("images.trainer", None, "missing property 'trainer'"),
    ],
)
def test_the_schema_rejects_a_wrong_value_and_shows_its_path(path: str, value: Any, words: str) -> None:
    with pytest.raises(RenderError) as refused:
        render(nest(path.split("."), value))
    assert words in str(refused.value)


@pytest.mark.parametrize(
    "values", [{}, EVERYTHING_ON, {"watchNamespaces": ["team-a"]}], ids=["default", "all", "namespaced"]
)
def test_helm_lint_finds_no_problems(values: Mapping[str, Any]) -> None:
    done = run_helm("lint", "--strict", str(CHART), values=values)
    assert done.returncode == 0, done.stdout
    assert "[WARNING]" not in done.stdout


def test_chart_and_operator_have_the_version_of_the_project() -> None:
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())
    assert chart["version"] == chart["appVersion"] == read_version()
    assert Settings().render_image.endswith(f"-cpu:{read_version()}")
    assert Settings().train_image.endswith(f"-gpu:{read_version()}")


def test_the_chart_works_as_a_dependency_of_another_chart(tmp_path: Path) -> None:
    """Helm passes the parent's `global` values and the condition `enabled`."""
    (tmp_path / "charts").mkdir()
    (tmp_path / "charts" / "deepsynth").symlink_to(CHART)
    dependency = {"name": "deepsynth", "version": read_version(), "condition": "deepsynth.enabled"}
    chart = {"apiVersion": "v2", "name": "platform", "version": "1.0.0", "dependencies": [dependency]}
    (tmp_path / "Chart.yaml").write_text(yaml.safe_dump(chart))
    values = {"global": {"cluster": "eu-1"}, "deepsynth": {"enabled": True, "workers": 3}}
    rendered = render(values, release="platform", chart=tmp_path)
    assert rendered.find("Deployment")["metadata"]["name"] == "platform-deepsynth"
    assert rendered.environment["DEEPSYNTH_WORKERS"] == "3"
    assert render({"deepsynth": {"enabled": False}}, release="platform", chart=tmp_path).objects == ()
