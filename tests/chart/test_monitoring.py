"""Monitors, alerts and the network policy match the operator and its Jobs."""

import asyncio
import json
import re
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any, cast, get_args

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from deepsynth_api.kinds import KINDS
from deepsynth_api.labels import OWNER_KIND, OWNER_NAME_ANNOTATION
from deepsynth_api.v1alpha1.dataset_generation_status import GenerationState
from deepsynth_api.v1alpha1.training_run_status import AttemptOutcome, RunState
from deepsynth_api.workload import REPORT_PORT
from deepsynth_operator.controller.controller import Controller
from deepsynth_operator.controller.work_queue import WorkQueue
from deepsynth_operator.core.errors import NotPermitted
from deepsynth_operator.core.observed import COMPLETION_INDEX_ANNOTATION
from deepsynth_operator.core.resource_key import ResourceKey
from deepsynth_operator.core.settings import Settings
from deepsynth_operator.kubernetes.reports.report_reader import PollResult
from deepsynth_operator.kubernetes.watches.resource_cache import ResourceCache
from deepsynth_operator.process.metrics import Metrics
from deepsynth_operator.process.settings import ProcessSettings
from support.golden_files import FOLDER
from support.helm_chart import CHART, EVERYTHING_ON, NAMESPACE, Manifest, RenderError, merge, render
from support.resources.builders import a_training_run

MONITORING = CHART.parents[1] / "docs" / "operations/monitoring.md"
RUNBOOKS = CHART.parents[1] / "docs" / "operations/runbooks.md"
SCRAPED = {"job", "namespace"}
"""Labels that Prometheus adds."""


def select(selector: Manifest, labels: dict[str, str]) -> bool:
    return bool(selector["matchLabels"].items() <= labels.items())


def read_golden(name: str) -> list[str]:
    return (FOLDER / "api" / f"{name}.txt").read_text().splitlines()


def list_job_pods() -> Iterator[Manifest]:
    """Pod templates of every kind of Job that the operator creates."""
    for path in FOLDER.glob("*.yaml"):
        for manifest in yaml.safe_load_all(path.read_text()):
            if manifest["kind"] == "Job":
                yield manifest["spec"]["template"]


def test_the_service_monitor_finds_the_operator_through_its_service() -> None:
    rendered = render(EVERYTHING_ON)
    service, monitor = rendered.find("Service"), rendered.find("ServiceMonitor")
    (endpoint,) = monitor["spec"]["endpoints"]
    (port,) = [port for port in service["spec"]["ports"] if port["name"] == endpoint["port"]]
    assert select(monitor["spec"]["selector"], service["metadata"]["labels"])
    assert endpoint["path"] == "/metrics"
    assert port["targetPort"] in {port["name"] for port in rendered.container["ports"]}
    pod_labels = rendered.find("Deployment")["spec"]["template"]["metadata"]["labels"]
    assert service["spec"]["selector"].items() <= pod_labels.items()


def test_alerts_without_metrics_are_rejected() -> None:
    with pytest.raises(RenderError, match=r"prometheusRule.enabled needs metrics.serviceMonitor.enabled"):
        render({"metrics": {"prometheusRule": {"enabled": True}}})


def test_the_pod_monitor_finds_the_pods_of_all_jobs_and_not_the_operator() -> None:
    rendered = render(EVERYTHING_ON)
    spec = rendered.find("PodMonitor")["spec"]
    (endpoint,) = spec["podMetricsEndpoints"]
    pods = list(list_job_pods())
    assert len(pods) >= 4
    for pod in pods:
        assert select(spec["selector"], pod["metadata"]["labels"])
        assert endpoint["port"] in {port["name"] for port in pod["spec"]["containers"][0]["ports"]}
    assert not select(spec["selector"], rendered.find("Deployment")["spec"]["template"]["metadata"]["labels"])


def test_series_of_pods_are_labelled_with_their_resource() -> None:
    (endpoint,) = render(EVERYTHING_ON).find("PodMonitor")["spec"]["podMetricsEndpoints"]
    taken = {source for rule in endpoint["relabelings"] for source in rule["sourceLabels"]}
    sources = {f"label_{OWNER_KIND}", f"annotation_{OWNER_NAME_ANNOTATION}", f"label_{COMPLETION_INDEX_ANNOTATION}"}
    assert taken == {"__meta_kubernetes_pod_" + re.sub(r"\W", "_", source) for source in sources}


def test_no_series_has_a_label_of_its_target() -> None:
    """Prometheus would rename it, such as namespace to exported_namespace, and rules would group by the wrong one."""
    (endpoint,) = render(EVERYTHING_ON).find("PodMonitor")["spec"]["podMetricsEndpoints"]
    assert "honorLabels" not in endpoint
    of_targets = {"namespace", "pod", "container", "job", "instance", "endpoint"}
    of_targets |= {rule["targetLabel"] for rule in endpoint["relabelings"]}
    pods = {label for line in read_golden("pod_metrics") for label in re.findall(r"{(.+)}", line)}
    operator = set().union(*collect_series().values())
    assert not of_targets & (pods | operator)


def test_the_pod_monitor_covers_the_watched_namespaces() -> None:
    def get_namespaces(values: dict[str, Any]) -> object:
        return render(merge(EVERYTHING_ON, values)).find("PodMonitor")["spec"]["namespaceSelector"]

    assert get_namespaces({}) == {"any": True}
    assert get_namespaces({"watchNamespaces": ["team-a", "team-b"]}) == {"matchNames": ["team-a", "team-b"]}


@pytest.mark.parametrize("kind", ["ServiceMonitor", "PodMonitor", "PrometheusRule"])
def test_objects_of_the_prometheus_operator_are_created_only_if_enabled(kind: str) -> None:
    assert render().find_all(kind) == []
    name = kind[0].lower() + kind[1:]
    scraped = {"metrics": {"serviceMonitor": {"enabled": kind != "PodMonitor"}}}
    rendered = render(merge(scraped, {"metrics": {name: {"enabled": True, "labels": {"release": "prometheus"}}}}))
    assert rendered.find(kind)["metadata"]["labels"]["release"] == "prometheus"


def list_rules() -> list[Manifest]:
    (group,) = render(EVERYTHING_ON).find("PrometheusRule")["spec"]["groups"]
    return list(group["rules"])


def collect_series() -> dict[str, set[str]]:
    """All series of the operator: name -> names of its labels."""
    metrics = Metrics()
    cache = ResourceCache()
    run = a_training_run().to_manifest()
    cache.put("TrainingRun", {**run, "metadata": {**run["metadata"], "resourceVersion": "1"}})
    metrics.watch(WorkQueue[ResourceKey](cast("Any", None)), cache, lambda: [("jobs", 0.0)])
    metrics.observe_reconcile("TrainingRun", "done", 1.0)
    metrics.show_currency("USD")
    metrics.count_request("get", "jobs", "200")
    families = text_string_to_metric_families(metrics.render().decode())
    series = {sample.name: set(sample.labels) for family in families for sample in family.samples}
    return {**series, "up": set()}


@pytest.mark.parametrize("rule", list_rules(), ids=lambda rule: rule["alert"])
def test_an_alert_queries_series_that_the_operator_exports(rule: Manifest) -> None:
    series = collect_series()
    asked = re.findall(r"(deepsynth_\w+|up)\{([^}]*)\}", rule["expr"])
    assert asked
    for name, matchers in asked:
        assert set(re.findall(r"(\w+)[=!]", matchers)) <= series[name] | SCRAPED, name
    assert set(re.findall(r"deepsynth_\w+", rule["expr"])) == {name for name, _ in asked} - {"up"}


def test_the_guide_lists_every_alert() -> None:
    guide = MONITORING.read_text()
    assert re.findall(r"^\| `(DeepSynth\w+)`", guide, re.MULTILINE) == [rule["alert"] for rule in list_rules()]


@pytest.mark.parametrize("rule", list_rules(), ids=lambda rule: rule["alert"])
def test_an_alert_says_what_happened_and_what_to_check(rule: Manifest) -> None:
    assert rule["labels"]["severity"] in {"warning", "critical"}
    assert {"summary", "description"} <= rule["annotations"].keys()
    labels = re.findall(r"\$labels\.(\w+)", str(rule["annotations"]))
    assert all(f"by (namespace, {label})" in rule["expr"] for label in labels)


def test_each_alert_links_to_its_section_of_the_runbooks() -> None:
    sections = re.findall(r"^## (DeepSynth\w+)$", RUNBOOKS.read_text(), re.MULTILINE)
    assert sections == [rule["alert"] for rule in list_rules()]
    for rule in list_rules():
        assert rule["annotations"]["runbook_url"] == f"docs/operations/runbooks.md#{rule['alert'].lower()}"


def test_the_runbooks_name_only_series_that_exist() -> None:
    named = set(re.findall(r"deepsynth_\w+", RUNBOOKS.read_text()))
    assert named <= {re.sub(r"_(bucket|count|sum)$", "", name) for name in collect_series()}


def list_boards() -> dict[str, Any]:
    return {
        name: json.loads(text)
        for config in render(EVERYTHING_ON).find_all("ConfigMap")
        if config["metadata"]["labels"].get("grafana_dashboard") == "1"
        for name, text in config["data"].items()
    }


def collect_all_series() -> dict[str, set[str]]:
    """Those of the operator, and those of pods with what their PodMonitor adds: name -> names of its labels."""
    (endpoint,) = render(EVERYTHING_ON).find("PodMonitor")["spec"]["podMetricsEndpoints"]
    added = {rule["targetLabel"] for rule in endpoint["relabelings"]}
    pods = {line.partition("{")[0]: added | {"pod"} for line in read_golden("pod_metrics")}
    return {name: labels | SCRAPED for name, labels in {**collect_series(), **pods}.items()}


def list_queries(board: Any) -> Iterator[tuple[str, str]]:
    """Each query of a board with its legend."""
    for panel in board["panels"]:
        for target in panel["targets"]:
            yield target["expr"], target["legendFormat"]


def test_the_boards_are_those_of_the_guide() -> None:
    boards = list_boards()
    titles = {board["title"] for board in boards.values()}
    assert set(re.findall(r"^\| (DeepSynth / \w+)", MONITORING.read_text(), re.MULTILINE)) == titles
    assert len({board["uid"] for board in boards.values()}) == len(boards) == 3
    assert render().find_all("ConfigMap") == []


@pytest.mark.parametrize("name", list_boards())
def test_a_board_queries_series_and_labels_that_are_exported(name: str) -> None:
    series, board = collect_all_series(), list_boards()[name]
    queries = list(list_queries(board))
    assert queries
    for query, legend in queries:
        asked = re.findall(r"(deepsynth_\w+)(?:\{([^}]*)\})?", query)
        assert asked, query
        for metric, matchers in asked:
            assert set(re.findall(r"(\w+)[=!]", matchers)) <= series[metric], query
        grouped = {label for group in re.findall(r"by \(([^)]*)\)", query) for label in re.split(r",\s*", group)}
        for metric, _ in asked:
            assert grouped - {"le"} <= series[metric], query
        assert set(re.findall(r"{{(\w+)}}", legend)) <= grouped, legend


@pytest.mark.parametrize("name", list_boards())
def test_the_variables_of_a_board_are_labels_that_are_exported(name: str) -> None:
    series, board = collect_all_series(), list_boards()[name]
    names = {variable["name"] for variable in board["templating"]["list"]}
    for variable in board["templating"]["list"]:
        if variable["type"] == "query":
            metric, label = re.findall(r"label_values\((deepsynth_\w+).*, (\w+)\)", variable["query"]["query"])[0]
            assert label in series[metric]
    used = set(re.findall(r"\$(\w+)", " ".join(query for query, _ in list_queries(board))))
    assert used <= names


@pytest.mark.parametrize("name", list_boards())
def test_values_in_the_queries_of_a_board_occur(name: str) -> None:
    """States and results are words of the status, which no test of series can know."""
    words = {*get_args(RunState), *get_args(GenerationState), *KINDS, "useful", "lost"}
    for query, _ in list_queries(list_boards()[name]):
        for value in re.findall(r'(?:kind|state|result)!?=~?"([^"$]+)"', query):
            assert set(value.split("|")) <= words, query


def test_alerts_keep_the_namespace_by_which_they_are_routed() -> None:
    for rule in list_rules():
        aggregations = re.findall(r"\b(?:sum|max|min)\b(?! by \(namespace)", rule["expr"])
        assert aggregations == [], rule["alert"]


def test_alerts_only_query_the_series_of_their_own_release() -> None:
    service = render(EVERYTHING_ON).find("Service")["metadata"]["name"]
    assert all(f'job="{service}",namespace="{NAMESPACE}"' in rule["expr"] for rule in list_rules())


class FailingCluster:
    def __init__(self, error: Exception) -> None:
        self._error = error

    async def get(self, *_: object) -> None:
        raise self._error


@pytest.mark.parametrize(("error", "result"), [(NotPermitted("no Role"), "refused"), (KeyError("uid"), "defect")])
def test_alerts_on_reconciles_use_results_that_occur(error: Exception, result: str) -> None:
    assert any(f'result="{result}"' in rule["expr"] for rule in list_rules())
    metrics = Metrics()
    controller = Controller(cast("Any", FailingCluster(error)), Settings(), metrics.observe_reconcile)
    with pytest.raises(type(error)):
        asyncio.run(controller.process(ResourceKey("TrainingRun", "default", "read-xsum")))
    assert f'deepsynth_reconciles_total{{kind="TrainingRun",result="{result}"}} 1.0' in metrics.render().decode()


def test_alerts_on_attempts_and_reports_use_values_that_occur() -> None:
    expressions = " ".join(rule["expr"] for rule in list_rules())
    (outcomes,) = re.findall(r'outcome=~"([^"]+)"', expressions)
    assert set(outcomes.split("|")) <= set(get_args(AttemptOutcome))
    polls = re.findall(r'report_polls_total{[^}]*result!?="([^"]+)"', expressions)
    assert polls
    assert set(polls) <= set(get_args(PollResult))


def get_policy(**values: Any) -> SimpleNamespace:
    policy = {"enabled": True, **values.pop("networkPolicy", {})}
    rendered = render({"networkPolicy": policy, **values})
    spec = rendered.find("NetworkPolicy")["spec"]
    return SimpleNamespace(rendered=rendered, **spec)


def list_ports(rules: list[Manifest]) -> list[list[int | str]]:
    return [[port["port"] for port in rule["ports"]] for rule in rules]


def test_the_network_policy_selects_the_operator_s_pod() -> None:
    policy = get_policy()
    pod = policy.rendered.find("Deployment")["spec"]["template"]
    assert select(policy.podSelector, pod["metadata"]["labels"])
    assert policy.policyTypes == ["Ingress", "Egress"]
    assert render().find_all("NetworkPolicy") == []


def test_ingress_is_allowed_only_to_metrics_and_health() -> None:
    assert get_policy().ingress == [{"ports": [{"port": "http"}]}]
    peer = {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "monitoring"}}}
    assert get_policy(networkPolicy={"metricsFrom": [peer]}).ingress[0]["from"] == [peer]
    (port,) = get_policy().rendered.container["ports"]
    assert port == {"name": "http", "containerPort": ProcessSettings().http_port}


def test_egress_is_allowed_to_dns_the_api_server_and_reports() -> None:
    egress = get_policy().egress
    assert list_ports(egress) == [[53, 53], [443, 6443], [REPORT_PORT]]
    (peer,) = egress[2]["to"]
    assert peer["namespaceSelector"] == {}
    assert all(select(peer["podSelector"], pod["metadata"]["labels"]) for pod in list_job_pods())


def test_egress_to_reports_is_limited_to_the_watched_namespaces() -> None:
    (peer,) = get_policy(watchNamespaces=["team-a"]).egress[2]["to"]
    (expression,) = peer["namespaceSelector"]["matchExpressions"]
    assert expression == {"key": "kubernetes.io/metadata.name", "operator": "In", "values": ["team-a"]}


def test_reports_through_the_api_server_need_no_egress_to_pods() -> None:
    assert list_ports(get_policy(reportsThroughApiServer=True).egress) == [[53, 53], [443, 6443]]


def test_egress_to_the_api_server_can_be_limited_to_its_addresses() -> None:
    policy = {"apiServerCIDRs": ["192.0.2.7/32"], "apiServerPorts": [16443]}
    rule = get_policy(networkPolicy=policy).egress[1]
    assert rule == {"ports": [{"port": 16443}], "to": [{"ipBlock": {"cidr": "192.0.2.7/32"}}]}


@pytest.mark.parametrize(
    ("url", "port"),
    [("https://events.example.com/x", 443), ("http://events/", 80), ("http://events.example.com:8080/x", 8080)],
)
def test_the_webhook_can_be_reached_and_its_token_comes_from_a_secret(url: str, port: int) -> None:
    policy = get_policy(notifications={"webhook": {"url": url, "secretName": "webhook"}})
    assert list_ports(policy.egress) == [[53, 53], [443, 6443], [port], [REPORT_PORT]]
    assert ProcessSettings.from_environment(policy.rendered.environment).webhook_url == url
    assert Settings.from_environment(policy.rendered.environment).notifies
    (token,) = [item for item in policy.rendered.container["env"] if item["name"] == "DEEPSYNTH_WEBHOOK_TOKEN"]
    assert token["valueFrom"] == {"secretKeyRef": {"name": "webhook", "key": "token"}}


def test_without_a_webhook_nothing_is_sent() -> None:
    environment = render().environment
    assert not Settings.from_environment(environment).notifies
    assert not [name for name in environment if "WEBHOOK" in name]


def get_report_peers(**values: Any) -> tuple[Any, ...]:
    jobs = {"networkPolicy": {"enabled": True, "reportsFrom": values.pop("reportsFrom", [])}}
    peers = Settings.from_environment(render({"jobs": jobs, **values}).environment).report_peers
    assert peers is not None
    return peers


def test_policies_of_jobs_let_the_operator_read_reports_and_nobody_else() -> None:
    (peer,) = get_report_peers()
    labels = render().find("Deployment")["spec"]["template"]["metadata"]["labels"]
    assert select(peer["podSelector"], labels)
    assert not any(select(peer["podSelector"], pod["metadata"]["labels"]) for pod in list_job_pods())
    assert peer["namespaceSelector"] == {"matchLabels": {"kubernetes.io/metadata.name": NAMESPACE}}


def test_policies_of_jobs_let_the_api_server_read_reports_if_it_does() -> None:
    cidrs = {"apiServerCIDRs": ["192.0.2.0/24"]}
    peers = get_report_peers(reportsThroughApiServer=True, networkPolicy=cidrs)
    assert peers == ({"ipBlock": {"cidr": "192.0.2.0/24"}},)
    assert get_report_peers(reportsThroughApiServer=True) == (), "without known addresses, everyone"


def test_policies_of_jobs_need_the_peer_that_scrapes_them() -> None:
    scraped = {"metrics": {"podMonitor": {"enabled": True}}}
    with pytest.raises(RenderError, match=r"jobs\.networkPolicy\.reportsFrom"):
        get_report_peers(**scraped)
    peer = {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "monitoring"}}}
    assert peer in get_report_peers(reportsFrom=[peer], **scraped)
