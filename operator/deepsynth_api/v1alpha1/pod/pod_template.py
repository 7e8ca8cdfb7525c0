"""spec.template: what a user can set on the pods of a resource."""

from typing import Annotated

from pydantic import Field

from deepsynth_api.v1alpha1.pod.pod_scheduling import Affinity, Toleration, TopologySpreadConstraint
from deepsynth_api.v1alpha1.pod.pod_volumes import (
    ConfigMapVolume,
    CsiVolume,
    EmptyDirVolume,
    EphemeralVolume,
    PersistentVolumeClaimVolume,
    SecretVolume,
    VariableSource,
)
from deepsynth_api.v1alpha1.shared.base import ApiModel, Quantity, max_characters
from deepsynth_api.v1alpha1.shared.patterns import ClassName, LabelValue, ObjectName, matching


class ResourceRequirements(ApiModel):
    """Compute resources of the container, as in a pod."""

    limits: Annotated[
        dict[str, Quantity],
        Field(
            max_length=16,
            description="Upper limit for each resource. Put devices here: nvidia.com/gpu, rdma/hca_shared_devices_a.",
        ),
    ] = Field(default_factory=dict)
    requests: Annotated[
        dict[str, Quantity],
        Field(max_length=16, description="Amount of each resource to reserve; default: the limits."),
    ] = Field(default_factory=dict)


class Volume(ApiModel):
    """A volume and its mount path. Set exactly one type of volume."""

    name: Annotated[
        str,
        matching(
            "[a-z0-9]([-a-z0-9]*[a-z0-9])?",
            "must consist of lower case letters, digits and '-', and start and end with a letter or digit",
            max_length=63,
            description="Name of the volume, unique within the pod.",
        ),
    ]
    mount_path: Annotated[
        str,
        matching(
            "/[^:]*",
            "must be an absolute path without ':'",
            max_length=1024,
            description="Absolute path in the container.",
        ),
    ]
    read_only: Annotated[bool, Field(description="Whether the container mounts the volume read-only.")] = False
    sub_path: Annotated[
        str | None,
        Field(
            json_schema_extra=max_characters(1024), description="Path within the volume to mount instead of its root."
        ),
    ] = None
    persistent_volume_claim: Annotated[
        PersistentVolumeClaimVolume | None, Field(description="A PersistentVolumeClaim in the resource's namespace.")
    ] = None
    config_map: Annotated[ConfigMapVolume | None, Field(description="A ConfigMap, mounted as files.")] = None
    secret: Annotated[SecretVolume | None, Field(description="A Secret, mounted as files.")] = None
    empty_dir: Annotated[EmptyDirVolume | None, Field(description="Scratch space that is deleted with the pod.")] = None
    csi: Annotated[CsiVolume | None, Field(description="An inline CSI volume.")] = None
    ephemeral: Annotated[EphemeralVolume | None, Field(description="A claim that is created for each pod.")] = None


class LocalObjectReference(ApiModel):
    name: Annotated[ObjectName, Field(description="Name of a Secret in the resource's namespace.")]


class EnvironmentVariable(ApiModel):
    """One environment variable. Names that start with DEEPSYNTH_, and those of torchrun, are reserved."""

    name: Annotated[
        str,
        matching(
            "[-._a-zA-Z][-._a-zA-Z0-9]*",
            "must consist of letters, digits, '_', '-' and '.', and not start with a digit",
            max_length=256,
            description="Name of the environment variable.",
        ),
    ]
    value: Annotated[str | None, Field(description="Value of the variable. Set this or valueFrom.")] = None
    value_from: Annotated[
        VariableSource | None, Field(description="Source of the value, such as a key of a Secret. Set this or value.")
    ] = None


class PodResourceClaim(ApiModel):
    """Devices by Dynamic Resource Allocation (DRA). The container of each pod gets all claims."""

    name: Annotated[
        str,
        matching(
            "[a-z0-9]([-a-z0-9]*[a-z0-9])?",
            "must consist of lower case letters, digits and '-', and start and end with a letter or digit",
            max_length=63,
            description="Name of the claim, unique within the pod.",
        ),
    ]
    resource_claim_template_name: Annotated[
        ObjectName | None,
        Field(
            description=(
                "ResourceClaimTemplate in this namespace: each pod gets its own claim. Set this or resourceClaimName."
            )
        ),
    ] = None
    resource_claim_name: Annotated[
        ObjectName | None,
        Field(
            description="ResourceClaim in this namespace, which all pods share. Set this or resourceClaimTemplateName."
        ),
    ] = None


class PodTemplate(ApiModel):
    """Settings of the pods. The operator sets all other fields and meets the restricted Pod Security Standard."""

    labels: Annotated[dict[str, LabelValue], Field(description="Additional labels of the Jobs and pods.")] = Field(
        default_factory=dict
    )
    annotations: Annotated[dict[str, str], Field(description="Additional annotations of the pods.")] = Field(
        default_factory=dict
    )
    resources: Annotated[
        ResourceRequirements | None, Field(description="Compute resources of the container of each pod.")
    ] = None
    node_selector: Annotated[
        dict[str, LabelValue], Field(description="Labels that a node must have to run the pods.")
    ] = Field(default_factory=dict)
    tolerations: Annotated[list[Toleration], Field(description="Taints that the pods tolerate.")] = Field(
        default_factory=list
    )
    affinity: Annotated[Affinity | None, Field(description="Where the pods may run, or should run.")] = None
    topology_spread_constraints: Annotated[
        list[TopologySpreadConstraint],
        Field(
            description="How evenly the pods are spread over zones, racks or nodes.",
            max_length=8,
            json_schema_extra={
                "x-kubernetes-list-type": "map",
                "x-kubernetes-list-map-keys": ["topologyKey", "whenUnsatisfiable"],
            },
        ),
    ] = Field(default_factory=list)
    scheduler_name: Annotated[
        ClassName | None, Field(description="Scheduler of the pods; default: the cluster's default scheduler.")
    ] = None
    runtime_class_name: Annotated[
        ClassName | None,
        Field(
            description=(
                "RuntimeClass of the pods, such as nvidia where that is not the nodes' default; default: the nodes'."
            )
        ),
    ] = None
    resource_claims: Annotated[
        list[PodResourceClaim],
        Field(
            description=(
                "Devices that the pods get by Dynamic Resource Allocation (DRA) instead of limits. GPUs in claims are "
                "not counted, so set numProcPerNode."
            ),
            max_length=8,
            json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"]},
        ),
    ] = Field(default_factory=list)
    priority_class_name: Annotated[ObjectName | None, Field(description="Name of the PriorityClass of the pods.")] = (
        None
    )
    service_account_name: Annotated[
        ObjectName | None, Field(description="ServiceAccount of the pods. Its token is never mounted.")
    ] = None
    image_pull_secrets: Annotated[list[LocalObjectReference], Field(description="Secrets for pulling spec.image.")] = (
        Field(default_factory=list)
    )
    env: Annotated[
        list[EnvironmentVariable],
        Field(
            description="Additional environment variables of the pods.",
            json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"]},
        ),
    ] = Field(default_factory=list)
    volumes: Annotated[
        list[Volume],
        Field(
            description="Additional volumes, each with its mount path.",
            max_length=32,
            json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"]},
        ),
    ] = Field(default_factory=list)
    run_as_user: Annotated[
        int | None,
        Field(
            ge=1, description="uid, gid and fsGroup of the pods; default: 65532, on OpenShift what the namespace gives."
        ),
    ] = None
    termination_grace_period_seconds: Annotated[
        int | None,
        Field(
            ge=1,
            description=(
                "Seconds that a pod has to save its work after SIGTERM; default: 300 for training, 60 for rendering."
            ),
        ),
    ] = None
