"""The Hub's buckets keep no attributes of objects, and know fewer conditions than other stores."""

import pytest

from deepsynth_api.errors import ConfigurationError
from deepsynth_store import MANIFEST, open_dataset, open_target
from deepsynth_store.objects.requests import ObjectCalls
from support.store.generations import Generation, build_generation
from support.store.object_servers.fault_proxy import PASSING, FaultKind
from support.store.object_servers.hub_buckets import OWNER, HubBuckets

ONE, TWO = build_generation("one", 2), build_generation("two", 3)


def run(uri: str, generation: Generation) -> str:
    return generation.run(open_target(uri, generation.digest))


def read_all(uri: str) -> dict[str, bytes]:
    dataset = open_dataset(uri)
    return {file.path: dataset.read(file.path) for file in dataset.list_files()}


@pytest.mark.parametrize("kind", PASSING)
def test_a_fault_of_the_commit_loses_nothing(hf: HubBuckets, hf_uri: str, kind: FaultKind) -> None:
    run(hf_uri, ONE)
    hf.fail_next("PUT", kind, target=MANIFEST)
    run(hf_uri, TWO)
    assert read_all(hf_uri) == TWO.expected


def test_a_publish_that_is_killed_after_its_commit_is_read(hf_uri: str, monkeypatch: pytest.MonkeyPatch) -> None:
    run(hf_uri, ONE)
    target = open_target(hf_uri, TWO.digest)
    target.prepare()
    TWO.render(target)

    def die(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(ObjectCalls, "delete", die)
        with pytest.raises(KeyboardInterrupt):
            target.publish(TWO.copies, TWO.files)

    assert read_all(hf_uri) == TWO.expected
    for generation in (TWO, ONE, TWO):
        run(hf_uri, generation)
        assert read_all(hf_uri) == generation.expected


def test_without_its_keys_the_error_names_them(hf: HubBuckets, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HF_S3_SECRET_ACCESS_KEY")
    with pytest.raises(ConfigurationError, match="HF_S3_ACCESS_KEY_ID and HF_S3_SECRET_ACCESS_KEY are not set"):
        open_dataset(f"hf://buckets/{OWNER}/pages/letters", field="spec.source.uri")


def test_a_bucket_of_another_owner_is_named(hf: HubBuckets) -> None:
    with pytest.raises(ConfigurationError, match=r"hf://buckets/other/pages: no bucket pages; create it, or correct"):
        open_dataset("hf://buckets/other/pages")
