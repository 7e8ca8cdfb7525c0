"""Write the operator's permissions and the names of our resources into the chart, from the tables in the code.

PYTHONPATH=tools python -m deepsynth_generators.chart_rules --write     write charts/deepsynth/templates/_rules.tpl
PYTHONPATH=tools python -m deepsynth_generators.chart_rules --check     fail when it is out of date
"""

import sys
import textwrap
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Final

from deepsynth_api.kinds import GROUP, KINDS
from deepsynth_generators.generated_file import write_or_check
from deepsynth_operator.kubernetes.api.permissions import (
    CLUSTER_RULES,
    GANG_RULES,
    LEASE_RULES,
    POLICY_RULES,
    PROXY_RULES,
    QUEUE_RULES,
    RULES,
    Rule,
)

TEMPLATE: Final = Path(__file__).parents[2] / "charts/deepsynth/templates/_rules.tpl"
_WIDTH: Final = 118
_HEADER: Final = """\
{{/*
What the operator may do: what its code does, and nothing more.
Written by `make chart-rules` from operator/deepsynth_operator/kubernetes/api/permissions.py. Do not edit.
*/}}
"""
_KINDS_HEADER: Final = """\
{{/*
The resources that users create, for a rule about them. From operator/deepsynth_api/kinds.py.
*/}}
"""


def render_template() -> str:
    """Named templates.

    `deepsynth.rules` is for each watched namespace, `deepsynth.nodeRules` for the cluster, `deepsynth.leaseRules` for
    the operator's namespace, and `deepsynth.resources` is the beginning of a rule about our own resources, without its
    verbs.
    """
    return "\n".join(
        [
            _HEADER + '{{- define "deepsynth.rules" -}}',
            *render_rules(RULES),
            "{{- if .Values.reportsThroughApiServer }}",
            *render_rules(PROXY_RULES),
            "{{- end }}",
            "{{- if .Values.jobs.networkPolicy.enabled }}",
            *render_rules(POLICY_RULES),
            "{{- end }}",
            "{{- if .Values.rbac.readWorkloads }}",
            *render_rules(QUEUE_RULES),
            "{{- end }}",
            *render_gang_rules(),
            "{{- end }}",
            "",
            '{{- define "deepsynth.nodeRules" -}}',
            *render_rules(CLUSTER_RULES),
            "{{- end }}",
            "",
            '{{- define "deepsynth.leaseRules" -}}',
            *render_rules(LEASE_RULES),
            "{{- end }}",
            "",
            _KINDS_HEADER + '{{- define "deepsynth.resources" -}}',
            f"apiGroups: [{GROUP}]",
            f"resources: [{', '.join(kind.plural for kind in KINDS.values())}]",
            "{{- end }}",
            "",
        ]
    )


def render_gang_rules() -> Iterator[str]:
    for api, rules in GANG_RULES.items():
        if rules:
            yield f'{{{{- if has "{api}" (values .Values.jobs.gangSchedulers) }}}}'
            yield from render_rules(rules)
            yield "{{- end }}"


def render_rules(rules: Iterable[Rule]) -> Iterator[str]:
    """Lines of YAML, each rule under a comment with its reason."""
    for rule in rules:
        yield from textwrap.wrap(rule.why, _WIDTH, initial_indent="# ", subsequent_indent="# ")
        group = rule.group or '""'
        yield f"- apiGroups: [{group}]"
        yield f"  resources: [{', '.join(rule.resources)}]"
        yield f"  verbs: [{', '.join(rule.verbs)}]"


def main(arguments: Sequence[str] | None = None) -> int:
    fault = "differs from permissions.py or kinds.py; run `make chart-rules`"
    what = "the chart's copy of the permissions and resources"
    return write_or_check(arguments, TEMPLATE, render_template(), what=what, fault=fault)


if __name__ == "__main__":
    sys.exit(main())
