"""The operator's Deployment and its pod."""

import copy
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from deepsynth_images.recipe import read_version
from deepsynth_operator.core.job_defaults import JobDefault, parse_job_defaults
from deepsynth_operator.core.settings import Settings
from deepsynth_operator.process.settings import ProcessSettings
from support.helm_chart import EVERYTHING_ON, NAMESPACE, Manifest, render

VERSION = read_version()


def find_violations(pod: Manifest) -> set[str]:
    """The rules of the restricted level of Pod Security that a pod violates."""
    found: set[str] = set()
    of_pod = pod.get("securityContext", {})
    if any(pod.get(field) for field in ("hostNetwork", "hostPID", "hostIPC")):
        found.add("host namespaces")
    allowed = {
        "configMap",
        "csi",
        "downwardAPI",
        "emptyDir",
        "ephemeral",
        "persistentVolumeClaim",
        "projected",
        "secret",
    }
    if any(set(volume) - {"name"} - allowed for volume in pod.get("volumes", [])):
        found.add("volume types")
    for container in [*pod.get("initContainers", []), *pod["containers"]]:
        own = container.get("securityContext", {})
        if own.get("privileged") or any(port.get("hostPort") for port in container.get("ports", [])):
            found.add("privileged or host ports")
        if own.get("allowPrivilegeEscalation") is not False:
            found.add("privilege escalation")
        if own.get("capabilities", {}).get("drop") != ["ALL"] or own["capabilities"].get("add", []) not in (
            [],
            ["NET_BIND_SERVICE"],
        ):
            found.add("capabilities")
        if own.get("runAsNonRoot", of_pod.get("runAsNonRoot")) is not True:
            found.add("running as root")
        if 0 in (own.get("runAsUser"), of_pod.get("runAsUser")):
            found.add("running as root")
        profile = own.get("seccompProfile", of_pod.get("seccompProfile", {}))
        if profile.get("type") not in ("RuntimeDefault", "Localhost"):
            found.add("seccomp")
    return found


@pytest.mark.parametrize("values", [{}, EVERYTHING_ON, {"watchNamespaces": ["team-a"]}])
def test_the_pod_passes_the_restricted_level_of_pod_security(values: Mapping[str, Any]) -> None:
    assert find_violations(render(values).pod) == set()


@pytest.mark.parametrize(
    ("spoil", "violation"),
    [
        (lambda pod: pod["securityContext"].pop("runAsNonRoot"), "running as root"),
        (lambda pod: pod["securityContext"].update(runAsUser=0), "running as root"),
        (lambda pod: pod["securityContext"].pop("seccompProfile"), "seccomp"),
        (lambda pod: pod["containers"][0]["securityContext"].pop("capabilities"), "capabilities"),
        (lambda pod: pod["containers"][0]["securityContext"].pop("allowPrivilegeEscalation"), "privilege escalation"),
        (lambda pod: pod.update(hostNetwork=True), "host namespaces"),
        (lambda pod: pod.update(volumes=[{"name": "host", "hostPath": {"path": "/"}}]), "volume types"),
    ],
)
def test_a_pod_that_is_not_restricted_is_found(spoil: Callable[[Manifest], None], violation: str) -> None:
    pod = copy.deepcopy(render().pod)
    spoil(pod)
    assert find_violations(pod) == {violation}


def test_the_root_file_system_is_read_only_and_the_user_is_the_image_s() -> None:
    assert render().container["securityContext"]["readOnlyRootFilesystem"] is True
    context = render().pod["securityContext"]
    assert {context[field] for field in ("runAsUser", "runAsGroup", "fsGroup")} == {65532}


def test_the_cluster_can_choose_the_user() -> None:
    """OpenShift assigns a range of user IDs to each namespace."""
    unset = {"runAsUser": None, "runAsGroup": None, "fsGroup": None}
    context = render({"podSecurityContext": unset}).pod["securityContext"]
    assert set(context) == {"runAsNonRoot", "seccompProfile"}


def test_only_one_operator_runs_at_a_time_and_nothing_blocks_a_drain() -> None:
    spec = render(EVERYTHING_ON).find("Deployment")["spec"]
    assert (spec["replicas"], spec["strategy"]) == (1, {"type": "Recreate"})
    assert render(EVERYTHING_ON).find_all("PodDisruptionBudget") == []


def test_several_operators_share_a_lease_and_are_replaced_one_by_one() -> None:
    rendered = render({"replicas": 2})
    spec = rendered.find("Deployment")["spec"]
    assert (spec["replicas"], spec["strategy"]) == (2, {"type": "RollingUpdate"})
    assert ProcessSettings.from_environment(rendered.environment).lease == (NAMESPACE, "deepsynth")
    assert ProcessSettings.from_environment(render().environment).lease is None


def test_a_drain_takes_one_of_several_operators_at_a_time() -> None:
    rendered = render({"replicas": 2})
    budget = rendered.find("PodDisruptionBudget")["spec"]
    assert budget["maxUnavailable"] == 1
    assert budget["selector"] == rendered.find("Deployment")["spec"]["selector"]


def test_several_operators_prefer_different_nodes_unless_an_affinity_is_given() -> None:
    rendered = render({"replicas": 2})
    terms = rendered.pod["affinity"]["podAntiAffinity"]["preferredDuringSchedulingIgnoredDuringExecution"]
    spread = {term["podAffinityTerm"]["topologyKey"]: term["weight"] for term in terms}
    assert spread == {"kubernetes.io/hostname": 100, "topology.kubernetes.io/zone": 50}
    selector = rendered.find("Deployment")["spec"]["selector"]
    assert all(term["podAffinityTerm"]["labelSelector"] == selector for term in terms)
    assert render({"replicas": 2, "affinity": {"nodeAffinity": {}}}).pod["affinity"] == {"nodeAffinity": {}}


def test_the_grace_period_of_the_pod_is_longer_than_the_operator_s() -> None:
    assert render({"shutdownSeconds": 60}).pod["terminationGracePeriodSeconds"] > 60 + 5


def test_the_probes_use_the_paths_and_the_port_of_the_operator() -> None:
    container = render().container
    (port,) = container["ports"]
    settings = ProcessSettings.from_environment(render().environment)
    assert port["containerPort"] == settings.http_port
    liveness, readiness = (container[f"{name}Probe"]["httpGet"] for name in ("liveness", "readiness"))
    assert liveness == {"path": "/healthz", "port": port["name"]}
    assert readiness == {"path": "/readyz", "port": port["name"]}


def test_the_chart_s_defaults_are_the_operator_s_defaults() -> None:
    environment = render().environment
    assert Settings.from_environment(environment) == Settings()
    assert ProcessSettings.from_environment(environment) == ProcessSettings()


def test_the_operator_reads_every_value_from_its_environment() -> None:
    values = {
        "watchNamespaces": ["team-a", "team-b"],
        "pollSeconds": 30,
        "workers": 4,
        "reportsThroughApiServer": True,
        "shutdownSeconds": 40,
        "logging": {"format": "json", "level": "debug"},
    }
    environment = render(values).environment
    settings = Settings.from_environment(environment)
    assert (settings.poll_seconds, settings.log_format) == (30, "json")
    assert ProcessSettings.from_environment(environment) == ProcessSettings(
        namespaces=("team-a", "team-b"),
        workers=4,
        reports_through_api_server=True,
        log_format="json",
        log_level="debug",
        shutdown_seconds=40,
    )


def test_defaults_for_jobs_reach_the_operator_as_a_file_that_may_change() -> None:
    entries = [
        {"template": {"env": [{"name": "HTTPS_PROXY", "value": "http://proxy:3128"}], "nodeSelector": {"gpu": "true"}}},
        {"kinds": ["TrainingRun"], "namespaces": ["team-a"], "template": {"runtimeClassName": "nvidia"}},
    ]
    rendered = render({"jobs": {"defaults": entries}})
    config_map = rendered.find("ConfigMap")
    read = parse_job_defaults(config_map["data"]["defaults.yaml"])
    assert read == tuple(JobDefault.model_validate(entry) for entry in entries)
    path = ProcessSettings.from_environment(rendered.environment).job_defaults
    assert path is not None
    (mount,), (volume,) = rendered.container["volumeMounts"], rendered.pod["volumes"]
    assert str(path) == f"{mount['mountPath']}/defaults.yaml"
    assert "subPath" not in mount, "a mounted file by subPath is never updated"
    assert volume["configMap"]["name"] == config_map["metadata"]["name"]
    assert render().find_all("ConfigMap") == []


DIGEST = f"sha256:{'0' * 64}"


@pytest.mark.parametrize(
    ("image", "registry", "expected"),
    [
        ({}, "ghcr.io", f"ghcr.io/deepsynth/deepsynth-cpu:{VERSION}"),
        ({"tag": "dev"}, "", "deepsynth/deepsynth-cpu:dev"),
        ({"repository": "deepsynth-cpu", "tag": "dev"}, "", "deepsynth-cpu:dev"),
        ({}, "mirror.local:5000/cache", f"mirror.local:5000/cache/deepsynth/deepsynth-cpu:{VERSION}"),
        ({"registry": "other.local"}, "ghcr.io", f"other.local/deepsynth/deepsynth-cpu:{VERSION}"),
        ({"tag": "dev", "digest": DIGEST}, "ghcr.io", f"ghcr.io/deepsynth/deepsynth-cpu@{DIGEST}"),
    ],
)
def test_the_name_of_an_image_is_built_from_registry_repository_tag_and_digest(
    image: Mapping[str, str], registry: str, expected: str
) -> None:
    rendered = render({"images": {"registry": registry, "operator": image, "renderer": image}})
    assert rendered.container["image"] == expected
    assert rendered.environment["DEEPSYNTH_RENDER_IMAGE"] == expected


def test_the_images_of_jobs_have_their_own_values() -> None:
    images = {"registry": "", "trainer": {"repository": "ours/trainer", "tag": "v3"}, "renderer": {"tag": "v2"}}
    environment = render({"images": images}).environment
    assert environment["DEEPSYNTH_TRAIN_IMAGE"] == "ours/trainer:v3"
    assert environment["DEEPSYNTH_RENDER_IMAGE"] == "deepsynth/deepsynth-cpu:v2"


@pytest.mark.parametrize(
    ("value", "setting"),
    [
        ("nodeSelector", {"kubernetes.io/arch": "amd64"}),
        ("tolerations", [{"key": "infra", "operator": "Exists"}]),
        ("affinity", {"nodeAffinity": {}}),
        ("priorityClassName", "system-cluster-critical"),
        ("imagePullSecrets", [{"name": "registry-login"}]),
        ("topologySpreadConstraints", [{"maxSkew": 1, "topologyKey": "zone", "whenUnsatisfiable": "ScheduleAnyway"}]),
    ],
)
def test_scheduling_fields_are_set_only_if_they_are_given(value: str, setting: Any) -> None:
    assert value not in render().pod
    assert render({value: setting}).pod[value] == setting


def test_labels_annotations_and_environment_of_the_pod_can_be_extended() -> None:
    variable = {"name": "HTTPS_PROXY", "value": "http://proxy:3128"}
    values = {"podLabels": {"team": "vision"}, "podAnnotations": {"mesh": "off"}, "extraEnv": [variable]}
    rendered = render(values)
    metadata = rendered.find("Deployment")["spec"]["template"]["metadata"]
    assert metadata["labels"]["team"] == "vision"
    assert metadata["annotations"] == {"mesh": "off"}
    assert variable in rendered.container["env"]
    assert "team" not in rendered.find("Deployment")["metadata"]["labels"]


def test_only_the_operator_s_pod_gets_a_token() -> None:
    assert render().find("ServiceAccount")["automountServiceAccountToken"] is False
    assert render().pod["automountServiceAccountToken"] is True


@pytest.mark.parametrize(
    ("account", "name", "made"),
    [
        ({}, "deepsynth", True),
        ({"name": "somebody"}, "somebody", True),
        ({"create": False}, "default", False),
        ({"create": False, "name": "somebody"}, "somebody", False),
    ],
)
def test_a_service_account_is_created_or_an_existing_one_is_used(
    account: Mapping[str, Any], name: str, made: bool
) -> None:
    rendered = render({"serviceAccount": account})
    assert rendered.pod["serviceAccountName"] == name
    assert [found["metadata"]["name"] for found in rendered.find_all("ServiceAccount")] == ([name] if made else [])
    (subject,) = rendered.find("ClusterRoleBinding")["subjects"]
    assert subject["name"] == name


@pytest.mark.parametrize(
    ("openshift", "apis", "is_chosen"),
    [
        ("auto", (), False),
        ("auto", ("security.openshift.io/v1",), True),
        (True, (), True),
        (False, ("security.openshift.io/v1",), False),
    ],
)
def test_on_openshift_the_namespace_chooses_the_users_of_all_pods(
    openshift: str | bool, apis: tuple[str, ...], is_chosen: bool
) -> None:
    rendered = render({"openshift": openshift, "dashboard": {"enabled": True}}, apis=apis)
    contexts = [item["spec"]["template"]["spec"]["securityContext"] for item in rendered.find_all("Deployment")]
    assert len(contexts) == 2
    for context in contexts:
        assert context["runAsNonRoot"]
        assert ("runAsUser" in context, "runAsGroup" in context, "fsGroup" in context) == (not is_chosen,) * 3
    operator = next(item for item in rendered.find_all("Deployment") if item["metadata"]["name"] == "deepsynth")
    (container,) = operator["spec"]["template"]["spec"]["containers"]
    assert Settings.from_environment({v["name"]: v.get("value", "") for v in container["env"]}).openshift is is_chosen
