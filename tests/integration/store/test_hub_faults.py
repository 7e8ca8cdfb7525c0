import functools
import threading
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from huggingface_hub import get_session

from deepsynth_api.errors import ConfigurationError, TemporaryError
from deepsynth_store import Waiting, open_dataset, open_target
from support.store.generations import Generation, build_generation
from support.store.hub_server.faults import FaultKind
from support.store.hub_server.server import HubServer

REPO = "someone/pages"
URI = f"hf://datasets/{REPO}"
WRITE_ROUTES = ["create_repo", "create_branch", "preupload", "lfs_batch", "lfs_put", "lfs_verify", "commit"]
OTHER_ROUTES = ["repo_info", "tree", "paths_info", "validate_yaml", "refs", "delete_branch"]


def assert_published_once(hub: HubServer, generation: Generation, revision: str) -> None:
    repository = hub.repository(REPO)
    files = {path: content for path, content in hub.read(REPO).items() if path != ".gitattributes"}
    assert files == generation.expected
    assert [commit.sha for commit in repository.history() if commit.title.startswith("Publish")] == [revision]
    assert list(repository.refs) == ["main"]


@pytest.mark.parametrize("kind", ["throttle", "throttle_window", "unavailable", "lost", "cut", "refuse"])
def test_one_fault_on_every_route_neither_loses_nor_repeats_anything(hub: HubServer, kind: FaultKind) -> None:
    generation = build_generation("one")
    for route in WRITE_ROUTES + OTHER_ROUTES:
        hub.fail_next(route, kind)
    hub.fail_next("commit", kind, skip=2)  # the first two are staging; this one is the publishing commit
    revision = generation.run(open_target(URI, generation.digest))
    assert_published_once(hub, generation, revision)


@pytest.mark.parametrize("kind", ["conflict", "stale"])
def test_conflicts_are_retried_after_growing_pauses(hub: HubServer, pauses: list[float], kind: FaultKind) -> None:
    generation = build_generation("one")
    hub.fail_next("commit", kind, times=7)
    revision = generation.run(open_target(URI, generation.digest))
    assert_published_once(hub, generation, revision)
    assert len(pauses) >= 7
    assert 15 <= max(pauses) <= 30


def test_the_answer_to_the_publishing_commit_may_be_lost(hub: HubServer) -> None:
    generation = build_generation("one")
    target = open_target(URI, generation.digest)
    target.prepare()
    generation.render(target)
    hub.fail_next("commit", "lost")
    assert_published_once(hub, generation, target.publish(generation.copies, generation.files))


class Killed(BaseException):
    """The process ends here."""


def kill_after(request_number: int) -> Callable[[], None]:
    """End the process when its n-th request has taken effect, before it sees the answer."""
    hooks, seen = get_session().event_hooks, iter(range(10_000))

    def on_response(_: Any) -> None:
        if next(seen) == request_number:
            raise Killed

    get_session().event_hooks = {**hooks, "response": [on_response]}

    def restore() -> None:
        get_session().event_hooks = hooks

    return restore


def test_a_process_killed_between_any_two_requests_continues_where_it_was(hub: HubServer) -> None:
    generation, finished, number = build_generation("one", shards=1), False, 0
    while not finished:
        hub.hub.repositories.clear()
        restore = kill_after(number)
        try:
            generation.run(open_target(URI, generation.digest))
            finished = True
        except Killed:
            number += 1
        finally:
            restore()
        revision = generation.run(open_target(URI, generation.digest))
        assert_published_once(hub, generation, revision)
    assert number > 15


def test_many_writers_stage_into_one_repository(hub: HubServer) -> None:
    generation = build_generation("one", shards=8)
    open_target(URI, generation.digest).prepare()
    hub.repository(REPO).commit_seconds = 60  # or until another writer is refused

    def stage(shard: str) -> None:
        receipt = f"receipts/{shard[-13:-8]}.json"
        target = open_target(URI, generation.digest)
        target.put({shard: generation.staged[shard], receipt: generation.staged[receipt]})

    run_together([functools.partial(stage, shard) for shard in generation.copies.values()])
    assert hub.repository(REPO).refused.is_set(), "no writer collided with another, so the test shows nothing"
    target = open_target(URI, generation.digest)
    assert {file.path: target.get(file.path) for file in target.list_staged()} == generation.staged


def test_a_generation_that_is_overtaken_while_it_publishes_computes_its_commit_again(hub: HubServer) -> None:
    last, fast = build_generation("last", shards=1), build_generation("fast", shards=3)
    for generation in (last, fast):
        target = open_target(URI, generation.digest)
        target.prepare()
        generation.render(target)
    hub.before_next("commit", functools.partial(fast.run, open_target(URI, fast.digest)))
    revision = open_target(URI, last.digest).publish(last.copies, last.files)
    files = hub.read(REPO, revision)
    assert {path: files[path] for path in files if path != ".gitattributes"} == last.expected
    assert [commit.title[:7] for commit in hub.repository(REPO).history()] == ["Publish", "Publish", "initial"]


@pytest.mark.parametrize("route", ["tree", "preupload", "commit", "delete_branch"])
def test_two_processes_that_publish_the_same_plan_agree(hub: HubServer, route: str) -> None:
    generation = build_generation("one")
    target = open_target(URI, generation.digest)
    target.prepare()
    generation.render(target)
    hub.before_next(route, functools.partial(generation.run, open_target(URI, generation.digest)))
    assert_published_once(hub, generation, target.publish(generation.copies, generation.files))


def test_two_generations_published_at_once_never_mix(hub: HubServer) -> None:
    generations = [build_generation(name, shards=shards) for name, shards in [("one", 3), ("two", 1), ("three", 2)]]
    for generation in generations:
        target = open_target(URI, generation.digest)
        target.prepare()
        generation.render(target)
    hub.repository(REPO).commit_seconds = 60  # or until another one is refused
    revisions: dict[str, str] = {}

    def publish(generation: Generation) -> None:
        target = open_target(URI, generation.digest)
        revisions[generation.digest] = target.publish(generation.copies, generation.files)

    run_together([functools.partial(publish, generation) for generation in generations])
    for generation in generations:
        files = hub.read(REPO, revisions[generation.digest])
        assert {path: files[path] for path in files if path != ".gitattributes"} == generation.expected
    assert hub.repository(REPO).refused.is_set(), "no writer collided with another, so the test shows nothing"
    assert hub.repository(REPO).refs["main"] in revisions.values()
    assert list(hub.repository(REPO).refs) == ["main"]


def run_together(actions: Sequence[Callable[[], None]]) -> None:
    failures: list[BaseException] = []

    def run(action: Callable[[], None]) -> None:
        try:
            action()
        except BaseException as error:  # noqa: BLE001 - asserted in the thread of the test
            failures.append(error)

    threads = [threading.Thread(target=run, args=(action,)) for action in actions]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []


def test_an_outage_that_lasts_is_given_up_with_the_address_of_the_hub(hub: HubServer, pauses: list[float]) -> None:
    with pytest.raises(ConfigurationError, match="does not exist"):  # this counts as an answer
        open_dataset(URI)
    hub.stop()
    with pytest.raises(TemporaryError, match=rf"could not read {URI} at {hub.url}, tried 12 times"):
        open_dataset(URI)
    assert sum(pauses) > 60, "an outage of a minute must be survived"


def test_a_hub_that_never_answered_is_given_up_within_seconds(hub: HubServer, pauses: list[float]) -> None:
    hub.stop()
    with pytest.raises(TemporaryError, match=rf"at {hub.url}, tried [1-4] times: .*check the network and HF_ENDPOINT"):
        open_dataset(URI)
    assert sum(pauses) < 5


@pytest.mark.parametrize(
    "call",
    [
        pytest.param(lambda: open_dataset(URI, "0123456789abcdef" * 2 + "01234567"), id="a pinned source"),
        pytest.param(lambda: open_target(URI, "0" * 12, has_answered=True).list_staged(""), id="the target of a plan"),
    ],
)
def test_a_hub_that_answered_an_earlier_process_is_waited_for_from_the_first_call(
    hub: HubServer, pauses: list[float], call: Callable[[], object]
) -> None:
    """A pod that starts during an outage of a minute must not use up its retries."""
    hub.stop()
    with pytest.raises(TemporaryError, match=rf"at {hub.url}, tried 12 times"):
        call()
    assert sum(pauses) > 60


def test_a_hub_that_comes_back_is_used_again(hub: HubServer, monkeypatch: pytest.MonkeyPatch) -> None:
    generation = build_generation("one")
    revision = generation.run(open_target(URI, generation.digest))
    hub.stop()
    waits: list[Waiting] = []

    def restart(waiting: Waiting) -> None:
        waits.append(waiting)
        if len(waits) == 3:
            hub.start()

    assert open_dataset(URI, on_wait=restart).revision == revision
    assert {waiting.reason for waiting in waits} == {"the Hub does not answer"}


def test_an_outage_in_the_middle_of_everything_ends_in_a_temporary_error(hub: HubServer) -> None:
    generation = build_generation("one")
    hub.fail_next("lfs_put", "unavailable", times=1000)
    with pytest.raises(TemporaryError, match=r"could not stage files in .*HTTP 503") as caught:
        generation.run(open_target(URI, generation.digest))
    assert "signature" not in str(caught.value)


@pytest.mark.parametrize("route", ["commit", "preupload"])
def test_a_rate_limit_is_waited_out_and_reported(hub: HubServer, pauses: list[float], route: str) -> None:
    hub.faults.seconds = 55
    waits: list[Waiting] = []
    generation = build_generation("one")
    hub.fail_next(route, "throttle_window", times=2)
    hub.fail_next(route, "throttle", times=1)
    generation.run(open_target(URI, generation.digest, on_wait=waits.append))
    assert sum(seconds >= 55 for seconds in pauses) == 3
    reported = [waiting for waiting in waits if waiting.reason == "the Hub's rate limit is reached"]
    assert len(reported) >= 3
    assert all(waiting.seconds >= 55 for waiting in reported)


@pytest.mark.parametrize(
    ("token", "message"),
    [
        (None, "add the key HF_TOKEN to the Secret"),
        ("hf_nonsense", "does not accept the token in HF_TOKEN"),
        (HubServer.read_token, "HF_TOKEN .key of the Secret that secretRef names. has no right"),
    ],
)
def test_a_wrong_token_is_a_configuration_error_that_names_its_key(
    hub: HubServer, monkeypatch: pytest.MonkeyPatch, token: str | None, message: str
) -> None:
    monkeypatch.setattr("huggingface_hub.utils._auth._get_token_from_file", lambda: None)
    monkeypatch.delenv("HF_TOKEN")
    if token:
        monkeypatch.setenv("HF_TOKEN", token)
    with pytest.raises(ConfigurationError, match=message) as caught:
        open_target(URI, "a" * 64).prepare()
    assert token is None or token not in str(caught.value)
    assert hub.count("create_repo") == 1, "a refusal must not be retried"


def test_a_private_dataset_without_a_token_is_reported_with_the_missing_key(
    hub: HubServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub.create_repository(REPO, private=True)
    monkeypatch.setattr("huggingface_hub.utils._auth._get_token_from_file", lambda: None)
    monkeypatch.delenv("HF_TOKEN")
    with pytest.raises(ConfigurationError, match=r"source\.uri: .*HF_TOKEN"):
        open_dataset(URI, field="source.uri")
