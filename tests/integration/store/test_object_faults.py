"""Faults between an object store and its client: nothing is lost, doubled, mixed or taken for something else."""

import functools
import random
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final

import pytest

from deepsynth_api.errors import ConfigurationError, DataError, TemporaryError
from deepsynth_api.reasons import Reason
from deepsynth_store import MANIFEST, Waiting, open_dataset, open_target, publish_folder
from deepsynth_store.core.uri import ObjectLocation, parse_uri
from deepsynth_store.objects.client import PART_BYTES
from deepsynth_store.objects.requests import ObjectCalls
from support.store.generations import NOTE, Generation, build_generation
from support.store.object_servers.fault_proxy import PASSING, FaultKind, FaultProxy

LAST, FAST = build_generation("last", shards=1), build_generation("fast", shards=3)
UPLOAD: Final = [("POST", "uploads"), ("PUT", "partNumber=2"), ("POST", "uploadId")]
OWN: Final[dict[str, dict[str, Any]]] = {
    "s3": {
        "endpoint": "AWS_ENDPOINT_URL",
        "keys": ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"),
        "machine": {"AWS_METADATA_ENDPOINT": "http://127.0.0.1:9"},
        "deletion": "POST",
        "upload": UPLOAD,
    },
    "gs": {
        "endpoint": "GOOGLE_BASE_URL",
        "keys": ("GOOGLE_SERVICE_ACCOUNT_KEY",),
        "machine": {"GCE_METADATA_HOST": "127.0.0.1:9", "GCE_METADATA_IP": "127.0.0.1:9"},
        "deletion": "DELETE",
        "upload": UPLOAD,
    },
    "az": {
        "endpoint": "AZURE_STORAGE_ENDPOINT",
        "keys": ("AZURE_STORAGE_ACCOUNT_KEY",),
        "machine": {"AZURE_MSI_ENDPOINT": "http://127.0.0.1:9"},
        "deletion": "POST",
        "upload": [("PUT", "comp=block&"), ("PUT", "comp=blocklist")],
    },
}
"""What differs: variables with the endpoint, credentials, and the server with those of the machine; how to delete; the
requests of an upload in parts.
"""


@pytest.fixture(params=["s3", *(pytest.param(name, marks=pytest.mark.slow) for name in ("versity", "az", "gs"))])
def server(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def scheme(server: str) -> str:
    return "s3" if server == "versity" else server


@pytest.fixture
def store(request: pytest.FixtureRequest, server: str) -> FaultProxy:
    proxy = request.getfixturevalue(server)
    assert isinstance(proxy, FaultProxy)
    return proxy


@pytest.fixture
def uri(request: pytest.FixtureRequest, server: str) -> str:
    return str(request.getfixturevalue(f"{server}_uri"))


def put(uri: str, content: bytes) -> None:
    """Write an object behind the back of the code under test."""
    folder, _, name = uri.rpartition("/")
    open_calls(folder).write(name, content)


def open_calls(uri: str) -> ObjectCalls:
    location = parse_uri(uri)
    assert isinstance(location, ObjectLocation)
    return ObjectCalls(location, field="uri", on_wait=None)


def run(uri: str, generation: Generation) -> str:
    return generation.run(open_target(uri, generation.digest))


def read_all(uri: str) -> dict[str, bytes]:
    dataset = open_dataset(uri)
    return {file.path: dataset.read(file.path) for file in dataset.list_files()}


@pytest.mark.parametrize("kind", PASSING)
def test_a_fault_of_each_kind_of_request_changes_nothing(store: FaultProxy, uri: str, kind: FaultKind) -> None:
    requests = {"GET": (0, 2), "PUT": (0, 1, 1, 2), "POST": (0, 0), "DELETE": (0, 0), "HEAD": (0,)}
    for method, skips in requests.items():
        for skip in skips:
            store.fail_next(method, kind, skip=skip)
    store.fail_next("PUT", kind, target=MANIFEST)
    run(uri, LAST)
    store.fail_next("GET", kind, times=3, skip=1)
    assert read_all(uri) == LAST.expected


def test_a_trained_model_waits_for_a_store_that_is_off_for_a_minute(
    store: FaultProxy, uri: str, tmp_path: Path, minute_off: Callable[[FaultProxy], None]
) -> None:
    (tmp_path / "config.json").write_bytes(b"{}")
    minute_off(store)
    revision = publish_folder(tmp_path, uri, has_answered=True)
    assert read_all(uri)["config.json"] == b"{}"
    assert open_dataset(uri).revision == revision


@pytest.mark.slow
@pytest.mark.parametrize("kind", PASSING)
def test_a_fault_of_any_single_request_changes_nothing(store: FaultProxy, uri: str, kind: FaultKind) -> None:
    run(f"{uri}/count", LAST)
    for number in range(len(store.requests)):
        place = f"{uri}/{number}"
        store.fail_next("*", kind, skip=number)
        run(place, LAST)
        run(place, LAST)
        assert read_all(place) == LAST.expected


@pytest.mark.parametrize("successor", [LAST, FAST], ids=["the same continues", "another takes over"])
def test_a_process_that_ends_between_any_two_requests_neither_loses_nor_mixes_files(
    store: FaultProxy, uri: str, successor: Generation
) -> None:
    before, finished, number = build_generation("before", shards=2), False, 0
    while not finished:
        place = f"{uri}/{number}"
        run(place, before)
        store.down_from = len(store.requests) + number
        try:
            run(place, LAST)
            finished = True
        except TemporaryError:
            number += 4  # each fourth request: all of them take a minute
        store.down_from = None
        assert keep_listed(read_all(place)) in [keep_listed(before.expected), keep_listed(LAST.expected)]
        run(place, successor)
        assert read_all(place) == successor.expected
        assert list_data(place) == len(successor.copies)
    assert number > 12


def keep_listed(files: dict[str, bytes]) -> dict[str, bytes]:
    """Without the note about the dataset, which no manifest lists: as README.md, it is replaced before the commit."""
    return {path: content for path, content in files.items() if path != NOTE}


def list_data(uri: str) -> int:
    """Number of objects below data/, as programs see them that know nothing of manifests."""
    return len(open_dataset(f"{uri}/data").list_files())


def test_a_writer_that_is_overtaken_starts_again_from_what_was_published(store: FaultProxy, uri: str) -> None:
    for generation in (LAST, FAST):
        target = open_target(uri, generation.digest)
        target.prepare()
        generation.render(target)
    store.before_next(MANIFEST, functools.partial(run, uri, FAST))
    open_target(uri, LAST.digest).publish(LAST.copies, LAST.files)
    assert read_all(uri) == LAST.expected
    assert list_data(uri) == len(LAST.copies)


def test_late_requests_of_a_replaced_writer_touch_nothing_of_the_next(store: FaultProxy, uri: str, scheme: str) -> None:
    """The deletion of the generation before is sent again after the same content was published again."""
    run(uri, FAST)
    store.fail_next(OWN[scheme]["deletion"], "duplicated", times=99)
    run(uri, LAST)
    run(uri, FAST)
    store.replay(OWN[scheme]["deletion"])
    assert read_all(uri) == FAST.expected


def test_the_answer_to_the_commit_may_be_lost_while_another_writer_commits(store: FaultProxy, uri: str) -> None:
    target = open_target(uri, LAST.digest)
    target.prepare()
    LAST.render(target)
    store.fail_next("PUT", "lost", target=MANIFEST)
    target.publish(LAST.copies, LAST.files)
    assert read_all(uri) == LAST.expected
    assert store.count("PUT", MANIFEST) == 2


def test_a_proxy_that_answers_for_the_store_is_not_an_empty_bucket(store: FaultProxy, uri: str) -> None:
    store.fail_next("*", "html", times=9999)
    with pytest.raises(TemporaryError, match=r"cannot be understood .*; check the endpoint, and proxies") as caught:
        open_dataset(uri)
    assert caught.value.reason == Reason.STORE_UNAVAILABLE


def test_a_page_of_a_listing_that_a_proxy_swallows_is_asked_for_again(store: FaultProxy, uri: str) -> None:
    run(uri, FAST)
    store.fail_next("GET", "html", target="list-type", times=2)
    assert read_all(uri) == FAST.expected


@pytest.mark.parametrize("kind", ["html", "html 404"])
def test_a_single_page_of_a_proxy_is_taken_for_no_answer(store: FaultProxy, uri: str, kind: FaultKind) -> None:
    """Neither for an empty listing, nor for a write, a deletion or an absent object."""
    calls = open_calls(uri)
    every = functools.partial(store.fail_next, "*", kind)
    every()
    calls.write("a", b"1")
    every()
    assert [entry.key for entry in calls.list()] == ["a"]
    every()
    assert calls.find("a") is not None
    every()
    assert calls.read("b") is None
    every()
    assert calls.replace("b", b"2", None, {})
    every()
    calls.delete(["a", "b"])
    assert calls.list() == []


def test_a_rate_limit_is_waited_out_as_the_store_asks(store: FaultProxy, uri: str, pauses: list[float]) -> None:
    waits: list[Waiting] = []
    run(uri, LAST)
    for kind in ("429", "503"):
        pauses.clear()
        store.fail_next("*", kind, times=2)
        open_dataset(uri, on_wait=waits.append)
        assert 8 <= pauses[0] <= 9, "Retry-After: 7, and a second with jitter"
    assert waits[0].reason == "the object store's rate limit is reached"


def test_a_store_that_is_down_is_waited_for_and_then_given_up(store: FaultProxy, uri: str, pauses: list[float]) -> None:
    run(uri, LAST)
    store.is_down = True
    with pytest.raises(TemporaryError, match="tried 12 times: the object store does not answer") as caught:
        open_dataset(uri)
    assert (caught.value.reason, len(pauses)) == (Reason.STORE_UNAVAILABLE, 11)


def test_a_store_that_never_answered_is_given_up_within_seconds(
    scheme: str, uri: str, pauses: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(OWN[scheme]["endpoint"], "http://127.0.0.1:9")
    with pytest.raises(TemporaryError, match=r"cannot be reached .*; check the network and the endpoint") as caught:
        open_dataset(uri)
    assert caught.value.reason == Reason.STORE_UNREACHABLE
    assert sum(pauses) < 10


def test_a_bucket_that_does_not_exist_is_not_an_empty_one(store: FaultProxy, scheme: str) -> None:
    for act in (
        lambda: open_dataset(f"{scheme}://nobody-made-this/pages", field="spec.source.uri"),
        lambda: open_target(f"{scheme}://nobody-made-this/pages", LAST.digest, field="spec.source.uri").prepare(),
    ):
        with pytest.raises(ConfigurationError, match=r"spec\.source\.uri: .*no bucket nobody-made-this") as caught:
            act()
        assert caught.value.reason == Reason.STORE_REFUSED


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b"<Error><Code>AccessDenied</Code><StringToSign>hush</StringToSign></Error>", "HTTP 403: AccessDenied"),
        (b"<Error><Code>InvalidAccessKeyId</Code><AWSAccessKeyId>hush</AWSAccessKeyId></Error>", "InvalidAccessKeyId"),
    ],
)
def test_a_refusal_names_the_remedy_and_no_secret(store: FaultProxy, uri: str, body: bytes, says: str) -> None:
    store.refuse = body
    with pytest.raises(ConfigurationError, match=r"access was refused .*Secret that secretRef names") as caught:
        open_dataset(uri)
    assert says in str(caught.value)
    assert not {"hush", "AKIAEXAMPLE", "correct-horse"} & set(str(caught.value).split())
    assert caught.value.reason == Reason.STORE_REFUSED


def test_an_environment_without_credentials_names_the_keys(
    store: FaultProxy, uri: str, scheme: str, monkeypatch: pytest.MonkeyPatch, pauses: list[float]
) -> None:
    names = OWN[scheme]
    for name in names["keys"]:
        monkeypatch.delenv(name)
    for name, address in names["machine"].items():
        monkeypatch.setenv(name, address)
    with pytest.raises(
        ConfigurationError, match=rf"no credentials; add the keys .*{names['keys'][-1]} .*serviceAccountName"
    ):
        open_dataset(uri)
    assert sum(pauses) < 20


@pytest.mark.parametrize("server", ["s3", pytest.param("gs", marks=pytest.mark.slow)], indirect=True)  # unsigned there
def test_a_store_that_ignores_conditions_is_refused_before_anything_is_rendered(store: FaultProxy, uri: str) -> None:
    store.dropped_headers = ("if-none-match", "x-goog-if-generation-match")
    with pytest.raises(ConfigurationError, match=r"spec\.output\.uri: .*ignores If-None-Match"):
        open_target(uri, LAST.digest).prepare()


def test_a_file_that_was_replaced_behind_the_manifest_is_damage(store: FaultProxy, uri: str, tmp_path: Path) -> None:
    run(uri, LAST)
    content = LAST.expected["data/train-00000.parquet"]
    key = open_dataset(f"{uri}/data").list_files()[0].path
    put(f"{uri}/data/{key}", b"x" * len(content))
    with pytest.raises(DataError, match=r"data/train-00000\.parquet of .* is damaged"):
        open_dataset(uri).download("data/train-00000.parquet", tmp_path / "local")


def test_data_files_of_another_writer_are_refused(store: FaultProxy, uri: str) -> None:
    put(f"{uri}/data/theirs.parquet", b"theirs")
    with pytest.raises(ConfigurationError, match=r"output\.uri: .*theirs\.parquet"):
        open_target(uri, LAST.digest).prepare()


@pytest.mark.slow
def test_a_listing_of_a_thousand_files_is_whole(store: FaultProxy, uri: str) -> None:
    """The store answers in pages; the second one is a proxy's page at first."""
    calls = open_calls(uri)
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda number: calls.write(f"{number:04}.jsonl", b"{}"), range(1001)))
    store.fail_next("GET", "html", target="continuation-token")
    assert len(open_dataset(uri).list_files()) == 1001


def test_one_object_is_a_source_of_its_own(store: FaultProxy, uri: str) -> None:
    put(f"{uri}/letters.jsonl", b"{}")
    dataset = open_dataset(f"{uri}/letters.jsonl")
    assert [(file.path, file.size) for file in dataset.list_files()] == [("letters.jsonl", 2)]
    assert dataset.read("letters.jsonl") == b"{}"
    assert open_dataset(f"{uri}/letters.jsonl", dataset.revision).revision == dataset.revision


def test_a_folder_that_was_copied_into_a_bucket_is_read_and_can_be_replaced(store: FaultProxy, uri: str) -> None:
    """Its files have their own names, as `aws s3 sync` leaves them."""
    for path, content in FAST.expected.items():
        put(f"{uri}/{path}", content)
    assert read_all(uri) == FAST.expected
    run(uri, LAST)
    assert read_all(uri) == LAST.expected
    assert list_data(uri) == len(LAST.copies)


def test_deletion_does_not_stop_at_an_object_that_is_gone(store: FaultProxy, uri: str) -> None:
    names = [f"{number}.jsonl" for number in range(12)]
    for name in names[1:]:
        put(f"{uri}/{name}", b"{}")
    calls = open_calls(uri)
    calls.delete(names)
    assert calls.list() == []


@pytest.mark.slow
@pytest.mark.parametrize("kind", PASSING)
def test_a_fault_of_each_request_of_a_large_upload_changes_nothing(
    store: FaultProxy, uri: str, scheme: str, kind: FaultKind, tmp_path: Path
) -> None:
    """The upload begins, sends parts, and is completed."""
    content = random.Random(3).randbytes(2 * PART_BYTES + 5)
    (tmp_path / "large").write_bytes(content)
    calls = open_calls(uri)
    for number, (method, target) in enumerate(OWN[scheme]["upload"]):
        store.fail_next(method, kind, target=target)
        calls.write(str(number), tmp_path / "large")
        found = calls.find(str(number))
        assert found is not None
        assert found.size == len(content)
        assert calls.read_range(found, PART_BYTES, PART_BYTES) == content[PART_BYTES : 2 * PART_BYTES]
