"""The operator's environment: every variable is checked, and the one that is wrong is named."""

import pytest

from deepsynth_api.errors import ConfigurationError
from deepsynth_operator.core.settings import ProcessSettings, Settings


def test_without_any_variable_the_whole_cluster_is_looked_at() -> None:
    settings = ProcessSettings.from_environment({})
    assert settings == ProcessSettings()
    assert settings.namespaces == ()
    assert (settings.http_host, settings.http_port) == ("", 8080)
    assert Settings.from_environment({}) == Settings()


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
    )
    images = {"DEEPSYNTH_RENDER_IMAGE": "cpu:1", "DEEPSYNTH_TRAIN_IMAGE": "gpu:1", "DEEPSYNTH_POLL_SECONDS": "3"}
    assert Settings.from_environment(images) == Settings("cpu:1", "gpu:1", 3)


@pytest.mark.parametrize(
    ("address", "expected"), [(":80", ("", 80)), ("[::1]:80", ("::1", 80)), ("localhost:80", ("localhost", 80))]
)
def test_addresses_of_all_kinds_are_understood(address: str, expected: tuple[str, int]) -> None:
    settings = ProcessSettings.from_environment({"DEEPSYNTH_HTTP_ADDRESS": address})
    assert (settings.http_host, settings.http_port) == expected


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("DEEPSYNTH_NAMESPACES", "Team_A"),
        ("DEEPSYNTH_NAMESPACES", "a" * 64),
        ("DEEPSYNTH_WORKERS", "0"),
        ("DEEPSYNTH_WORKERS", "many"),
        ("DEEPSYNTH_REPORTS_THROUGH_API_SERVER", "yes"),
        ("DEEPSYNTH_HTTP_ADDRESS", "8080"),
        ("DEEPSYNTH_HTTP_ADDRESS", ":70000"),
        ("DEEPSYNTH_LOG_FORMAT", "xml"),
        ("DEEPSYNTH_LOG_LEVEL", "INFO"),
        ("DEEPSYNTH_SHUTDOWN_SECONDS", "-1"),
        ("DEEPSYNTH_POLL_SECONDS", "1.5"),
    ],
)
def test_a_wrong_value_is_refused_with_the_variables_name(name: str, value: str) -> None:
    with pytest.raises(ConfigurationError, match=name):
        (Settings.from_environment({name: value}), ProcessSettings.from_environment({name: value}))
