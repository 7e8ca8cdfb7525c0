import pytest

from deepsynth_api.kinds import API_VERSION, KINDS, ApiKind
from support.resources.builders import a_training_run


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS.keys())
def test_a_kind_names_its_own_resource(kind: ApiKind) -> None:
    fields = kind.resource.model_fields
    assert (fields["api_version"].default, fields["kind"].default) == (API_VERSION, kind.name)


def test_a_kind_is_found_by_the_names_that_kubectl_accepts() -> None:
    assert KINDS["TrainingRun"].aliases == ("trainingrun", "trainingruns", "trainingruns.deepsynth.io", "trun")


def test_resources_share_the_defaults_of_what_they_do_not_set() -> None:
    """Copying them for each resource took most of the time that it takes to parse one."""
    first, second = a_training_run("first").build(), a_training_run("second").build()
    assert first.spec.template is second.spec.template
