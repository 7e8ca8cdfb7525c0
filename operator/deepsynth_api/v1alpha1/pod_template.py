"""spec.template: what a user may say about the pods of a resource."""

from typing import Annotated, Any

from pydantic import Field

from deepsynth_api.v1alpha1.base import ApiModel, Quantity
from deepsynth_api.v1alpha1.patterns import LabelValue, ObjectName, matching

PRESERVE = {"x-kubernetes-preserve-unknown-fields": True}
"""Below this point the pod API's own shapes apply and Kubernetes validates them."""


class ResourceRequirements(ApiModel):
    """Compute resources of the container, as in a pod."""

    limits: Annotated[
        dict[str, Quantity], Field(max_length=16, description="Most of each resource. nvidia.com/gpu belongs here.")
    ] = Field(default_factory=dict)
    requests: Annotated[
        dict[str, Quantity], Field(max_length=16, description="Resource to reserve; default: the limits.")
    ] = Field(default_factory=dict)


class PersistentVolumeClaimVolume(ApiModel):
    claim_name: Annotated[ObjectName, Field(description="Name of the PersistentVolumeClaim.")]
    read_only: Annotated[bool | None, Field(description="Whether the claim is attached for reading only.")] = None


class Volume(ApiModel):
    """A volume and where it is mounted. Exactly one kind must be set."""

    name: Annotated[
        str,
        matching(
            "[a-z0-9]([-a-z0-9]*[a-z0-9])?",
            "write lower case letters, digits and '-', with a letter or digit at both ends",
            max_length=63,
            description="Name of the volume, another one for each.",
        ),
    ]
    mount_path: Annotated[
        str,
        matching(
            "/[^:]*",
            "write an absolute path without ':'",
            max_length=1024,
            description="Absolute path in the container.",
        ),
    ]
    read_only: Annotated[bool, Field(description="Whether the container may only read it.")] = False
    sub_path: Annotated[str | None, Field(description="Path within the volume to mount instead of its root.")] = None
    persistent_volume_claim: Annotated[
        PersistentVolumeClaimVolume | None, Field(description="A claim in the resource's namespace.")
    ] = None
    config_map: Annotated[
        dict[str, Any] | None, Field(description="A ConfigMap as files, as in a pod.", json_schema_extra=PRESERVE)
    ] = None
    secret: Annotated[
        dict[str, Any] | None, Field(description="A Secret as files, as in a pod.", json_schema_extra=PRESERVE)
    ] = None
    empty_dir: Annotated[
        dict[str, Any] | None, Field(description="Scratch space, as in a pod.", json_schema_extra=PRESERVE)
    ] = None
    csi: Annotated[
        dict[str, Any] | None,
        Field(description="An inline CSI volume, as in a pod.", json_schema_extra=PRESERVE),
    ] = None
    ephemeral: Annotated[
        dict[str, Any] | None,
        Field(description="A claim made for the pod, as in a pod.", json_schema_extra=PRESERVE),
    ] = None


class LocalObjectReference(ApiModel):
    name: Annotated[ObjectName, Field(description="Name of a Secret in the resource's namespace.")]


class EnvironmentVariable(ApiModel):
    """One environment variable. Names starting with DEEPSYNTH_ and torchrun's own are reserved."""

    name: Annotated[
        str,
        matching(
            "[-._a-zA-Z][-._a-zA-Z0-9]*",
            "write letters, digits, '_', '-' and '.', not beginning with a digit",
            max_length=256,
            description="Name of the environment variable.",
        ),
    ]
    value: Annotated[str | None, Field(description="Value of the variable; set this or valueFrom.")] = None
    value_from: Annotated[
        dict[str, Any] | None,
        Field(
            description="Where the value comes from, such as a key of a Secret, as in a pod; set this or value.",
            json_schema_extra=PRESERVE,
        ),
    ] = None


class PodTemplate(ApiModel):
    """Settings of the pods. Everything else about them is the operator's, and meets the restricted level."""

    labels: Annotated[dict[str, LabelValue], Field(description="Extra labels on Jobs and pods.")] = Field(
        default_factory=dict
    )
    annotations: Annotated[dict[str, str], Field(description="Extra annotations on pods.")] = Field(
        default_factory=dict
    )
    resources: Annotated[ResourceRequirements | None, Field(description="Resources of each pod's container.")] = None
    node_selector: Annotated[
        dict[str, LabelValue], Field(description="Labels that a node must have to run the pods.")
    ] = Field(default_factory=dict)
    tolerations: Annotated[
        list[Annotated[dict[str, Any], Field(json_schema_extra=PRESERVE)]],
        Field(description="Taints the pods accept, as in a pod."),
    ] = Field(default_factory=list)
    affinity: Annotated[
        dict[str, Any] | None,
        Field(description="Scheduling affinity, as in a pod.", json_schema_extra=PRESERVE),
    ] = None
    priority_class_name: Annotated[ObjectName | None, Field(description="Name of the PriorityClass of the pods.")] = (
        None
    )
    service_account_name: Annotated[
        ObjectName | None, Field(description="ServiceAccount of the pods; its token is never mounted.")
    ] = None
    image_pull_secrets: Annotated[list[LocalObjectReference], Field(description="Secrets for pulling spec.image.")] = (
        Field(default_factory=list)
    )
    env: Annotated[
        list[EnvironmentVariable],
        Field(
            description="Extra environment variables.",
            json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"]},
        ),
    ] = Field(default_factory=list)
    volumes: Annotated[
        list[Volume],
        Field(
            description="Extra volumes, each with its mount path.",
            max_length=32,
            json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"]},
        ),
    ] = Field(default_factory=list)
    run_as_user: Annotated[int | None, Field(ge=1, description="uid, gid and fsGroup of the pods; default 65532.")] = (
        None
    )
    termination_grace_period_seconds: Annotated[
        int | None,
        Field(ge=1, description="Seconds a pod has to save after SIGTERM; default 300 training, 60 rendering."),
    ] = None
