"""`deepsynth local` refuses what the API server refuses, in the same words: tests/e2e/api_server asks that one."""

import json
from typing import Any

import pytest

from deepsynth_api.errors import ConfigurationError
from deepsynth_client.manifest_file import parse_manifests
from deepsynth_local.admission.admit import admit
from support.resources.bad_specs import BAD_SPECS, STARTED, VALID, BadSpec


def store(resource: dict[str, Any], old: dict[str, Any] | None = None) -> dict[str, Any]:
    return admit(parse_manifests(json.dumps(resource), "x.yaml")[0], old)


@pytest.mark.parametrize("bad", BAD_SPECS, ids=lambda bad: bad.sentence)
def test_a_bad_spec_is_refused_with_the_field_and_the_remedy(bad: BadSpec) -> None:
    old = {**store(bad.build_old()), "status": STARTED[bad.kind]} if bad.has_started else None
    with pytest.raises(ConfigurationError) as refused:
        store(bad.build(), old)
    assert bad.field in refused.value.message
    assert bad.remedy in refused.value.message


@pytest.mark.parametrize("resource", VALID.values(), ids=VALID)
def test_the_resources_behind_the_bad_specs_are_valid(resource: dict[str, Any]) -> None:
    assert store(resource)["spec"]


def test_no_two_bad_specs_have_the_same_sentence() -> None:
    assert len({bad.sentence for bad in BAD_SPECS}) == len(BAD_SPECS) >= 100
