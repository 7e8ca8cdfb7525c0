"""What a Job's podFailurePolicy says about a failed pod: the first rule that matches decides.

    podFailurePolicy:
      rules:
      - {action: FailJob, onExitCodes: {operator: In, values: [64, 65]}}
      - {action: Ignore, onPodConditions: [{type: DisruptionTarget}]}

Messages are those of Kubernetes, because the operator and its users read them: "Container main for pod default/a failed
with exit code 64 matching FailJob rule at index 0".
"""

from dataclasses import dataclass
from typing import Any, Literal

from deepsynth_operator.core.observed import Manifest

Action = Literal["FailJob", "FailIndex", "Ignore", "Count"]


@dataclass(frozen=True, slots=True)
class Judgement:
    """Count: no rule matched, so the failure counts towards the backoff limit."""

    action: Action
    message: str = ""
    """Of the Job's condition when action is FailJob."""


def judge_pod(job: Manifest, pod: Manifest) -> Judgement:
    """Judge a failed pod. Without a policy, or when no rule matches, it counts."""
    rules = job["spec"].get("podFailurePolicy", {}).get("rules", [])
    for position, rule in enumerate(rules):
        found = _match_exit_codes(rule, pod) or _match_conditions(rule, pod)
        if found:
            message = f"{found} matching {rule['action']} rule at index {position}"
            return Judgement(rule["action"], message)
    return Judgement("Count")


def _match_exit_codes(rule: dict[str, Any], pod: Manifest) -> str | None:
    wanted = rule.get("onExitCodes")
    if not wanted:
        return None
    for container in pod.get("status", {}).get("containerStatuses", []):
        code = container.get("state", {}).get("terminated", {}).get("exitCode", 0)
        # Exit code 0 is never a failure, not even for NotIn.
        if code != 0 and (code in wanted["values"]) == (wanted["operator"] == "In"):
            return f"Container {container['name']} for pod {_full_name(pod)} failed with exit code {code}"
    return None


def _match_conditions(rule: dict[str, Any], pod: Manifest) -> str | None:
    held = {(item["type"], item["status"]) for item in pod.get("status", {}).get("conditions", [])}
    for pattern in rule.get("onPodConditions", []):
        if (pattern["type"], pattern.get("status", "True")) in held:
            return f"Pod {_full_name(pod)} has condition {pattern['type']}"
    return None


def _full_name(pod: Manifest) -> str:
    return f"{pod['metadata']['namespace']}/{pod['metadata']['name']}"
