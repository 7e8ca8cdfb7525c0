"""Volumes and sources of variables, as Kubernetes has them, but with an upper limit for every text, list and map."""

from typing import Annotated

from pydantic import Field

from deepsynth_api.v1alpha1.pod.pod_scheduling import LabelSelector
from deepsynth_api.v1alpha1.shared.base import ApiModel, Quantity, max_characters, max_entries, max_items
from deepsynth_api.v1alpha1.shared.patterns import ObjectName

Name = Annotated[str, Field(json_schema_extra=max_characters(253))]
Path = Annotated[str, Field(json_schema_extra=max_characters(1024))]
Word = Annotated[str, Field(json_schema_extra=max_characters(63))]

IS_OPTIONAL = "Whether the pod may start without it; default: false."


class PersistentVolumeClaimVolume(ApiModel):
    claim_name: Annotated[ObjectName, Field(description="Name of the PersistentVolumeClaim.")]
    read_only: Annotated[bool | None, Field(description="Whether to attach the claim read-only.")] = None


class KeyToPath(ApiModel):
    """A key that becomes a file."""

    key: Annotated[Name, Field(description="Key whose value is written to a file.")]
    path: Annotated[Path, Field(description="Path of the file, relative to the root of the volume.")]
    mode: Annotated[int | None, Field(description="Permission bits of this file; default: those of the volume.")] = None


class ConfigMapVolume(ApiModel):
    name: Annotated[Name | None, Field(description="Name of a ConfigMap in the resource's namespace.")] = None
    items: Annotated[
        list[KeyToPath] | None,
        Field(json_schema_extra=max_items(32), description="Keys that become files; default: all of them."),
    ] = None
    default_mode: Annotated[int | None, Field(description="Permission bits of the files; default: 0644.")] = None
    optional: Annotated[bool | None, Field(description=IS_OPTIONAL)] = None


class SecretVolume(ApiModel):
    secret_name: Annotated[Name | None, Field(description="Name of a Secret in the resource's namespace.")] = None
    items: Annotated[
        list[KeyToPath] | None,
        Field(json_schema_extra=max_items(32), description="Keys that become files; default: all of them."),
    ] = None
    default_mode: Annotated[int | None, Field(description="Permission bits of the files; default: 0644.")] = None
    optional: Annotated[bool | None, Field(description=IS_OPTIONAL)] = None


class EmptyDirVolume(ApiModel):
    medium: Annotated[
        Word | None, Field(description="Where the files are: Memory, or a HugePages medium; default: the node's disk.")
    ] = None
    size_limit: Annotated[
        Quantity | None, Field(description="Most that the files may take together; default: no limit.")
    ] = None


class LocalSecretReference(ApiModel):
    name: Annotated[Name | None, Field(description="Name of a Secret in the resource's namespace.")] = None


class CsiVolume(ApiModel):
    driver: Annotated[Name | None, Field(description="Name of the CSI driver that provides the volume.")] = None
    read_only: Annotated[bool | None, Field(description="Whether the volume is read-only; default: false.")] = None
    fs_type: Annotated[Word | None, Field(description="File system type, such as ext4; default: the driver's.")] = None
    volume_attributes: Annotated[
        dict[str, Path] | None,
        Field(json_schema_extra=max_entries(32), description="Settings that are passed to the CSI driver."),
    ] = None
    node_publish_secret_ref: Annotated[
        LocalSecretReference | None, Field(description="Secret that the CSI driver gets on the node.")
    ] = None


class ClaimMetadata(ApiModel):
    labels: Annotated[
        dict[str, Word] | None,
        Field(json_schema_extra=max_entries(16), description="Labels of the claims that are created."),
    ] = None
    annotations: Annotated[
        dict[str, Name] | None,
        Field(json_schema_extra=max_entries(16), description="Annotations of the claims that are created."),
    ] = None


class ClaimResources(ApiModel):
    requests: Annotated[
        dict[str, Quantity] | None,
        Field(json_schema_extra=max_entries(4), description="Smallest size of the volume, under storage."),
    ] = None
    limits: Annotated[
        dict[str, Quantity] | None,
        Field(json_schema_extra=max_entries(4), description="Largest size of the volume, under storage."),
    ] = None


class DataSource(ApiModel):
    """An object that a new volume is filled from."""

    api_group: Annotated[Name | None, Field(description="API group of the object, if it is not the core group.")] = None
    kind: Annotated[Word, Field(description="Kind of the object, such as VolumeSnapshot.")]
    name: Annotated[Name, Field(description="Name of the object to fill the volume from.")]
    namespace: Annotated[Word | None, Field(description="Where the object is; default: the resource's namespace.")] = (
        None
    )


class ClaimSpec(ApiModel):
    access_modes: Annotated[
        list[Word] | None,
        Field(json_schema_extra=max_items(4), description="How the volume can be mounted, such as ReadWriteOnce."),
    ] = None
    selector: Annotated[LabelSelector | None, Field(description="Selects existing volumes by their labels.")] = None
    resources: Annotated[ClaimResources | None, Field(description="The size that the volume has to have.")] = None
    volume_name: Annotated[Name | None, Field(description="Name of an existing PersistentVolume to use.")] = None
    storage_class_name: Annotated[
        Name | None, Field(description="StorageClass of the volume; default: the cluster's.")
    ] = None
    volume_mode: Annotated[Word | None, Field(description="Must be Filesystem, the default, to be mounted.")] = None
    volume_attributes_class_name: Annotated[
        Name | None, Field(description="VolumeAttributesClass that sets the properties of the volume.")
    ] = None
    data_source: Annotated[DataSource | None, Field(description="Snapshot or claim to fill the volume from.")] = None
    data_source_ref: Annotated[
        DataSource | None, Field(description="Any object that a populator fills the volume from.")
    ] = None


class ClaimTemplate(ApiModel):
    metadata: Annotated[ClaimMetadata | None, Field(description="Labels and annotations of the claims.")] = None
    spec: Annotated[ClaimSpec | None, Field(description="What each pod's claim asks for.")] = None


class EphemeralVolume(ApiModel):
    volume_claim_template: Annotated[
        ClaimTemplate | None, Field(description="The claim that is created for each of the pods.")
    ] = None


class KeyReference(ApiModel):
    """A key of a ConfigMap or a Secret."""

    name: Annotated[Name | None, Field(description="Name of the ConfigMap or Secret that has the key.")] = None
    key: Annotated[Name, Field(description="Key whose value the variable gets.")]
    optional: Annotated[bool | None, Field(description=IS_OPTIONAL)] = None


class FieldReference(ApiModel):
    api_version: Annotated[Word | None, Field(description="Version of the path's schema; default: v1.")] = None
    field_path: Annotated[
        Annotated[str, Field(json_schema_extra=max_characters(512))],
        Field(description="Path of the pod's field, such as spec.nodeName."),
    ]


class ResourceReference(ApiModel):
    container_name: Annotated[Name | None, Field(description="The container that is looked at; default: its own.")] = (
        None
    )
    resource: Annotated[Name, Field(description="What is read, such as limits.cpu or requests.memory.")]
    divisor: Annotated[Quantity | None, Field(description="Unit of the value, such as 1Mi; default: 1.")] = None


class FileKeyReference(ApiModel):
    volume_name: Annotated[Word, Field(description="Volume of the pod that holds the file.")]
    path: Annotated[Path, Field(description="Where in the volume the file is.")]
    key: Annotated[Name, Field(description="Name of the variable within the file.")]
    optional: Annotated[bool | None, Field(description=IS_OPTIONAL)] = None


class VariableSource(ApiModel):
    """Where the value of a variable comes from. Set exactly one field."""

    config_map_key_ref: Annotated[KeyReference | None, Field(description="A key of a ConfigMap in this namespace.")] = (
        None
    )
    secret_key_ref: Annotated[KeyReference | None, Field(description="A key of a Secret in this namespace.")] = None
    field_ref: Annotated[FieldReference | None, Field(description="A field of the pod itself, as a text.")] = None
    resource_field_ref: Annotated[
        ResourceReference | None, Field(description="A limit or a request of the container, as a number.")
    ] = None
    file_key_ref: Annotated[FileKeyReference | None, Field(description="A variable in a file of a volume.")] = None
