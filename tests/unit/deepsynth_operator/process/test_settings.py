"""Settings of the operator process: defaults, variables, and the error that names a wrong one."""

import re

import pytest

from deepsynth_api.errors import ConfigurationError
from deepsynth_operator.process.settings import ProcessSettings


def test_without_variables_the_whole_cluster_is_watched() -> None:
    settings = ProcessSettings.from_environment({})
    assert settings == ProcessSettings()
    assert settings.namespaces == ()
    assert (settings.http_host, settings.http_port) == ("", 8080)


def test_every_variable_is_read() -> None:
    settings = ProcessSettings.from_environment(
        {
            "DEEPSYNTH_NAMESPACES": " team-a, team-b,team-a,",
            "DEEPSYNTH_WORKERS": "4",
            "DEEPSYNTH_REPORTS_THROUGH_API_SERVER": "true",
            "DEEPSYNTH_HTTP_ADDRESS": "127.0.0.1:9090",
            "DEEPSYNTH_LOG_FORMAT": "json",
            "DEEPSYNTH_LOG_LEVEL": "debug",
            "DEEPSYNTH_SHUTDOWN_SECONDS": "5",
            "DEEPSYNTH_LEASE": "deepsynth-system/deepsynth",
        }
    )
    assert settings == ProcessSettings(
        namespaces=("team-a", "team-b"),
        workers=4,
        reports_through_api_server=True,
        http_host="127.0.0.1",
        http_port=9090,
        log_format="json",
        log_level="debug",
        shutdown_seconds=5,
        lease=("deepsynth-system", "deepsynth"),
    )


@pytest.mark.parametrize(
    ("address", "expected"), [(":80", ("", 80)), ("[::1]:80", ("::1", 80)), ("localhost:80", ("localhost", 80))]
)
def test_an_address_may_be_a_port_an_ip_address_or_a_name(address: str, expected: tuple[str, int]) -> None:
    settings = ProcessSettings.from_environment({"DEEPSYNTH_HTTP_ADDRESS": address})
    assert (settings.http_host, settings.http_port) == expected


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("DEEPSYNTH_NAMESPACES", "Team_A", "a comma-separated list of namespaces"),
        ("DEEPSYNTH_NAMESPACES", "a" * 64, "a comma-separated list of namespaces"),
        ("DEEPSYNTH_WORKERS", "0", "a positive integer"),
        ("DEEPSYNTH_WORKERS", "many", "a positive integer"),
        ("DEEPSYNTH_REPORTS_THROUGH_API_SERVER", "yes", "one of true, false"),
        ("DEEPSYNTH_HTTP_ADDRESS", "8080", "HOST:PORT, or :PORT for all addresses"),
        ("DEEPSYNTH_HTTP_ADDRESS", ":70000", "HOST:PORT, or :PORT for all addresses"),
        ("DEEPSYNTH_LOG_FORMAT", "xml", "one of text, json"),
        ("DEEPSYNTH_LOG_LEVEL", "INFO", "one of debug, info, warning, error"),
        ("DEEPSYNTH_LEASE", "deepsynth", "NAMESPACE/NAME"),
        ("DEEPSYNTH_LEASE", "a/B", "NAMESPACE/NAME"),
        ("DEEPSYNTH_SHUTDOWN_SECONDS", "-1", "a positive integer"),
    ],
)
def test_a_wrong_value_is_an_error_that_names_the_variable(name: str, value: str, expected: str) -> None:
    with pytest.raises(ConfigurationError, match=re.escape(f"{name}: must be {expected}, got {value!r}")):
        ProcessSettings.from_environment({name: value})
