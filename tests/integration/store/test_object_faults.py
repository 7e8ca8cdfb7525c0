"""Faults between an object store and its client: nothing is lost, doubled, mixed or taken for something else."""

import functools
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from deepsynth_api.errors import ConfigurationError, DataError, TemporaryError
from deepsynth_api.reasons import Reason
from deepsynth_store import MANIFEST, Waiting, open_dataset, open_target, publish_folder
from support.store.generations import Generation, build_generation
from support.store.object_servers.fault_proxy import PASSING, FaultKind, FaultProxy

LAST, FAST = build_generation("last", shards=1), build_generation("fast", shards=3)


def run(uri: str, generation: Generation) -> str:
    return generation.run(open_target(uri, generation.digest))


def read_all(uri: str) -> dict[str, bytes]:
    dataset = open_dataset(uri)
    return {file.path: dataset.read(file.path) for file in dataset.list_files()}


@pytest.mark.parametrize("kind", PASSING)
def test_a_fault_of_each_kind_of_request_changes_nothing(s3: FaultProxy, s3_uri: str, kind: FaultKind) -> None:
    for method, skips in {"GET": (0, 2), "PUT": (0, 1, 1, 2), "POST": (0, 0), "HEAD": (0,)}.items():
        for skip in skips:
            s3.fail_next(method, kind, skip=skip)
    s3.fail_next("PUT", kind, target=MANIFEST)
    run(s3_uri, LAST)
    s3.fail_next("GET", kind, times=3, skip=1)
    assert read_all(s3_uri) == LAST.expected


def test_a_trained_model_waits_for_a_store_that_is_off_for_a_minute(
    s3: FaultProxy, s3_uri: str, tmp_path: Path, minute_off: Callable[[FaultProxy], None]
) -> None:
    (tmp_path / "config.json").write_bytes(b"{}")
    minute_off(s3)
    revision = publish_folder(tmp_path, s3_uri, has_answered=True)
    assert read_all(s3_uri)["config.json"] == b"{}"
    assert open_dataset(s3_uri).revision == revision


@pytest.mark.slow
@pytest.mark.parametrize("kind", PASSING)
def test_a_fault_of_any_single_request_changes_nothing(s3: FaultProxy, s3_uri: str, kind: FaultKind) -> None:
    run(f"{s3_uri}/count", LAST)
    for number in range(len(s3.requests)):
        uri = f"{s3_uri}/{number}"
        s3.fail_next("*", kind, skip=number)
        run(uri, LAST)
        run(uri, LAST)
        assert read_all(uri) == LAST.expected


@pytest.mark.parametrize("successor", [LAST, FAST], ids=["the same continues", "another takes over"])
def test_a_process_that_ends_between_any_two_requests_neither_loses_nor_mixes_files(
    s3: FaultProxy, s3_uri: str, successor: Generation
) -> None:
    before, finished, number = build_generation("before", shards=2), False, 0
    while not finished:
        uri = f"{s3_uri}/{number}"
        run(uri, before)
        s3.down_from = len(s3.requests) + number
        try:
            run(uri, LAST)
            finished = True
        except TemporaryError:
            number += 4  # each fourth request: all of them take a minute
        s3.down_from = None
        assert read_all(uri) in [before.expected, LAST.expected]
        run(uri, successor)
        assert read_all(uri) == successor.expected
        assert list_data(uri) == len(successor.copies)
    assert number > 12


def list_data(uri: str) -> int:
    """Number of objects below data/, as programs see them that know nothing of manifests."""
    return len(open_dataset(f"{uri}/data").list_files())


def test_a_writer_that_is_overtaken_starts_again_from_what_was_published(s3: FaultProxy, s3_uri: str) -> None:
    for generation in (LAST, FAST):
        target = open_target(s3_uri, generation.digest)
        target.prepare()
        generation.render(target)
    s3.before_next(MANIFEST, functools.partial(run, s3_uri, FAST))
    open_target(s3_uri, LAST.digest).publish(LAST.copies, LAST.files)
    assert read_all(s3_uri) == LAST.expected
    assert list_data(s3_uri) == len(LAST.copies)


def test_late_requests_of_a_replaced_writer_touch_nothing_of_the_next(s3: FaultProxy, s3_uri: str) -> None:
    """The deletion of the generation before is sent again after the same content was published again."""
    run(s3_uri, FAST)
    s3.fail_next("POST", "duplicated", times=99)
    run(s3_uri, LAST)
    run(s3_uri, FAST)
    s3.replay("POST")
    assert read_all(s3_uri) == FAST.expected


def test_the_answer_to_the_commit_may_be_lost_while_another_writer_commits(s3: FaultProxy, s3_uri: str) -> None:
    target = open_target(s3_uri, LAST.digest)
    target.prepare()
    LAST.render(target)
    s3.fail_next("PUT", "lost", target=MANIFEST)
    target.publish(LAST.copies, LAST.files)
    assert read_all(s3_uri) == LAST.expected
    assert s3.count("PUT", MANIFEST) == 2


def test_a_proxy_that_answers_for_the_store_is_not_an_empty_bucket(s3: FaultProxy, s3_uri: str) -> None:
    s3.fail_next("*", "html", times=9999)
    with pytest.raises(TemporaryError, match=r"cannot be understood .*; check the endpoint, and proxies") as caught:
        open_dataset(s3_uri)
    assert caught.value.reason == Reason.STORE_UNAVAILABLE


def test_a_page_of_a_listing_that_a_proxy_swallows_is_asked_for_again(s3: FaultProxy, s3_uri: str) -> None:
    run(s3_uri, FAST)
    s3.fail_next("GET", "html", target="list-type", times=2)
    assert read_all(s3_uri) == FAST.expected


def test_a_rate_limit_is_waited_out_as_the_store_asks(s3: FaultProxy, s3_uri: str, pauses: list[float]) -> None:
    waits: list[Waiting] = []
    run(s3_uri, LAST)
    for kind in ("429", "503"):
        pauses.clear()
        s3.fail_next("*", kind, times=2)
        open_dataset(s3_uri, on_wait=waits.append)
        assert 8 <= pauses[0] <= 9, "Retry-After: 7, and a second with jitter"
    assert waits[0].reason == "the object store's rate limit is reached"


def test_a_store_that_is_down_is_waited_for_and_then_given_up(s3: FaultProxy, s3_uri: str, pauses: list[float]) -> None:
    run(s3_uri, LAST)
    s3.is_down = True
    with pytest.raises(TemporaryError, match="tried 12 times: the object store does not answer") as caught:
        open_dataset(s3_uri)
    assert (caught.value.reason, len(pauses)) == (Reason.STORE_UNAVAILABLE, 11)


def test_a_store_that_never_answered_is_given_up_within_seconds(
    s3_uri: str, pauses: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    with pytest.raises(TemporaryError, match=r"cannot be reached .*; check the network and the endpoint") as caught:
        open_dataset(s3_uri)
    assert caught.value.reason == Reason.STORE_UNREACHABLE
    assert sum(pauses) < 10


def test_a_bucket_that_does_not_exist_is_not_an_empty_one(s3: FaultProxy) -> None:
    for act in (
        lambda: open_dataset("s3://nobody-made-this/pages", field="spec.source.uri"),
        lambda: open_target("s3://nobody-made-this/pages", LAST.digest, field="spec.source.uri").prepare(),
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
def test_a_refusal_names_the_remedy_and_no_secret(s3: FaultProxy, s3_uri: str, body: bytes, says: str) -> None:
    s3.refuse = body
    with pytest.raises(ConfigurationError, match=r"access was refused .*Secret that secretRef names") as caught:
        open_dataset(s3_uri)
    assert says in str(caught.value)
    assert not {"hush", "AKIAEXAMPLE", "correct-horse"} & set(str(caught.value).split())
    assert caught.value.reason == Reason.STORE_REFUSED


def test_an_environment_without_credentials_names_the_keys(
    s3: FaultProxy, s3_uri: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    monkeypatch.setenv("AWS_METADATA_ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(
        ConfigurationError, match=r"no credentials; add the keys AWS_ACCESS_KEY_ID .*serviceAccountName"
    ):
        open_dataset(s3_uri)


def test_a_store_that_ignores_conditions_is_refused_before_anything_is_rendered(s3: FaultProxy, s3_uri: str) -> None:
    s3.dropped_headers = ("if-none-match",)
    with pytest.raises(ConfigurationError, match=r"spec\.output\.uri: .*ignores If-None-Match"):
        open_target(s3_uri, LAST.digest).prepare()


def test_a_file_that_was_replaced_behind_the_manifest_is_damage(s3: FaultProxy, s3_uri: str, tmp_path: Path) -> None:
    run(s3_uri, LAST)
    content = LAST.expected["data/train-00000.parquet"]
    key = open_dataset(f"{s3_uri}/data").list_files()[0].path
    s3.put(f"{s3_uri}/data/{key}", b"x" * len(content))
    with pytest.raises(DataError, match=r"data/train-00000\.parquet of .* is damaged"):
        open_dataset(s3_uri).download("data/train-00000.parquet", tmp_path / "local")


def test_data_files_of_another_writer_are_refused(s3: FaultProxy, s3_uri: str) -> None:
    s3.put(f"{s3_uri}/data/theirs.parquet", b"theirs")
    with pytest.raises(ConfigurationError, match=r"output\.uri: .*theirs\.parquet"):
        open_target(s3_uri, LAST.digest).prepare()


@pytest.mark.slow
def test_a_listing_of_a_thousand_files_is_whole(s3: FaultProxy, s3_uri: str) -> None:
    """The store answers in pages; the second one is a proxy's page at first."""
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda number: s3.put(f"{s3_uri}/{number:04}.jsonl", b"{}"), range(1001)))
    s3.fail_next("GET", "html", target="continuation-token")
    assert len(open_dataset(s3_uri).list_files()) == 1001


def test_one_object_is_a_source_of_its_own(s3: FaultProxy, s3_uri: str) -> None:
    s3.put(f"{s3_uri}/letters.jsonl", b"{}")
    dataset = open_dataset(f"{s3_uri}/letters.jsonl")
    assert [(file.path, file.size) for file in dataset.list_files()] == [("letters.jsonl", 2)]
    assert dataset.read("letters.jsonl") == b"{}"
    assert open_dataset(f"{s3_uri}/letters.jsonl", dataset.revision).revision == dataset.revision


def test_a_folder_that_was_copied_into_a_bucket_is_read_and_can_be_replaced(s3: FaultProxy, s3_uri: str) -> None:
    """Its files have their own names, as `aws s3 sync` leaves them."""
    for path, content in FAST.expected.items():
        s3.put(f"{s3_uri}/{path}", content)
    assert read_all(s3_uri) == FAST.expected
    run(s3_uri, LAST)
    assert read_all(s3_uri) == LAST.expected
    assert list_data(s3_uri) == len(LAST.copies)
