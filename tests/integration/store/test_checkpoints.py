"""Checkpoints: the same behaviour in a folder and in an object store."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from deepsynth_api.errors import ConfigurationError, PeerLostError, TemporaryError
from deepsynth_store.core.uri import ObjectLocation, parse_uri
from deepsynth_train.checkpoint.layout import REPORTS
from deepsynth_train.checkpoint.object_files import ObjectFiles
from deepsynth_train.checkpoint.opening import open_files
from deepsynth_train.checkpoint.owner import Owner
from support.store.object_servers.fault_proxy import PASSING, FaultKind, FaultProxy
from support.training.toy_checkpoints import Toy, evaluate, save_steps

if TYPE_CHECKING:
    from collections.abc import Callable

    from deepsynth_train.checkpoint.folder import CheckpointFolder

OWNER = Owner("uid-1", "same", 1)
SHARD = "shards/rank-0.safetensors"


class Place:
    """Where the checkpoints are: `uri`. `damage` changes a byte in a file of a step."""

    def __init__(self, uri: str) -> None:
        self.uri = uri

    def open(self, owner: Owner = OWNER, **changes: Any) -> CheckpointFolder:
        from deepsynth_train.checkpoint.folder import CheckpointFolder

        return CheckpointFolder(self.uri, owner, **changes)

    def load(self, attempt: int = 2, toy: Toy | None = None) -> tuple[int | None, Toy, CheckpointFolder]:
        toy = toy or Toy()
        folder = self.open(Owner("uid-1", "same", attempt))
        loaded = folder.load_latest(toy.trained)
        return (loaded.step if loaded else None), toy, folder

    def list_folders(self) -> list[str]:
        """Of steps, without what makes their names unique."""
        names = open_files(self.uri).list_files("")
        return sorted({name.partition("/")[0] for name in names if name.startswith("step-")})

    def damage(self, step: int, name: str) -> None:
        raise NotImplementedError


class FolderPlace(Place):
    def damage(self, step: int, name: str) -> None:
        path = Path(self.uri.removeprefix("file://")) / f"step-{step}" / name
        path.write_bytes(flip(path.read_bytes()))


class BucketPlace(Place):
    def __init__(self, uri: str, proxy: FaultProxy) -> None:
        super().__init__(uri)
        self.proxy = proxy

    @property
    def files(self) -> ObjectFiles:
        location = parse_uri(self.uri)
        assert isinstance(location, ObjectLocation)
        return ObjectFiles(location, None)

    def name(self, step: int) -> str:
        entry = self.files.read_head().find(step)
        assert entry is not None
        return entry.name

    def damage(self, step: int, name: str) -> None:
        key = f"{self.name(step)}/{name}"
        content = self.files.read(key)
        assert content is not None
        self.put(key, flip(content))

    def put(self, key: str, content: bytes) -> None:
        self.files.write(key, content)

    def list_keys(self) -> list[str]:
        return self.files.list_files("")


def flip(content: bytes) -> bytes:
    changed = bytearray(content)
    changed[len(changed) // 2] ^= 1
    return bytes(changed)


OBJECT_STORES = (
    "s3",
    *(pytest.param(name, marks=pytest.mark.slow) for name in ("versity", "hf", "az", "gs")),
)


@pytest.fixture(params=OBJECT_STORES)
def bucket(request: pytest.FixtureRequest) -> BucketPlace:
    return open_bucket(request)


@pytest.fixture(params=["folder", *OBJECT_STORES])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    return FolderPlace(f"file://{tmp_path}/run") if request.param == "folder" else open_bucket(request)


def open_bucket(request: pytest.FixtureRequest) -> BucketPlace:
    return BucketPlace(request.getfixturevalue(f"{request.param}_uri"), request.getfixturevalue(request.param))


def test_training_continues_from_a_checkpoint_as_if_it_had_not_stopped(place: Place) -> None:
    whole, interrupted = Toy(), Toy()
    whole.train(5)
    save_steps(place.open(), interrupted, 1, 2, 3)
    step, resumed, folder = place.load()
    resumed.train(2)
    assert step == 3
    assert resumed.weights == whole.weights
    assert [record.step for record in folder.records] == [3, 2, 1]
    assert all(record.uri.startswith(f"{place.uri}/step-{record.step}") for record in folder.records)


def test_state_and_curve_are_loaded(place: Place) -> None:
    folder = place.open()
    save_steps(folder, Toy(), 7)
    evaluate(folder, 7, 2.5)
    folder.wait()
    loaded = place.open().load_latest(Toy().trained)
    assert loaded is not None
    curve = [{"step": 7}, {"step": 7, "validation_loss": 2.5}]
    assert (loaded.step, loaded.state, loaded.metrics) == (7, {"step": 7}, curve)


def test_an_empty_place_has_nothing_to_load(place: Place) -> None:
    step, _, folder = place.load()
    assert (step, folder.records, folder.best, folder.notes) == (None, [], None, [])


def test_training_does_not_change_a_save_in_flight(place: Place) -> None:
    toy, folder = Toy(), place.open()
    toy.train()
    before = toy.weights
    folder.save(1, toy.snapshot(1))
    toy.train(3)
    folder.wait()
    assert place.load()[1].weights == before != toy.weights


def test_the_last_and_the_best_checkpoints_are_kept_and_others_are_deleted(place: Place) -> None:
    folder, toy = place.open(keep_last=2), Toy()
    for step, loss in {1: 3.0, 2: 1.0, 3: 2.0, 4: None, 5: 2.5}.items():
        save_steps(folder, toy, step, loss=loss)
    assert [name[:6] for name in place.list_folders()] == ["step-2", "step-4", "step-5"]
    assert folder.best is not None
    assert folder.best.step == 2


def test_a_step_that_was_saved_before_its_evaluation_can_become_the_best(place: Place) -> None:
    folder, toy = place.open(keep_last=1), Toy()
    for step, loss in {1: 3.0, 2: 1.0, 3: 2.0}.items():
        toy.train()
        folder.save(step, toy.snapshot(step))
        evaluate(folder, step, loss)
    folder.wait()
    assert [name[:6] for name in place.list_folders()] == ["step-2", "step-3"]
    assert [record.loss for record in folder.records] == [2.0, 1.0]


def test_the_best_checkpoint_is_loaded_at_the_end(place: Place) -> None:
    folder, toy = place.open(), Toy()
    save_steps(folder, toy, 1, loss=1.0)
    best = toy.weights
    save_steps(folder, toy, 2, loss=2.0)
    assert folder.load_best(toy.trained, 2) == 1
    assert toy.weights == best


@pytest.mark.parametrize("name", [SHARD, "shards/index.json", "state.json", "metrics.jsonl", "manifest.json"])
def test_a_damaged_byte_in_the_newest_checkpoint_is_named_and_the_one_before_it_is_used(
    place: Place, name: str
) -> None:
    toy = Toy()
    save_steps(place.open(), toy, 1)
    before = toy.weights
    save_steps(place.open(), toy, 2)
    place.damage(2, name)
    step, resumed, folder = place.load()
    assert step == 1
    assert resumed.weights == before
    (note,) = folder.notes
    assert note.startswith("warning: skipped the damaged checkpoint step-2: ")
    assert name.rpartition("/")[2] in note
    save_steps(folder, resumed, 2)
    assert place.load(attempt=3)[0] == 2


def test_damaged_checkpoints_are_kept_until_a_new_one_is_saved(place: Place) -> None:
    folder = place.open(keep_last=9)
    save_steps(folder, Toy(), 1, 2, 3, 4)
    for step in (2, 3, 4):
        place.damage(step, "state.json")
    found, resumed, after = place.load()
    assert found == 1
    assert len(after.notes) == 3
    evaluate(after, 1, 2.5)
    after.wait()
    assert [name[:6] for name in place.list_folders()] == ["step-1", "step-2", "step-3", "step-4"]
    save_steps(after, resumed, 2)
    assert [name[:6] for name in place.list_folders()] == ["step-1", "step-2", "step-4"]
    assert [record.step for record in after.records] == [2, 1]


def test_a_step_can_be_found_damaged_twice_in_one_attempt(place: Place) -> None:
    save_steps(place.open(), Toy(), 1, 2)
    for _ in range(2):
        place.damage(2, "state.json")
        step, resumed, folder = place.load()
        assert step == 1
        save_steps(folder, resumed, 2)
    assert place.load()[0] == 2


def test_a_damaged_tensor_without_an_older_checkpoint_ends_the_attempt_and_the_next_starts_again(place: Place) -> None:
    save_steps(place.open(), Toy(), 1)
    place.damage(1, SHARD)
    try:
        step, *_ = place.load()
    except TemporaryError as error:
        assert "there is no other" in str(error)  # noqa: PT017 - a folder is verified before it is read
        step, *_ = place.load(attempt=3)
    assert step is None


def test_a_damaged_best_checkpoint_is_never_a_model_that_is_half_of_it(place: Place) -> None:
    folder, toy = place.open(), Toy()
    save_steps(folder, toy, 1, loss=1.0)
    save_steps(folder, toy, 2, loss=2.0)
    newest = toy.weights
    place.damage(1, SHARD)
    try:
        assert folder.load_best(toy.trained, 2) == 2
        assert toy.weights == newest
    except TemporaryError:
        _, resumed, after = place.load()
        assert resumed.weights == newest
        assert after.load_best(resumed.trained, 2) == 2


def test_a_different_model_is_refused_with_the_remedy(place: Place) -> None:
    save_steps(place.open(), Toy(), 1)
    with pytest.raises(ConfigurationError, match=r"weight has the shape \[2, 4\], the model has \[2, 5\]\); choose an"):
        place.load(toy=Toy(width=5))


def test_a_leftover_process_of_an_earlier_attempt_can_neither_commit_nor_delete(place: Place) -> None:
    leftover, toy = place.open(keep_last=1), Toy()
    save_steps(leftover, toy, 1)
    _, resumed, owner = place.load(attempt=2)
    evaluate(leftover, 1, 2.5)
    leftover.wait()
    assert "the evaluation of step 1 was not stored" in leftover.notes[-1]
    with pytest.raises(PeerLostError, match="attempt 2"):
        save_steps(leftover, toy, 2)
    assert [name[:6] for name in place.list_folders()] == ["step-1"]
    assert owner.records[0].loss is None
    save_steps(owner, resumed, 2)


def test_another_run_adopts_the_checkpoints_only_with_the_same_settings(place: Place) -> None:
    save_steps(place.open(), Toy(), 1)
    with pytest.raises(ConfigurationError, match="belongs to another run"):
        place.open(Owner("uid-2", "other", 1)).claim()
    adopted = place.open(Owner("uid-2", "same", 1))
    adopted.claim()
    assert adopted.notes == ["adopted the checkpoints of run uid-1, which has the same settings"]


def test_files_next_to_the_checkpoints_are_read_again(place: Place) -> None:
    folder = place.open()
    folder.claim()
    folder.keep_files({"samples/step-1.json": b"{}", "samples/pages/0.png": b"page"})
    folder.wait()
    files = open_files(place.uri)
    assert files.list_files("samples") == ["samples/pages/0.png", "samples/step-1.json"]
    assert (files.read("samples/pages/0.png"), files.read("samples/none")) == (b"page", None)
    files.delete("samples")
    assert files.list_files("samples") == []
    assert files.list_files(REPORTS) == []


def test_the_model_of_a_checkpoint_has_the_weights_of_its_step(place: Place) -> None:
    given: dict[str, Any] = {}
    written: dict[str, Any] = {}

    def write_model(path: Path, weights: dict[str, Any]) -> None:
        given.update(weights)
        written.update({name: weight.clone() for name, weight in weights.items()})
        (path / "part").mkdir()
        (path / "part/weights").write_text("w")

    folder, toy = place.open(), Toy()
    toy.train()
    expected = {name: weight.clone() for name, weight in toy.model.state_dict().items()}
    folder.save(1, toy.snapshot(1, write_model=write_model))
    toy.train()
    folder.wait()
    assert written.keys() == expected.keys()
    assert all(bool((written[name] == expected[name]).all()) for name in expected)
    assert len({weight.untyped_storage().data_ptr() for weight in given.values()}) == len(given), "tied for libraries"
    assert place.load()[0] == 1
    assert any(name.endswith("/model/part/weights") for name in open_files(place.uri).list_files(""))


def test_an_error_of_the_model_writer_reaches_the_caller_and_the_next_save_works(place: Place) -> None:
    def fail(_path: Path, _weights: dict[str, Any]) -> None:
        raise KeyboardInterrupt

    folder, toy = place.open(), Toy()
    with pytest.raises(KeyboardInterrupt):
        save_steps(folder, toy, 1, write_model=fail)
    save_steps(folder, toy, 2)
    assert place.load()[0] == 2
    assert [name[:6] for name in place.list_folders()] == ["step-2"]


def test_shards_of_several_parts_are_uploaded_and_read_by_ranges(bucket: BucketPlace) -> None:
    toy = Toy(width=1_500_000)  # weights and moments of 36 MB, in parts of 16 MiB
    save_steps(bucket.open(), toy, 1)
    assert bucket.proxy.count("PUT", "partNumber|comp=block&") == 3
    step, resumed, _ = bucket.load(toy=Toy(width=1_500_000))
    assert step == 1
    assert resumed.weights == toy.weights
    assert bucket.proxy.count("GET", SHARD) == 3, "each part once"


@pytest.mark.parametrize("kind", PASSING)
def test_a_fault_during_a_save_costs_time_only(bucket: BucketPlace, kind: FaultKind) -> None:
    folder, toy = bucket.open(), Toy()
    save_steps(folder, toy, 1)
    for target in ("rank-0", "manifest.json", "checkpoints.json"):
        bucket.proxy.fail_next("PUT", kind, target=target)
    bucket.proxy.fail_next("GET", kind, target="checkpoints.json")
    save_steps(folder, toy, 2)
    step, resumed, after = bucket.load()
    assert (step, after.notes) == (2, [])
    assert resumed.weights == toy.weights


def test_a_store_that_is_off_for_a_minute_costs_time_only(
    bucket: BucketPlace, minute_off: Callable[[FaultProxy], None], pauses: list[float]
) -> None:
    toy = Toy()
    save_steps(bucket.open(), toy, 1)
    minute_off(bucket.proxy)
    step, resumed, after = bucket.load(attempt=2)
    assert (step, after.notes) == (1, [])
    assert resumed.weights == toy.weights
    minute_off(bucket.proxy)
    save_steps(bucket.open(Owner("uid-1", "same", 3)), toy, 2)
    assert bucket.load(attempt=4)[0] == 2
    assert sum(pauses) >= 120


def test_a_rate_limit_is_waited_out_as_long_as_the_store_asks_and_shown_while_the_trainer_waits(
    bucket: BucketPlace, pauses: list[float]
) -> None:
    shown: list[tuple[str, float]] = []

    class Signs:
        def beat(self) -> None: ...

        def wait(self, reason: str, seconds: float) -> None:
            shown.append((reason, seconds))

    folder, toy = bucket.open(signs=Signs()), Toy()
    folder.claim()
    bucket.proxy.fail_next("PUT", "429", times=2, target="rank-0")
    bucket.proxy.fail_next("HEAD", "429", times=2)
    toy.train()
    folder.save(1, toy.snapshot(1))
    folder.wait()
    assert [pause for pause in pauses if 8 <= pause < 9]
    assert {reason for reason, _ in shown} <= {"the object store's rate limit is reached"}
    assert bucket.load()[0] == 1


def test_an_upload_that_is_killed_at_any_request_leaves_the_checkpoint_before_it_and_no_garbage(
    bucket: BucketPlace,
) -> None:
    save_steps(bucket.open(), Toy(), 1)
    resumed, attempt = set(), 1
    while True:
        attempt += 1
        newest, toy, folder = bucket.load(attempt)
        assert newest is not None
        bucket.proxy.down_from = len(bucket.proxy.requests) + (attempt - 2)
        try:
            toy.train()
            folder.save(newest + 1, toy.snapshot(newest + 1))
            evaluate(folder, newest + 1, 1.0)
            folder.wait()
            is_over = folder.notes == []
        except TemporaryError:
            is_over = False
        bucket.proxy.down_from = None
        attempt += 1
        step, _, after = bucket.load(attempt)
        assert after.notes == []
        assert step in {newest, newest + 1}
        kept = {record.uri.rpartition("/")[2] for record in after.records}
        assert set(bucket.list_folders()) == kept
        resumed.add(step == newest)
        if is_over:
            break
    assert resumed == {True, False}


def commit_while(bucket: BucketPlace, action: Callable[[], object]) -> None:
    """Save a step as attempt 1; `action` happens when its last request has left it and has not arrived."""
    folder, toy = bucket.open(), Toy()
    save_steps(folder, toy, 1)
    bucket.proxy.before_next("checkpoints.json", action)
    save_steps(folder, toy, 2)


def test_the_commit_of_a_ghost_is_refused_even_if_it_was_on_its_way(bucket: BucketPlace) -> None:
    with pytest.raises(PeerLostError, match="attempt 2"):
        commit_while(bucket, lambda: bucket.load(attempt=2))
    step, _, folder = bucket.load(attempt=3)
    assert step == 1
    assert [name[:6] for name in bucket.list_folders()] == ["step-1"]
    assert folder.notes == []


def test_a_repeated_commit_changes_nothing(bucket: BucketPlace) -> None:
    save_steps(bucket.open(), Toy(), 1)
    before = bucket.files.read_head()
    bucket.proxy.replay("PUT")
    assert bucket.files.read_head() == before


def test_names_of_the_latest_and_the_best_checkpoint_are_in_the_object_that_lists_them(bucket: BucketPlace) -> None:
    folder, toy = bucket.open(), Toy()
    save_steps(folder, toy, 1, loss=1.0)
    save_steps(folder, toy, 2, loss=2.0)
    document = json.loads(bucket.files.read("checkpoints.json") or b"")
    assert (document["latest"], document["best"]) == (bucket.name(2), bucket.name(1))


@pytest.mark.parametrize("bucket", ["s3"], indirect=True)  # Azure signs these headers
def test_a_store_that_ignores_conditions_is_refused(bucket: BucketPlace) -> None:
    bucket.proxy.dropped_headers = ("if-none-match",)
    with pytest.raises(ConfigurationError, match="ignores If-None-Match"):
        bucket.open().claim()
    bucket.proxy.dropped_headers = ("if-match",)
    with pytest.raises(ConfigurationError, match="ignores If-Match"):
        bucket.open().claim()


def test_checkpoints_that_were_copied_from_a_folder_are_refused_with_the_remedy(bucket: BucketPlace) -> None:
    bucket.put("step-4/manifest.json", b"{}")
    with pytest.raises(ConfigurationError, match=r"holds checkpoints but no checkpoints\.json; choose an empty"):
        bucket.open().claim()


@pytest.mark.parametrize("inner", ["step-2", "step-2-0123456789ab", "model/other", "samples"])
def test_a_run_in_what_another_run_deletes_is_refused_before_and_after_it(place: Place, inner: str) -> None:
    other = Place(f"{place.uri}/{inner}").open(Owner("uid-2", "same", 1))
    save_steps(place.open(), Toy(), 1)
    with pytest.raises(ConfigurationError, match=f"{inner} would be replaced or deleted by the run with the checkp"):
        other.claim()

    outer, nested = Place(f"{place.uri}/second"), Place(f"{place.uri}/second/{inner}")
    nested.open().claim()
    with pytest.raises(ConfigurationError, match="choose paths that are not in each other"):
        outer.open(Owner("uid-2", "same", 1)).claim()


def test_runs_may_be_in_folders_of_other_runs_that_these_leave_alone(place: Place) -> None:
    save_steps(place.open(), Toy(), 1)
    inner = Place(f"{place.uri}/step-2-lr3e-4")
    save_steps(inner.open(Owner("uid-2", "same", 1)), Toy(), 1)
    assert place.load()[0] == 1
    assert inner.load()[0] == 1


def test_a_list_of_checkpoints_that_cannot_be_parsed_is_refused(bucket: BucketPlace) -> None:
    bucket.put("checkpoints.json", b"[]")
    with pytest.raises(ConfigurationError, match=r"checkpoints\.json cannot be parsed"):
        bucket.open().claim()


def test_what_an_earlier_attempt_left_unfinished_is_deleted_by_the_next(bucket: BucketPlace) -> None:
    save_steps(bucket.open(), Toy(), 1)
    bucket.put(f"step-9-0123456789ab/{SHARD}", b"half")
    bucket.put("samples/step-9.json", b"{}")
    bucket.load()
    assert [name[:6] for name in bucket.list_folders()] == ["step-1"]
    assert "samples/step-9.json" in bucket.list_keys()


@pytest.mark.parametrize(
    "key",
    [
        "step-2-lr3e-4/checkpoints.json",
        "step-2-lr3e-4/step-5-0123456789ab/manifest.json",
        "step-1-keep/manifest.json",
        "step-1-0123456789ab-keep/manifest.json",
        "step-2-0123456789ab/checkpoints.json",
    ],
)
def test_a_claim_deletes_neither_another_run_below_its_prefix_nor_a_copy_of_a_user(
    bucket: BucketPlace, key: str
) -> None:
    save_steps(bucket.open(), Toy(), 1)
    bucket.put(key, b"{}")
    bucket.load()
    assert key in bucket.list_keys()
