"""Where pods may run, as Kubernetes has it, but with an upper limit for every text, list and map."""

from typing import Annotated, Literal

from pydantic import Field

from deepsynth_api.v1alpha1.shared.base import ApiModel, max_characters, max_entries, max_items
from deepsynth_api.v1alpha1.shared.patterns import LabelKey

MAX_KEY_LENGTH = 317
"""Of a label's key: 253 characters of a domain, a slash, 63 characters of a name."""

Key = Annotated[str, Field(json_schema_extra=max_characters(MAX_KEY_LENGTH))]
Value = Annotated[str, Field(json_schema_extra=max_characters(63))]
Operator = Annotated[str, Field(json_schema_extra=max_characters(32))]


class Toleration(ApiModel):
    """A taint that the pods tolerate."""

    key: Annotated[Key | None, Field(description="Key of the taint; default: any key.")] = None
    operator: Annotated[
        Operator | None, Field(description="How value is compared with that of the taint: Exists or Equal.")
    ] = None
    value: Annotated[Value | None, Field(description="Value of the taint, if the operator is Equal.")] = None
    effect: Annotated[
        Operator | None,
        Field(description="Taints to tolerate: NoSchedule, PreferNoSchedule or NoExecute; default: all of these."),
    ] = None
    toleration_seconds: Annotated[
        int | None, Field(description="Seconds for which a NoExecute taint is tolerated; default: without a limit.")
    ] = None


class NodeRequirement(ApiModel):
    """A requirement on one label of a node."""

    key: Annotated[Key, Field(description="Name of the label that is looked at.")]
    operator: Annotated[
        Operator, Field(description="How values are compared: In, NotIn, Exists, DoesNotExist, Gt or Lt.")
    ]
    values: Annotated[
        list[Value] | None,
        Field(json_schema_extra=max_items(256), description="What the value of the label is compared with."),
    ] = None


class NodeFieldRequirement(ApiModel):
    """A requirement on one field of a node."""

    key: Annotated[Key, Field(description="Name of the field that is looked at, such as metadata.name.")]
    operator: Annotated[Operator, Field(description="How the value is compared: In or NotIn.")]
    values: Annotated[
        list[Annotated[str, Field(json_schema_extra=max_characters(253))]] | None,
        Field(json_schema_extra=max_items(1), description="What the field is compared with, one value."),
    ] = None


class NodeSelectorTerm(ApiModel):
    """Requirements that a node must meet, all of them."""

    match_expressions: Annotated[
        list[NodeRequirement] | None,
        Field(json_schema_extra=max_items(8), description="Requirements on labels of the node."),
    ] = None
    match_fields: Annotated[
        list[NodeFieldRequirement] | None,
        Field(json_schema_extra=max_items(2), description="Requirements on fields of the node, such as metadata.name."),
    ] = None


class NodeSelector(ApiModel):
    node_selector_terms: Annotated[
        list[NodeSelectorTerm],
        Field(json_schema_extra=max_items(16), description="A node must satisfy at least one of these."),
    ]


class PreferredNodes(ApiModel):
    weight: Annotated[int, Field(description="How much these nodes are preferred, from 1 to 100.")]
    preference: Annotated[NodeSelectorTerm, Field(description="Requirements that a preferred node meets.")]


class NodeAffinity(ApiModel):
    required_during_scheduling_ignored_during_execution: Annotated[
        NodeSelector | None, Field(description="Nodes on which the pods may run.")
    ] = None
    preferred_during_scheduling_ignored_during_execution: Annotated[
        list[PreferredNodes] | None,
        Field(json_schema_extra=max_items(16), description="Nodes on which the pods should run, if possible."),
    ] = None


class LabelRequirement(ApiModel):
    """A requirement on one label of a pod, a claim or a namespace."""

    key: Annotated[Key, Field(description="Name of the label that is looked at.")]
    operator: Annotated[Operator, Field(description="How values are compared: In, NotIn, Exists or DoesNotExist.")]
    values: Annotated[
        list[Value] | None,
        Field(json_schema_extra=max_items(16), description="What the value of the label is compared with."),
    ] = None


class LabelSelector(ApiModel):
    """Selects objects by their labels."""

    match_labels: Annotated[
        dict[str, Value] | None,
        Field(json_schema_extra=max_entries(8), description="Labels and the values that they must have."),
    ] = None
    match_expressions: Annotated[
        list[LabelRequirement] | None,
        Field(json_schema_extra=max_items(4), description="Further requirements on labels."),
    ] = None


class PodAffinityTerm(ApiModel):
    """A set of pods, and the topology in which they are looked for."""

    label_selector: Annotated[LabelSelector | None, Field(description="Selects pods by their labels.")] = None
    topology_key: Annotated[
        Key, Field(description="Label of nodes: nodes with the same value of it count as one place.")
    ]
    namespaces: Annotated[
        list[Value] | None,
        Field(
            json_schema_extra=max_items(16),
            description="Namespaces of the selected pods; default: that of the resource.",
        ),
    ] = None
    namespace_selector: Annotated[
        LabelSelector | None, Field(description="Selects namespaces of the pods by their labels.")
    ] = None
    match_label_keys: Annotated[
        list[Key] | None,
        Field(json_schema_extra=max_items(8), description="Labels in which the pods must be equal to the new pod."),
    ] = None
    mismatch_label_keys: Annotated[
        list[Key] | None,
        Field(json_schema_extra=max_items(8), description="Labels in which the pods must differ from the new pod."),
    ] = None


class PreferredPods(ApiModel):
    weight: Annotated[int, Field(description="How much this term counts, from 1 to 100.")]
    pod_affinity_term: Annotated[PodAffinityTerm, Field(description="A set of pods, and where they are looked for.")]


class PodAffinity(ApiModel):
    required_during_scheduling_ignored_during_execution: Annotated[
        list[PodAffinityTerm] | None,
        Field(json_schema_extra=max_items(4), description="Rules that must be met to place a pod."),
    ] = None
    preferred_during_scheduling_ignored_during_execution: Annotated[
        list[PreferredPods] | None,
        Field(json_schema_extra=max_items(4), description="Rules that are met where that is possible."),
    ] = None


class Affinity(ApiModel):
    """Where the pods may run, or should run."""

    node_affinity: Annotated[NodeAffinity | None, Field(description="Rules about the nodes of the pods.")] = None
    pod_affinity: Annotated[
        PodAffinity | None, Field(description="Pods next to which the new pods may run, or should run.")
    ] = None
    pod_anti_affinity: Annotated[
        PodAffinity | None, Field(description="Pods away from which the new pods must run, or should run.")
    ] = None


Inclusion = Literal["Honor", "Ignore"]


class TopologySpreadConstraint(ApiModel):
    """How evenly the pods are spread over zones, racks or nodes."""

    topology_key: Annotated[
        LabelKey, Field(description="Label of nodes: nodes with the same value of it count as one domain.")
    ]
    when_unsatisfiable: Annotated[
        Literal["DoNotSchedule", "ScheduleAnyway"],
        Field(description="What happens to a pod that would break the constraint: DoNotSchedule or ScheduleAnyway."),
    ]
    max_skew: Annotated[
        int, Field(ge=1, description="Largest difference between the number of pods in two domains, at least 1.")
    ]
    label_selector: Annotated[
        LabelSelector | None,
        Field(description="Selects the pods that are counted; default: the pods of the same Job."),
    ] = None
    match_label_keys: Annotated[
        list[LabelKey] | None,
        Field(
            max_length=8,
            description="Labels in which the counted pods must be equal to the new pod; requires labelSelector.",
        ),
    ] = None
    min_domains: Annotated[
        int | None,
        Field(ge=1, description="Smallest number of domains; only with whenUnsatisfiable DoNotSchedule; default: 1."),
    ] = None
    node_affinity_policy: Annotated[
        Inclusion | None,
        Field(description="Whether domains are found by nodeSelector and affinity too: Honor, the default, or Ignore."),
    ] = None
    node_taints_policy: Annotated[
        Inclusion | None,
        Field(description="Whether taints of nodes are honored when domains are found: Honor, or Ignore, the default."),
    ] = None
