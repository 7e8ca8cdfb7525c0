"""Each alert fires when it should and stays silent when all is well, as Prometheus itself evaluates it."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, Final

import pytest

from support.helm_chart import EVERYTHING_ON, NAMESPACE, RELEASE, render
from support.promtool import run_promtool

HERE: Final = {"job": RELEASE, "namespace": NAMESPACE}


def name_series(name: str, **labels: str) -> str:
    """As PromQL writes a series of the operator."""
    return name + "{" + ",".join(f"{key}={json.dumps(value)}" for key, value in {**HERE, **labels}.items()) + "}"


@dataclass(frozen=True)
class Case:
    """Series as promtool reads them, one value a minute for an hour: `1+2x60` is 1, 3, 5, ...

    labels: those of the alert next to its severity.
    """

    ill: Mapping[str, str]
    well: Mapping[str, str]
    severity: str = "warning"
    labels: Mapping[str, str] = field(default_factory=lambda: {"namespace": NAMESPACE})


def count_reconciles(result: str, values: str) -> dict[str, str]:
    return {name_series("deepsynth_reconciles_total", kind="TrainingRun", result=result): values}


def count_polls(**values: str) -> dict[str, str]:
    return {name_series("deepsynth_report_polls_total", result=result): each for result, each in values.items()}


def count_requests(code: str, values: str, verb: str = "list") -> dict[str, str]:
    return {name_series("deepsynth_api_requests_total", verb=verb, resource="jobs", code=code): values}


OF_RUNS: Final = {"namespace": NAMESPACE, "kind": "TrainingRun"}
CASES: Final = {
    "DeepSynthOperatorDown": Case({name_series("up"): "0x60"}, {name_series("up"): "1x60"}, "critical"),
    "DeepSynthNoLeader": Case(
        {name_series("deepsynth_leader", pod=pod): "0x60" for pod in ("a", "b")},
        {name_series("deepsynth_leader", pod="a"): "0x60", name_series("deepsynth_leader", pod="b"): "1x60"},
        "critical",
    ),
    "DeepSynthWatchSilent": Case(
        {name_series("deepsynth_watch_silent_seconds", resource="jobs"): "400x60"},
        {name_series("deepsynth_watch_silent_seconds", resource="jobs"): "0x20 400 0x39"},
        labels={"namespace": NAMESPACE, "resource": "jobs"},
    ),
    "DeepSynthQueueStuck": Case(
        {name_series("deepsynth_queue_oldest_seconds"): "0+60x60"},
        {name_series("deepsynth_queue_oldest_seconds"): "250x60"},
        "critical",
    ),
    "DeepSynthReconcileDefect": Case(
        count_reconciles("defect", "0x50 1x9"), count_reconciles("defect", "3x60"), labels=OF_RUNS
    ),
    "DeepSynthResourceUnreadable": Case(
        count_reconciles("unreadable", "0x50 1x9"), count_reconciles("unreadable", "3x60"), labels=OF_RUNS
    ),
    "DeepSynthRefusedByCluster": Case(
        count_reconciles("refused", "0+1x60"), count_reconciles("refused", "0x50 1x9"), labels=OF_RUNS
    ),
    "DeepSynthCannotList": Case(
        count_requests("403", "0+1x60"),
        count_requests("200", "0+1x60"),
        "critical",
        {"namespace": NAMESPACE, "resource": "jobs"},
    ),
    "DeepSynthApiErrors": Case(
        {**count_requests("200", "0+80x60", "get"), **count_requests("503", "0+20x60", "get")},
        {**count_requests("200", "0+95x60", "get"), **count_requests("503", "0+5x60", "get")},
    ),
    "DeepSynthReportsUnreachable": Case(count_polls(timeout="0+1x60"), count_polls(timeout="0+9x60", read="0+1x60")),
    "DeepSynthAttemptsFailing": Case(
        {name_series("deepsynth_attempts_total", outcome="Failed"): "0+1x60"},
        {name_series("deepsynth_attempts_total", outcome="Succeeded"): "0+1x60"},
    ),
    "DeepSynthCheckpointOld": Case(
        {name_series("deepsynth_oldest_checkpoint_seconds"): "90000+60x60"},
        {name_series("deepsynth_oldest_checkpoint_seconds"): "0+60x60"},
    ),
}


@cache
def render_rules() -> dict[str, Any]:
    spec: dict[str, Any] = render(EVERYTHING_ON).find("PrometheusRule")["spec"]
    return spec


@pytest.fixture
def rules(tmp_path: Path) -> Path:
    file = tmp_path / "rules.json"  # which is YAML too
    file.write_text(json.dumps(render_rules()))
    return file


def test_prometheus_accepts_the_rules(rules: Path) -> None:
    assert f"SUCCESS: {len(CASES)} rules found" in run_promtool("check", "rules", "--lint-fatal", str(rules))


def test_each_alert_has_a_case() -> None:
    (group,) = render_rules()["groups"]
    assert [rule["alert"] for rule in group["rules"]] == list(CASES)


@pytest.mark.parametrize("alert", CASES)
def test_an_alert_fires_when_it_should_and_not_when_all_is_well(alert: str, rules: Path) -> None:
    case = CASES[alert]
    labels = {"alertname": alert, "alertstate": "firing", "severity": case.severity, **case.labels}
    written = ",".join(f"{key}={json.dumps(value)}" for key, value in sorted(labels.items()))
    fired = [{"labels": "ALERTS{" + written + "}", "value": 1}]
    document = {
        "rule_files": [rules.name],
        "evaluation_interval": "1m",
        "tests": [
            {
                "interval": "1m",
                "input_series": [{"series": name, "values": values} for name, values in series.items()],
                "promql_expr_test": [
                    {
                        "expr": f'ALERTS{{alertname="{alert}",alertstate="firing"}}',
                        "eval_time": "59m",
                        "exp_samples": expected,
                    }
                ],
            }
            for series, expected in ((case.ill, fired), (case.well, []))
        ],
    }
    tests = rules.with_name("tests.json")
    tests.write_text(json.dumps(document))
    run_promtool("test", "rules", str(tests))
