import pytest

from deepsynth_api.kinds import API_VERSION, KINDS, ApiKind


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS.keys())
def test_a_kind_names_its_own_resource(kind: ApiKind) -> None:
    fields = kind.resource.model_fields
    assert (fields["api_version"].default, fields["kind"].default) == (API_VERSION, kind.name)


def test_a_kind_is_found_by_the_names_that_kubectl_accepts() -> None:
    assert KINDS["TrainingRun"].aliases == ("trainingrun", "trainingruns", "trainingruns.deepsynth.io", "trun")
