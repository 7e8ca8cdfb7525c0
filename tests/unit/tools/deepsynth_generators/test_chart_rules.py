"""The chart's roles are written from the operator's table of permissions."""

import yaml

from deepsynth_api.kinds import GROUP, KINDS
from deepsynth_generators.chart_rules import TEMPLATE, main, render_rules, render_template
from deepsynth_operator.kubernetes.api.permissions import RULES, Rule


def test_the_chart_has_the_permissions_of_the_code() -> None:
    assert TEMPLATE.read_text() == render_template()
    assert main(["--check"]) == 0


def test_rules_are_yaml_with_their_reasons_as_comments() -> None:
    lines = list(render_rules(RULES))
    assert [rule["resources"] for rule in yaml.safe_load("\n".join(lines))] == [list(rule.resources) for rule in RULES]
    assert f"# {RULES[0].why}" in lines


def test_a_long_reason_is_wrapped_and_the_core_group_is_an_empty_string() -> None:
    lines = list(render_rules([Rule("", ("pods",), ("list",), "because " * 30)]))
    assert all(len(line) < 120 for line in lines)
    assert yaml.safe_load("\n".join(lines)) == [{"apiGroups": [""], "resources": ["pods"], "verbs": ["list"]}]


def test_rules_about_our_resources_name_every_kind() -> None:
    defined = render_template().partition('{{- define "deepsynth.resources" -}}')[2].partition("{{- end }}")[0]
    assert yaml.safe_load(defined) == {"apiGroups": [GROUP], "resources": [kind.plural for kind in KINDS.values()]}
