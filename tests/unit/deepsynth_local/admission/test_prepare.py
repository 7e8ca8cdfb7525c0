from pathlib import Path

import pytest

from deepsynth_api.errors import ConfigurationError
from deepsynth_client.manifest_file import parse_manifests
from deepsynth_local.admission.admit import admit
from deepsynth_local.admission.prepare import AdmittedResources, prepare
from deepsynth_local.runs.resource_store import ResourceStore
from deepsynth_local.runs.runs_folder import RunsFolder

HEAD = "apiVersion: deepsynth.io/v1alpha1\n"
GENERATION = HEAD + "kind: DatasetGeneration\nmetadata: {name: a}\nspec: {preset: xsum, output: {uri: pvc://c/a}}\n"
RUN = (
    HEAD
    + "kind: TrainingRun\nmetadata: {name: b}\n"
    + "spec: {model: {uri: pvc://c/m}, datasets: [{name: a, datasetGenerationRef: {name: a}}],"
    + " checkpoint: {uri: pvc://c/b}}\n"
)


@pytest.fixture
def store(tmp_path: Path) -> ResourceStore:
    return ResourceStore(RunsFolder.open(tmp_path))


def prepare_text(text: str, store: ResourceStore) -> AdmittedResources:
    return prepare(parse_manifests(text, "x.yaml"), store, gpus=0)


def test_a_resource_comes_after_those_it_refers_to(store: ResourceStore) -> None:
    admitted = prepare_text(RUN + "---\n" + GENERATION, store)

    assert [key.name for key in admitted.active] == ["a", "b"]


def test_an_earlier_resource_is_active_only_where_it_is_needed(store: ResourceStore) -> None:
    for text in (GENERATION, GENERATION.replace("name: a", "name: other")):
        store.save(admit(parse_manifests(text, "x.yaml")[0]))
    admitted = prepare_text(RUN, store)

    assert [key.name for key in admitted.active] == ["a", "b"]
    assert [key.name for key in admitted.applied] == ["b"]
    assert {key.name for key in admitted.earlier} == {"a", "other"}


def test_a_reference_to_nothing_is_an_error_with_the_remedy(store: ResourceStore) -> None:
    with pytest.raises(ConfigurationError, match=r'DatasetGeneration "a" not found in these files .* add its file'):
        prepare_text(RUN, store)


def test_the_problems_of_all_resources_are_listed(store: ResourceStore) -> None:
    text = "---\n".join([GENERATION, GENERATION, RUN.replace("model: {uri: pvc://c/m}", "model: {}")])
    with pytest.raises(ConfigurationError) as caught:
        prepare_text(text, store)

    assert 'DatasetGeneration "a" appears twice in these files; remove one' in caught.value.message
    assert 'TrainingRun "b" is invalid:' in caught.value.message
