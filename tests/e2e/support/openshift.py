"""OpenShift's constraint `restricted-v2` on any cluster: its API, what it sets in pods, and what it rejects."""

from typing import Any, Final

Manifest = dict[str, Any]
FIRST_USER: Final = 1000680000
"""The first user of a namespace's range, and its only fsGroup."""
LABELS: Final = {"scc": "restricted-v2", "pod-security.kubernetes.io/enforce": "restricted"}
_SIZE: Final = 10000
_GROUP: Final = "admissionregistration.k8s.io/v1"
_PODS: Final = {
    "namespaceSelector": {"matchLabels": {"scc": LABELS["scc"]}},
    "resourceRules": [{"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["pods"]}],
}
_CONTEXT: Final = "object.spec.?securityContext"
_SET: Final = f"""
Object{{spec: Object.spec{{securityContext: Object.spec.securityContext{{
  runAsUser: {_CONTEXT}.?runAsUser.orValue({FIRST_USER}),
  fsGroup: {_CONTEXT}.?fsGroup.orValue({FIRST_USER})
}}}}}}
"""
_IN_RANGE: Final = f"""
[object.spec.?securityContext.?runAsUser, object.spec.containers[0].?securityContext.?runAsUser].all(user,
  user.orValue({FIRST_USER}) >= {FIRST_USER} && user.orValue({FIRST_USER}) < {FIRST_USER + _SIZE})
"""


def build_api() -> Manifest:
    """By this API, programs see that they are on OpenShift."""
    names = {"kind": "SecurityContextConstraints", "plural": "securitycontextconstraints"}
    schema = {"openAPIV3Schema": {"type": "object"}}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": "securitycontextconstraints.security.openshift.io"},
        "spec": {
            "group": "security.openshift.io",
            "scope": "Cluster",
            "names": names,
            "versions": [{"name": "v1", "served": True, "storage": True, "schema": schema}],
        },
    }


def build_policies() -> list[Manifest]:
    """For the namespaces with LABELS."""
    set_fields = {"patchType": "ApplyConfiguration", "applyConfiguration": {"expression": _SET.strip()}}
    mutation = {
        "matchConstraints": _PODS,
        "mutations": [set_fields],
        "failurePolicy": "Fail",
        "reinvocationPolicy": "Never",
    }
    validations = [
        {"expression": _IN_RANGE.strip(), "message": "restricted-v2: runAsUser is not in the namespace's range"},
        {"expression": f"{_CONTEXT}.?fsGroup == optional.of({FIRST_USER})", "message": "restricted-v2: wrong fsGroup"},
    ]
    return [
        _build("MutatingAdmissionPolicy", mutation),
        _build("MutatingAdmissionPolicyBinding", {"policyName": LABELS["scc"]}),
        _build("ValidatingAdmissionPolicy", {"matchConstraints": _PODS, "validations": validations}),
        _build("ValidatingAdmissionPolicyBinding", {"policyName": LABELS["scc"], "validationActions": ["Deny"]}),
    ]


def _build(kind: str, spec: Manifest) -> Manifest:
    return {"apiVersion": _GROUP, "kind": kind, "metadata": {"name": LABELS["scc"]}, "spec": spec}
