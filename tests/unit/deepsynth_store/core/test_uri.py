from pathlib import Path

import pytest

from deepsynth_api.errors import ConfigurationError
from deepsynth_store.core.uri import FolderLocation, HubLocation, ObjectLocation, is_repository, parse_uri


@pytest.mark.parametrize(
    ("uri", "kind", "repo_id"),
    [
        ("hf://datasets/someone/pages", "dataset", "someone/pages"),
        ("hf://datasets/billsum", "dataset", "billsum"),
        ("hf://someone/model-1.0", "model", "someone/model-1.0"),
    ],
)
def test_a_hub_uri_names_a_repository(uri: str, kind: str, repo_id: str) -> None:
    location = parse_uri(uri)
    assert isinstance(location, HubLocation)
    assert (location.kind, location.repo_id) == (kind, repo_id)


def test_a_claim_is_a_folder_below_the_volumes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DEEPSYNTH_VOLUMES", "/mnt/volumes")
    assert parse_uri("pvc://data/sets/xsum") == FolderLocation(
        "pvc://data/sets/xsum", Path("/mnt/volumes/data/sets/xsum")
    )
    assert parse_uri("pvc://data") == FolderLocation("pvc://data", Path("/mnt/volumes/data"))


def test_a_file_uri_is_an_absolute_path() -> None:
    assert parse_uri("file:///srv/xsum") == FolderLocation("file:///srv/xsum", Path("/srv/xsum"))


@pytest.mark.parametrize("scheme", ["s3", "gs", "az"])
def test_an_object_store_uri_names_a_prefix_in_a_bucket(scheme: str) -> None:
    uri = f"{scheme}://team-data/sets/pages/"
    assert parse_uri(uri) == ObjectLocation(uri, scheme, "team-data", "sets/pages")
    assert parse_uri(f"{scheme}://team-data") == ObjectLocation(f"{scheme}://team-data", scheme, "team-data", "")


def test_a_bucket_on_the_hub_has_an_owner() -> None:
    uri = "hf://buckets/Some-One/pages.v1/sets/letters/"
    assert parse_uri(uri) == ObjectLocation(uri, "hf", "pages.v1", "sets/letters", "Some-One")
    assert parse_uri("hf://buckets/me/pages") == ObjectLocation("hf://buckets/me/pages", "hf", "pages", "", "me")


@pytest.mark.parametrize(
    ("uri", "expected"),
    [
        ("hf://datasets/me/pages", True),
        ("hf://me/model", True),
        ("hf://buckets/me/pages", False),
        ("s3://me/pages", False),
    ],
)
def test_only_repositories_on_the_hub_have_commits(uri: str, *, expected: bool) -> None:
    assert is_repository(uri) is expected


@pytest.mark.parametrize("uri", ["s3://key:hush@bucket/pages", "az://pages/x?sv=2024&sig=hush", "gs://a b@hush/pages"])
def test_credentials_in_a_uri_are_refused_with_their_place_and_never_repeated(uri: str) -> None:
    with pytest.raises(ConfigurationError, match="belong in the Secret that secretRef names") as caught:
        parse_uri(uri)
    assert "hush" not in str(caught.value)


@pytest.mark.parametrize(
    "uri",
    [
        "someone/pages",
        "/srv/xsum",
        "file://srv/xsum",
        "file:///srv/../etc",
        "http://huggingface.co/datasets/someone/pages",
        "hf://someone",
        "hf://datasets/someone/pages/data",
        "hf://datasets/someone/pages@main",
        "hf://spaces/someone/app",
        "hf://datasets/../pages",
        "pvc://data/../other",
        "pvc:///data",
        "pvc://Data_Set/x",
        "s3:///pages",
        "s3://Bucket/pages",
        "s3://key:secret@bucket/pages",
        "s3://bucket/../pages",
        "s3://bucket/a/./pages",
        "s3://bucket/pages/.",
        "s3://bucket/a//pages",
        "az://container/pages?sv=2024&sig=secret",
        "hf://buckets/someone",
        "hf://buckets/someone/pages/../other",
        "hf://buckets/key:secret@someone/pages",
    ],
)
def test_an_unusable_uri_is_refused_with_its_field(uri: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DEEPSYNTH_VOLUMES", "/mnt/volumes")
    with pytest.raises(ConfigurationError, match=r"^spec\.output\.uri: "):
        parse_uri(uri, "spec.output.uri")


def test_a_refusal_lists_what_is_supported() -> None:
    with pytest.raises(ConfigurationError, match=r"hf://datasets/OWNER/NAME.*pvc://CLAIM/PATH.*file:///"):
        parse_uri("ftp://x")


def test_a_claim_without_mounted_volumes_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DEEPSYNTH_VOLUMES", raising=False)
    with pytest.raises(ConfigurationError, match="DEEPSYNTH_VOLUMES"):
        parse_uri("pvc://data/x")
