"""Selectors as the reference of Kubernetes describes them."""

import pytest

from deepsynth_client.errors import InvalidError
from deepsynth_client.interface import Selection
from deepsynth_client.selectors import build_filter
from support.resources.builders import a_training_run

RUN = a_training_run().labelled({"env": "dev", "example.com/tier": "gpu", "empty": ""})
RESOURCE = RUN.with_status(state="Running").to_manifest()


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        ("", True),
        ("env=dev", True),
        ("env==dev", True),
        ("env = dev", True),
        ("env=prod", False),
        ("env!=prod", True),
        ("env!=dev", False),
        ("owner!=me", True),  # without the label
        ("env in (dev, test)", True),
        ("env in (test)", False),
        ("env notin (test,prod)", True),
        ("env notin (dev)", False),
        ("owner notin (me)", True),
        ("owner in (me)", False),
        ("env", True),
        ("owner", False),
        ("!owner", True),
        ("!env", False),
        ("empty=", True),
        ("example.com/tier=gpu", True),
        ("env=dev,example.com/tier in (gpu,cpu),!owner", True),
        ("env=dev,owner", False),
    ],
)
def test_label_selectors(labels: str, expected: bool) -> None:
    assert build_filter(Selection(labels))(RESOURCE) is expected


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ("status.state=Running", True),
        ("status.state!=Running", False),
        ("metadata.name=read-xsum,metadata.namespace=default", True),
        ("metadata.name=other", False),
    ],
)
def test_field_selectors(fields: str, expected: bool) -> None:
    assert build_filter(Selection(fields=fields))(RESOURCE) is expected


def test_a_resource_without_a_status_has_no_state() -> None:
    assert build_filter(Selection(fields="status.state="))(a_training_run().to_manifest())


@pytest.mark.parametrize("labels", ["a=(b", "a in b", "a in (b", "=b", "a,,b", "a b", "!a=b"])
def test_what_kubectl_refuses_is_refused(labels: str) -> None:
    with pytest.raises(InvalidError, match="--selector"):
        build_filter(Selection(labels))(RESOURCE)


@pytest.mark.parametrize("fields", ["status.phase=x", "status.state", "spec.maxSteps=3"])
def test_fields_that_the_api_server_cannot_select_by_are_refused(fields: str) -> None:
    with pytest.raises(InvalidError, match="--field-selector"):
        build_filter(Selection(fields=fields))(RESOURCE)
