"""Settings of all resources: defaults, variables, and the error that names a wrong one."""

import json

import pytest

from deepsynth_api.errors import ConfigurationError
from deepsynth_operator.core.settings import Settings


def test_gang_schedulers_are_a_list_of_names_and_apis() -> None:
    text = "volcano=volcano,default-scheduler=kubernetes-v1beta1"
    assert Settings.from_environment({"DEEPSYNTH_GANG_SCHEDULERS": text}).gang_schedulers == {
        "volcano": "volcano",
        "default-scheduler": "kubernetes-v1beta1",
    }
    assert Settings.from_environment({}).gang_schedulers == {}


@pytest.mark.parametrize("text", ["volcano", "=volcano", "mine=slurm"])
def test_a_gang_scheduler_without_a_known_api_is_an_error(text: str) -> None:
    with pytest.raises(ConfigurationError, match=r"^DEEPSYNTH_GANG_SCHEDULERS: must be SCHEDULER=API"):
        Settings.from_environment({"DEEPSYNTH_GANG_SCHEDULERS": text})


def test_without_variables_the_defaults_apply() -> None:
    assert Settings.from_environment({}) == Settings()


def test_every_variable_is_read() -> None:
    variables = {"DEEPSYNTH_RENDER_IMAGE": "cpu:1", "DEEPSYNTH_TRAIN_IMAGE": "gpu:1", "DEEPSYNTH_POLL_SECONDS": "3"}
    assert Settings.from_environment(variables) == Settings("cpu:1", "gpu:1", 3)


def test_a_switch_is_true_or_false() -> None:
    assert Settings.from_environment({"DEEPSYNTH_OPENSHIFT": "true"}).openshift
    assert not Settings.from_environment({"DEEPSYNTH_OPENSHIFT": "false"}).openshift
    with pytest.raises(ConfigurationError, match="DEEPSYNTH_OPENSHIFT: must be one of true, false, got 'yes'"):
        Settings.from_environment({"DEEPSYNTH_OPENSHIFT": "yes"})


def test_pods_log_as_the_operator_does() -> None:
    assert Settings.from_environment({"DEEPSYNTH_LOG_FORMAT": "json"}).log_format == "json"
    with pytest.raises(ConfigurationError, match="DEEPSYNTH_LOG_FORMAT: must be one of text, json, got 'xml'"):
        Settings.from_environment({"DEEPSYNTH_LOG_FORMAT": "xml"})


def test_peers_of_the_report_port_are_a_json_list() -> None:
    peer = {"podSelector": {"matchLabels": {"app": "operator"}}}
    read = Settings.from_environment({"DEEPSYNTH_REPORT_PEERS": json.dumps([peer])})
    assert read.report_peers == (peer,)
    assert Settings.from_environment({"DEEPSYNTH_REPORT_PEERS": "[]"}).report_peers == ()
    assert Settings.from_environment({"DEEPSYNTH_REPORT_PEERS": ""}).report_peers is None


@pytest.mark.parametrize("text", ["operator", "{}", "[1]", '[{"pods": {}}]'])
def test_peers_that_no_network_policy_has_are_an_error(text: str) -> None:
    with pytest.raises(ConfigurationError, match=r"^DEEPSYNTH_REPORT_PEERS: must be a JSON list"):
        Settings.from_environment({"DEEPSYNTH_REPORT_PEERS": text})


def test_a_poll_interval_that_is_not_a_positive_integer_is_an_error() -> None:
    with pytest.raises(ConfigurationError, match=r"^DEEPSYNTH_POLL_SECONDS: must be a positive integer, got '1.5'$"):
        Settings.from_environment({"DEEPSYNTH_POLL_SECONDS": "1.5"})


def test_settings_come_from_the_environment_and_have_defaults() -> None:
    environment = {"DEEPSYNTH_TRAIN_IMAGE": "example/gpu:2", "DEEPSYNTH_POLL_SECONDS": "30"}
    assert Settings.from_environment(environment) == Settings(train_image="example/gpu:2", poll_seconds=30)
    assert Settings.from_environment({}) == Settings()


@pytest.mark.parametrize("value", ["0", "-1", "1.5", "soon", ""])
def test_a_poll_interval_that_is_no_number_of_seconds_is_refused(value: str) -> None:
    with pytest.raises(ConfigurationError, match="DEEPSYNTH_POLL_SECONDS"):
        Settings.from_environment({"DEEPSYNTH_POLL_SECONDS": value})
