"""Resources that an older version stored are admitted again, load, and are reconciled as they are."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from deepsynth_local.admission.admit import admit
from deepsynth_local.admission.manifest_file import parse_manifests
from support.controller import Controller
from support.older_resources import OLDER_RESOURCES


@pytest.fixture
def control() -> Iterator[Controller]:
    controller = Controller()
    yield controller
    controller.close()


@pytest.mark.parametrize("older", OLDER_RESOURCES.values(), ids=OLDER_RESOURCES)
def test_a_resource_of_older_shape_is_admitted(older: dict[str, Any]) -> None:
    assert admit(parse_manifests(json.dumps(older), "older.yaml")[0])["spec"]


@pytest.mark.parametrize("older", OLDER_RESOURCES.values(), ids=OLDER_RESOURCES)
def test_a_resource_of_older_shape_goes_on_where_it_stood(control: Controller, older: dict[str, Any]) -> None:
    metadata = {**older["metadata"], "namespace": "default", "uid": "uid-1", "generation": 1}
    control.cluster.restore_resource({"status": {}, **older, "metadata": metadata})
    control.settle()
    stored = control.cluster.store.get(older["kind"], "default", "older")
    assert stored is not None
    assert stored["status"]["observedGeneration"] == 1
    assert stored["status"]["state"] not in {"Failed", "Pending"}
    assert control.list_jobs() != []
