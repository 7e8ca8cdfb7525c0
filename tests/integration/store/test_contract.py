"""What all stores promise: the same tests for a folder, the Hub and each object store."""

import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Final

import pyarrow.parquet as pq
import pytest

from deepsynth_api.errors import ConfigurationError, DataError, WorkloadError
from deepsynth_api.workload import CACHE_VARIABLE
from deepsynth_store import MANIFEST, DatasetFolder, fetch_folder, open_dataset, open_target, publish_folder
from deepsynth_store.cache.files import FileCache
from support.store.generations import Generation, build_generation

ONE, TWO, THREE = (build_generation(name, shards) for name, shards in [("one", 2), ("two", 3), ("three", 1)])
STORES: Final = (
    "folder",
    "hub",
    "s3",
    "hf",
    *(pytest.param(name, marks=pytest.mark.slow) for name in ("versity", "az", "gs")),
)


@pytest.fixture(params=STORES)
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Callable[[str], str]]:
    """Kind of repository on the Hub, datasets/ or none -> a URI where nothing is yet."""
    if request.param == "folder":
        yield lambda _: f"file://{tmp_path}/pages"
    elif request.param == "hub":
        request.getfixturevalue("hub")
        yield lambda kind: f"hf://{kind}someone/pages"
    else:
        uri = request.getfixturevalue(f"{request.param}_uri")
        yield lambda _: uri


@pytest.fixture
def uri(place: Callable[[str], str]) -> str:
    return place("datasets/")


def run(uri: str, generation: Generation) -> str:
    return generation.run(open_target(uri, generation.digest))


def read_all(dataset: DatasetFolder) -> dict[str, bytes]:
    """Without what the Hub itself adds."""
    paths = [file.path for file in dataset.list_files() if file.path != ".gitattributes"]
    return {path: dataset.read(path) for path in paths}


def test_readers_find_exactly_what_was_published(uri: str) -> None:
    revision = run(uri, ONE)
    dataset = open_dataset(uri, revision)
    assert (dataset.revision, read_all(dataset)) == (revision, ONE.expected)
    assert [file.path for file in dataset.list_files("data/")] == sorted(ONE.copies)


def test_staging_is_seen_by_its_own_plan_only(uri: str) -> None:
    one, other = open_target(uri, ONE.digest), open_target(uri, THREE.digest)
    for target in (one, other):
        target.prepare()
    ONE.render(one)
    assert {file.path: one.get(file.path) for file in one.list_staged()} == ONE.staged
    assert [file.path for file in one.list_staged("receipts/")] == ["receipts/00000.json", "receipts/00001.json"]
    assert list(other.list_staged()) == []
    with pytest.raises(DataError, match="not staged"):
        other.get("receipts/00000.json")
    assert one.published() is None


def test_publishing_again_changes_nothing(uri: str) -> None:
    revision = run(uri, ONE)
    assert run(uri, ONE) == revision
    assert open_target(uri, ONE.digest).publish({}, {MANIFEST: ONE.files[MANIFEST]}) == revision
    assert list(open_target(uri, ONE.digest).list_staged()) == []
    assert read_all(open_dataset(uri)) == ONE.expected


def test_the_next_generation_replaces_the_last(uri: str) -> None:
    for generation in (TWO, ONE, THREE, TWO):
        revision = run(uri, generation)
        assert read_all(open_dataset(uri, revision)) == generation.expected


def test_missing_shards_are_named_and_the_last_generation_stays(uri: str) -> None:
    run(uri, ONE)
    target = open_target(uri, TWO.digest)
    target.prepare()
    with pytest.raises(DataError, match=r"shards/train-0000\d\.parquet"):
        target.publish(TWO.copies, TWO.files)
    assert read_all(open_dataset(uri)) == ONE.expected


def test_a_reader_never_gets_bytes_of_another_generation(uri: str) -> None:
    revision = run(uri, ONE)
    early, late = open_dataset(uri), open_dataset(uri, revision)
    assert early.read("data/train-00000.parquet") == ONE.expected["data/train-00000.parquet"]
    run(uri, TWO)
    for dataset in (early, late):
        with suppress(WorkloadError):  # "changed while it was read"
            assert dataset.read("data/train-00000.parquet") == ONE.expected["data/train-00000.parquet"]


def test_a_row_group_is_read_without_the_rest_of_its_file(uri: str) -> None:
    generation = build_generation("one", shards=1, rows=50, as_parquet=True)
    run(uri, generation)
    with open_dataset(uri).open("data/train-00000.parquet") as file:
        table = pq.ParquetFile(file).read_row_group(3)
    assert table.column("text").to_pylist() == [f"one 0 {row}" for row in range(30, 40)]


def test_a_download_is_whole_and_counts_its_bytes(uri: str, tmp_path: Path) -> None:
    run(uri, ONE)
    counted: list[int] = []
    file = open_dataset(uri).download("data/train-00001.parquet", tmp_path / "local", counted.append)
    content = ONE.expected["data/train-00001.parquet"]
    assert (tmp_path / "local").read_bytes() == content
    assert (file.size, sum(counted)) == (len(content), len(content))


def test_a_published_folder_loses_the_files_that_the_next_one_lacks(
    place: Callable[[str], str], tmp_path: Path
) -> None:
    uri, model = place(""), tmp_path / "model"
    (model / "tokenizer").mkdir(parents=True)
    for name in ("config.json", "tokenizer/vocab.json", "model-1.safetensors", "model-2.safetensors"):
        (model / name).write_bytes(name.encode())
    first = publish_folder(model, uri)
    (model / "model-2.safetensors").unlink()
    (model / "config.json").write_bytes(b"another")
    second = publish_folder(model, uri)
    assert first != second == publish_folder(model, uri) == open_dataset(uri).revision
    files = read_all(open_dataset(uri))
    files.pop(MANIFEST)
    assert files == {
        "config.json": b"another",
        "tokenizer/vocab.json": b"tokenizer/vocab.json",
        "model-1.safetensors": b"model-1.safetensors",
    }


def test_a_shared_cache_fetches_a_model_once_for_all_attempts(
    place: Callable[[str], str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    uri, model = place(""), tmp_path / "model"
    model.mkdir()
    for name in ("config.json", "model.safetensors", "README.txt"):
        (model / name).write_bytes(name.encode() * 1000)
    revision, fetched = publish_folder(model, uri), list[int]()
    for attempt in ("first", "second"):
        monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path / attempt))  # of the node, which is new
        cache = FileCache(tmp_path / "shared", 10**9, pytest.fail)
        folder = fetch_folder(uri, revision, ["config.json", "*.safetensors"], cache=cache)
        assert (folder / "model.safetensors").read_bytes() == b"model.safetensors" * 1000
        fetched.append(cache.fetched)
        cache.close()
    is_remote = not uri.startswith("file://")
    assert fetched == [len("config.json" + "model.safetensors") * 1000 * is_remote, 0]


def test_a_place_without_a_dataset_is_a_configuration_error(uri: str) -> None:
    with pytest.raises(ConfigurationError, match=r"^spec\.datasets\[a\]\.uri: "):
        open_dataset(uri, field="spec.datasets[a].uri")


def test_a_file_that_does_not_exist_is_named(uri: str) -> None:
    run(uri, ONE)
    with pytest.raises(DataError, match=r"holds no file data/train-00009\.parquet"):
        open_dataset(uri).read("data/train-00009.parquet")


def test_eight_writers_leave_one_of_their_generations_whole(uri: str) -> None:
    generations = [build_generation(f"writer {number}", shards=2) for number in range(8)]
    run_together([partial(run, uri, generation) for generation in generations])
    assert read_all(open_dataset(uri)) in [generation.expected for generation in generations]


def test_eight_publishers_of_one_generation_agree(uri: str) -> None:
    target = open_target(uri, TWO.digest)
    target.prepare()
    TWO.render(target)
    revisions: list[str] = []
    run_together(
        [lambda: revisions.append(open_target(uri, TWO.digest).publish(TWO.copies, TWO.files)) for _ in range(8)]
    )
    assert revisions == [open_dataset(uri).revision] * 8
    assert read_all(open_dataset(uri)) == TWO.expected


def run_together(actions: list[Callable[[], object]]) -> None:
    """Each in a thread of its own. Raises the first error."""
    errors: list[BaseException] = []

    def guard(action: Callable[[], object]) -> None:
        try:
            action()
        except BaseException as error:  # noqa: BLE001 - handed to the test
            errors.append(error)

    threads = [threading.Thread(target=guard, args=(action,)) for action in actions]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]
