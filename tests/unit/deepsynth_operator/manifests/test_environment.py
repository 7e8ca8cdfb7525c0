import pytest

from deepsynth_api.errors import ConfigurationError
from deepsynth_api.v1alpha1 import SecretReference
from deepsynth_api.v1alpha1.pod.pod_template import EnvironmentVariable
from deepsynth_operator.manifests.environment import build_environment, build_secret_sources, set_log_format


def a_variable(name: str, value: str = "1") -> EnvironmentVariable:
    return EnvironmentVariable.model_validate({"name": name, "value": value})


@pytest.mark.parametrize("name", ["DEEPSYNTH_VOLUMES", "RANK", "PET_NNODES", "JOB_COMPLETION_INDEX"])
def test_a_reserved_variable_is_an_error_that_names_the_field(name: str) -> None:
    with pytest.raises(ConfigurationError, match=rf"^spec\.template\.env\[1\]\.name: {name} is reserved"):
        build_environment([a_variable("FINE"), a_variable(name)], 30, {})


def test_a_user_may_replace_a_writable_folder() -> None:
    environment = build_environment([a_variable("HF_HOME", "/mnt/cache")], 30, {})
    assert [item["value"] for item in environment if item["name"] == "HF_HOME"] == ["/mnt/cache"]


def test_a_secret_that_is_named_twice_is_mounted_once() -> None:
    hub = SecretReference(name="hub")
    assert build_secret_sources([hub, None, hub]) == [{"secretRef": {"name": "hub"}}]


def test_a_job_gets_the_format_of_its_log_only_where_it_is_not_text() -> None:
    container = {"name": "train", "env": [{"name": "A", "value": "1"}]}
    job = {"kind": "Job", "spec": {"completions": 1, "template": {"spec": {"containers": [container], "volumes": []}}}}
    assert set_log_format(job, "text") == job
    changed = set_log_format(job, "json")
    added = {"name": "DEEPSYNTH_LOG_FORMAT", "value": "json"}
    pod = {"containers": [{**container, "env": [added, *container["env"]]}], "volumes": []}
    assert changed == {"kind": "Job", "spec": {"completions": 1, "template": {"spec": pod}}}
    assert container["env"] == [{"name": "A", "value": "1"}], "the manifest that was given stays as it is"
    assert set_log_format({"kind": "Service"}, "json") == {"kind": "Service"}
