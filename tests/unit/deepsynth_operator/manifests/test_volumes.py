from typing import Any

import pytest

from deepsynth_api.errors import ConfigurationError
from deepsynth_api.v1alpha1.pod.pod_template import PodTemplate
from deepsynth_operator.manifests.volumes import Location, build_claim_volumes, build_template_volumes


def a_template(*volumes: dict[str, Any]) -> PodTemplate:
    return PodTemplate.model_validate({"volumes": list(volumes)})


def test_a_claim_that_is_read_and_written_is_mounted_once_and_writable() -> None:
    read = Location("spec.datasets[pages].uri", "pvc://data/pages")
    written = Location("spec.checkpoint.uri", "pvc://data/checkpoints", is_written=True)
    (mounted,) = build_claim_volumes([read, written])
    assert mounted.mount == {"name": "claim-data", "mountPath": "/mnt/volumes/data"}


def test_a_claim_that_is_only_read_is_mounted_read_only() -> None:
    (mounted,) = build_claim_volumes([Location("spec.model.uri", "pvc://models/first")])
    assert mounted.volume == {"name": "claim-models", "persistentVolumeClaim": {"claimName": "models"}}
    assert mounted.mount == {"name": "claim-models", "mountPath": "/mnt/volumes/models", "readOnly": True}


def test_only_volume_uris_need_a_volume() -> None:
    assert (
        build_claim_volumes([Location("spec.model.uri", "hf://acme/model"), Location("spec.publish.uri", None)]) == []
    )


def test_a_volume_uri_without_a_claim_is_an_error_that_names_the_field() -> None:
    with pytest.raises(ConfigurationError, match=r"^spec\.checkpoint\.uri: must be pvc://CLAIM/PATH, got pvc:///here"):
        build_claim_volumes([Location("spec.checkpoint.uri", "pvc:///here")])


@pytest.mark.parametrize("name", ["tmp", "claim-data"])
def test_a_reserved_volume_name_is_an_error_that_names_the_field(name: str) -> None:
    template = a_template({"name": name, "mountPath": "/data", "emptyDir": {}})
    with pytest.raises(ConfigurationError, match=rf"^spec\.template\.volumes\[0\]\.name: {name} is used"):
        build_template_volumes(template)


def test_a_users_volumes_keep_their_own_shape() -> None:
    secret = {"name": "certificates", "secret": {"secretName": "ca", "defaultMode": 256}}
    scratch = {"name": "scratch", "ephemeral": {"volumeClaimTemplate": {"spec": {}}}}
    mounted = build_template_volumes(
        a_template({**secret, "mountPath": "/certs", "readOnly": True}, {**scratch, "mountPath": "/scratch"})
    )
    assert [item.volume for item in mounted] == [secret, scratch]
    assert [item.mount for item in mounted] == [
        {"name": "certificates", "mountPath": "/certs", "readOnly": True},
        {"name": "scratch", "mountPath": "/scratch"},
    ]
