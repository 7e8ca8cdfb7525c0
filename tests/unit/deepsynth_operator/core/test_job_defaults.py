"""The file with defaults for Jobs: what it may hold, and errors that name the field."""

import pytest

from deepsynth_api.errors import ConfigurationError
from deepsynth_operator.core.job_defaults import parse_job_defaults

VALID = """
- template:
    env: [{name: HTTPS_PROXY, value: "http://proxy:3128"}]
- kinds: [TrainingRun]
  namespaces: [team-a]
  template: {runtimeClassName: nvidia, nodeSelector: {pool: gpu}}
"""


def test_entries_say_for_whom_they_are() -> None:
    everyone, team = parse_job_defaults(VALID)
    assert everyone.applies_to("DatasetGeneration", "team-b")
    assert team.applies_to("TrainingRun", "team-a")
    assert not team.applies_to("TrainingRun", "team-b")
    assert not team.applies_to("DatasetGeneration", "team-a")
    assert team.template.runtime_class_name == "nvidia"


@pytest.mark.parametrize("text", ["", "[]", "# nothing"])
def test_an_empty_file_has_no_defaults(text: str) -> None:
    assert parse_job_defaults(text) == ()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: [", "jobs.defaults: must be YAML"),
        ("- template: {labels: {released: 2026-13-01}}", "jobs.defaults: must be YAML"),
        ("[" * 5000, "jobs.defaults: must be YAML"),
        ("template: {}", "jobs.defaults: must be a list, got dict"),
        ("[1]", "jobs.defaults[0]: "),
        ("- kinds: []", "jobs.defaults[0].template: "),
        ("- template: {nodeSelectr: {a: b}}", "jobs.defaults[0].template.nodeSelectr: unknown field"),
        (
            "- template: {}\n- template: {env: [{name: A, valueOf: b}]}",
            "jobs.defaults[1].template.env[0].valueOf: ",
        ),
        ("- {namespace: a, template: {}}", "jobs.defaults[0].namespace: unknown field"),
        ("- {kinds: [Job], template: {}}", "jobs.defaults[0].kinds[0]: "),
        ("- template: {resources: {limits: {cpu: 1}}}", "jobs.defaults[0].template.resources: cannot have a default"),
        ("- template: {runAsUser: 5}", "jobs.defaults[0].template.runAsUser: cannot have a default"),
        ("- template: {env: [{name: RANK, value: '1'}]}", "jobs.defaults[0].template.env[0].name: RANK is reserved"),
        ("- template: {env: [{name: A}]}", "jobs.defaults[0].template.env[0]: must have value or valueFrom"),
        (
            "- template: {env: [{name: A, valueFrom: {}}]}",
            "jobs.defaults[0].template.env[0].valueFrom: must have exactly",
        ),
        (
            "- template: {tolerations: [{key: a, operator: Foo}]}",
            "jobs.defaults[0].template.tolerations[0].operator: must be Equal or Exists, got 'Foo'",
        ),
        ("- template: {tolerations: [{value: a}]}", "jobs.defaults[0].template.tolerations[0]: must have a key"),
        ("- template: {schedulerName: 'A B'}", "jobs.defaults[0].template.schedulerName: "),
        ("- template: {nodeSelector: {'a b': c}}", "jobs.defaults[0].template.nodeSelector: must have valid names"),
        ("- template: {nodeSelector: {a: 'b c'}}", "jobs.defaults[0].template.nodeSelector.a: "),
        (
            "- template: {volumes: [{name: ca, mountPath: /ca}]}",
            "jobs.defaults[0].template.volumes[0]: must have",
        ),
    ],
)
def test_a_default_that_cannot_be_used_is_an_error_that_names_the_field(text: str, message: str) -> None:
    with pytest.raises(ConfigurationError) as error:
        parse_job_defaults(text)
    assert error.value.message.startswith(message)
