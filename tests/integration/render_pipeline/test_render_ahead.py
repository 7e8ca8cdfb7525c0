"""Shards that are rendered while the plan step reads on become the same bytes as without it."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from deepsynth_api.errors import TemporaryError
from deepsynth_render.page.fallback import use_fonts
from integration.render_pipeline.ahead_steps import AheadSteps, read_tree
from integration.render_pipeline.render_steps import Steps, build_rows, write_jsonl, write_parquet
from integration.render_pipeline.test_render_hub import commit, to_parquet
from support.small_fonts import build_font_file
from support.store.hub_server.server import HubServer
from support.store.object_servers.moto_server import make_bucket, start_moto

Build = Callable[..., Steps]


@pytest.fixture(autouse=True)
def _forget_fonts() -> Iterator[None]:
    yield
    use_fonts([])


def write_splits(folder: Path) -> dict[str, Any]:
    for number, (name, count) in enumerate({"test": 9, "validation": 14, "train": 60}.items()):
        write_parquet(folder / f"{name}.parquet", build_rows(count, 100 * number), group_rows=6)
    return {"rowsPerShard": 6}


def write_texts(folder: Path) -> dict[str, Any]:
    for number in range(6):
        write_jsonl(folder / f"train-{number}.jsonl", build_rows(10, 10 * number))
    return {"rowsPerShard": 7}


def write_holdout(folder: Path) -> dict[str, Any]:
    write_parquet(folder / "train.parquet", build_rows(100), group_rows=5)
    return {"rowsPerShard": 10, "source": {"holdoutPercent": 20}}


def write_configs(folder: Path) -> dict[str, Any]:
    """fr has no rows of test, and the shards of train are not cut between fr and de."""
    for name, first in {"fr": 0, "de": 100, "it": 200}.items():
        write_parquet(folder / f"{name}/train.parquet", build_rows(13, first), group_rows=4)
    write_parquet(folder / "de/test.parquet", build_rows(9, 300), group_rows=3)
    configs = [{"config_name": name, "data_dir": name} for name in ("fr", "de", "it")]
    card = yaml.safe_dump({"language": ["fr", "de", "it"], "configs": configs})
    (folder / "README.md").write_text(f"---\n{card}---\n")
    return {"rowsPerShard": 8, "source": {"configs": ["fr", "de", "it"], "splits": ["train", "test"]}}


def write_held_out_configs(folder: Path) -> dict[str, Any]:
    for name, first in {"fr": 0, "de": 100}.items():
        write_jsonl(folder / f"{name}/train.jsonl", build_rows(30, first))
    configs = [{"config_name": name, "data_dir": name} for name in ("fr", "de")]
    (folder / "README.md").write_text(f"---\n{yaml.safe_dump({'configs': configs})}---\n")
    return {"rowsPerShard": 8, "source": {"configs": ["*"], "holdoutPercent": 30}}


def write_copies(folder: Path) -> dict[str, Any]:
    """Each third row is nearly the one before it, each tenth is refused, and each seventh is drawn with U+FFFD."""
    rows = build_rows(60)
    for number, row in enumerate(rows):
        row["text"] = " ".join(f"word{part}of{number - (number % 3 == 2)}" for part in range(60))
        row["text"] += "" if number % 10 else " \U00017000"
    write_parquet(folder / "train.parquet", rows, group_rows=5)
    return {
        "rowsPerShard": 5,
        "filters": {"maxSimilarityPercent": 80},
        "maxRefusedPercent": 60,
        "output": {"maxShardBytes": 1_000_000},
    }


def write_own_font(folder: Path) -> dict[str, Any]:
    (folder.parent / "fonts").mkdir(exist_ok=True)
    font = folder.parent / "fonts/Squares.ttf"
    font.write_bytes(build_font_file("abcdefghijklmnopqrstuvwxyz\ue000"))
    rows = [{**row, "text": f"{row['text']} \ue000"} for row in build_rows(40)]
    write_parquet(folder / "train.parquet", rows, group_rows=5)
    page = {"size": "160x120", "fontSizesPx": [8], "marginPx": 8, "fontFamilies": ["Squares", "DejaVu Sans"]}
    return {"rowsPerShard": 5, "fonts": [{"name": "Squares", "uri": f"file://{font}"}], "page": page}


KINDS = [write_splits, write_texts, write_holdout, write_configs, write_held_out_configs, write_copies, write_own_font]


@pytest.fixture
def build(build_steps: Build, tmp_path: Path) -> Callable[..., Steps]:
    """Steps of a source of one of KINDS into a target."""

    def build_kind(kind: Callable[[Path], dict[str, Any]], target: str) -> Steps:
        folder = tmp_path / "source"
        settings = kind(folder) if not folder.exists() else json.loads((tmp_path / "settings").read_text())
        (tmp_path / "settings").write_text(json.dumps(settings))
        return build_steps({"uri": f"file://{folder}", **settings.pop("source", {})}, target, **settings)

    return build_kind


@pytest.mark.parametrize("kind", KINDS)
def test_a_dataset_has_the_same_bytes_whether_its_shards_were_rendered_ahead_or_not(
    build: Callable[..., Steps], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: Any
) -> None:
    build(kind, "plain").run_all()
    ahead = AheadSteps(build(kind, "out"), monkeypatch)
    ahead.run_all()
    assert read_tree(tmp_path / "out") == read_tree(tmp_path / "plain")
    assert ahead.rendered >= 2
    staged = [report.staged_shards for report in ahead.reports]
    assert staged == sorted(set(staged))
    assert {report.digest for report in ahead.reports} == {""}


def finish(ahead: AheadSteps, before: dict[Path, int], folder: Path) -> None:
    """Plan again, render and publish: files of `before` are kept, and the dataset is that of the plain way."""
    ahead.look, ahead.rendered = lambda: None, 0
    ahead.plan()
    ahead.render_rest()
    assert {path: path.stat().st_mtime_ns for path in before} == before
    ahead.steps.succeed("publish")
    assert read_tree(folder / "out") == read_tree(folder / "plain")


def test_a_plan_that_is_killed_and_repeated_keeps_what_was_rendered_ahead(
    build: Callable[..., Steps], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    build(write_splits, "plain").run_all()
    ahead = AheadSteps(build(write_splits, "out"), monkeypatch)

    def kill() -> None:
        if len(ahead.reports) >= 3:
            raise TemporaryError("the plan is killed")

    ahead.look = kill
    assert "killed" in ahead.steps.fail("plan", 75)
    report = ahead.steps.report
    assert report is not None
    assert report.plan is not None
    assert report.plan.staged_shards == ahead.reports[-1].staged_shards, "in the termination message too"
    ahead.render_staged()
    (staged,) = tmp_path.glob("out/.deepsynth-*/data")
    before = {path: path.stat().st_mtime_ns for path in staged.iterdir()}
    assert len(before) == ahead.rendered >= 3
    finish(ahead, before, tmp_path)


@pytest.mark.parametrize("values", [("1", "0"), ("0", "1")])
def test_a_plan_that_is_repeated_with_another_number_of_pods_leaves_nothing_in_staging(
    build: Callable[..., Steps], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, values: tuple[str, str]
) -> None:
    build(write_splits, "plain").run_all()
    ahead = AheadSteps(build(write_splits, "out"), monkeypatch)
    ahead.look = lambda: None
    for value in values:
        monkeypatch.setenv("DEEPSYNTH_RENDER_AHEAD", value)
        ahead.reports.clear()
        ahead.plan()
        assert bool(ahead.reports) == (value == "1")
    ahead.render_rest()
    ahead.steps.succeed("publish")
    assert [path.name for path in tmp_path.glob("out/.*")] == []
    assert read_tree(tmp_path / "out") == read_tree(tmp_path / "plain")


def test_a_shard_that_is_staged_is_not_rendered_ahead_again(
    build: Callable[..., Steps], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ahead = AheadSteps(build(write_splits, "out"), monkeypatch)
    ahead.plan()
    ahead.steps.settings["plan"] = ahead.refer(ahead.reports[-1])
    (receipt,) = tmp_path.glob("out/.deepsynth-*/receipts/00001.json")
    before = receipt.stat().st_mtime_ns
    report = ahead.steps.succeed("render", 1).render
    assert receipt.stat().st_mtime_ns == before
    assert report is not None
    assert (report.shard, report.documents, report.documents_total) == (1, 3, 3)


def test_a_short_plan_is_staged_once_at_its_end(
    build: Callable[..., Steps], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    build(write_splits, "plain").run_all()
    ahead = AheadSteps(build(write_splits, "out"), monkeypatch, seconds=0.1)
    ahead.look = lambda: None
    ahead.run_all()
    assert ahead.reports == []
    assert read_tree(tmp_path / "out") == read_tree(tmp_path / "plain")


def test_without_the_variable_the_plan_names_the_staging_folder(
    build: Callable[..., Steps], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ahead = AheadSteps(build(write_splits, "out"), monkeypatch)
    monkeypatch.delenv("DEEPSYNTH_RENDER_AHEAD")
    report = ahead.plan().plan
    assert report is not None
    assert report.staging == ""
    assert ahead.reports == []
    (staged,) = tmp_path.glob("out/.deepsynth-*")
    assert staged.name == f".deepsynth-{report.digest}"
    assert not (staged / "plan/draft.json").exists()


def test_nothing_is_staged_ahead_while_too_many_documents_are_refused(
    build_steps: Build, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """5 of the first 10 and none of the 50 behind them."""
    rows = build_rows(60)
    for row in rows[:10:2]:
        row["text"] += " \U00017000"
    write_parquet(tmp_path / "source/train.parquet", rows, group_rows=5)
    ahead = AheadSteps(build_steps(tmp_path / "source", rowsPerShard=5, maxRefusedPercent=20), monkeypatch)
    ahead.plan()
    assert ahead.reports[0].staged_shards >= 4
    refused = AheadSteps(build_steps(tmp_path / "source", "refused", rowsPerShard=5, maxRefusedPercent=0), monkeypatch)
    assert "more than spec.maxRefusedPercent 0" in refused.steps.fail("plan", 65)
    assert refused.reports == []
    assert not (tmp_path / "refused").exists()


@pytest.mark.parametrize(
    ("bad", "remedy"),
    [
        ({"text": "\U00017000 cannot be drawn, although it is as long as the others."}, "U+17000"),
        ({"text": None}, "spec.source.columns"),
    ],
)
def test_what_was_rendered_before_a_plan_failed_is_used_once_the_limit_is_raised(
    build_steps: Build, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, bad: dict[str, Any], remedy: str
) -> None:
    """Far too many documents are refused, but only at the end of the source."""
    rows = [*build_rows(20), *({**row, **bad} for row in build_rows(200, 20))]
    for number, row in enumerate(rows[20:]):
        row["text"] = row["text"] and f"{row['text']} {number}"
    write_parquet(tmp_path / "source/train.parquet", rows, group_rows=5)

    def build(target: str, percent: int) -> Steps:
        return build_steps(tmp_path / "source", target, rowsPerShard=5, maxRefusedPercent=percent)

    build("plain", 100).run_all()
    ahead = AheadSteps(build("out", 20), monkeypatch)
    message = ahead.steps.fail("plan", 65)
    assert "spec.maxRefusedPercent" in message
    assert remedy in message
    assert ahead.rendered >= 3
    assert not (tmp_path / "out/deepsynth/manifest.json").exists()
    (staged,) = tmp_path.glob("out/.deepsynth-*/data")
    before = {path: path.stat().st_mtime_ns for path in staged.iterdir()}
    ahead.steps.settings["maxRefusedPercent"] = 100
    finish(ahead, before, tmp_path)


def test_rows_that_changed_under_the_same_revision_are_rendered_again(
    build_steps: Build, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def change(first: int) -> None:
        for number in range(5):
            write_jsonl(
                tmp_path / f"source/train-{number}.jsonl", build_rows(8, (first if number == 0 else 8 * number))
            )

    def build(target: str) -> AheadSteps:
        return AheadSteps(build_steps(tmp_path / "source", target, rowsPerShard=8), monkeypatch, revision="fixed")

    change(500)
    first = build("out")
    first.plan()
    assert first.rendered >= 2
    change(900)
    again = build("out")
    again.look = lambda: None
    again.plan()
    message = again.steps.fail("publish", 65)
    assert f"{6 - first.rendered} of 5 shards are not staged" in message
    assert "(first: 0)" in message
    again.render_rest()
    again.steps.succeed("publish")
    build("plain").run_all()
    assert read_tree(tmp_path / "out") == read_tree(tmp_path / "plain")


def test_a_receipt_of_other_rows_does_not_count_while_there_is_no_plan_either(
    build: Callable[..., Steps], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ahead = AheadSteps(build(write_texts, "out"), monkeypatch)
    ahead.plan()
    (receipt,) = tmp_path.glob("out/.deepsynth-*/receipts/00000.json")
    content = json.loads(receipt.read_bytes())
    receipt.write_text(json.dumps({**content, "rowsSha256": "0" * 64}))
    ahead.steps.settings["plan"] = ahead.refer(ahead.reports[-1])
    ahead.steps.succeed("render", 0)
    assert json.loads(receipt.read_bytes()) == content


def test_what_is_published_is_neither_staged_nor_rendered_again(
    build: Callable[..., Steps], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ahead = AheadSteps(build(write_splits, "out"), monkeypatch)
    published = ahead.run_all().publish
    before, reference = read_tree(tmp_path / "out"), ahead.refer(ahead.reports[-1])
    ahead.reports.clear()
    ahead.rendered = 0
    ahead.plan()
    assert ahead.reports == []
    rest = ahead.render_rest()
    ahead.steps.settings["plan"] = reference
    report = ahead.steps.succeed("render", 0).render
    assert report == rest[0].render
    ahead.plan()
    assert ahead.steps.succeed("publish").publish == published
    assert read_tree(tmp_path / "out") == before


@pytest.mark.parametrize("where", ["folder", "hub"])
def test_another_generation_of_the_same_draft_may_publish_meanwhile(
    build_steps: Build, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, hub: HubServer, where: str
) -> None:
    """It removes the staging folder that both use, in the middle of a plan."""
    target = "out" if where == "folder" else "hf://datasets/someone/out"
    settings = write_splits(tmp_path / "source")
    ahead = AheadSteps(build_steps(tmp_path / "source", target, **settings), monkeypatch)
    other = build_steps(tmp_path / "source", target, **settings)
    published: list[Any] = []

    def publish_other() -> None:
        if len(ahead.reports) >= 2 and not published:
            published.append(other.run_all().publish)
            ahead.render_staged()

    ahead.look = publish_other
    report = ahead.plan().plan
    assert report is not None
    assert report.digest == other.settings["plan"]["digest"]
    assert report.staging == ahead.reports[0].staging == other.settings["plan"]["staging"]
    ahead.render_rest()
    assert [ahead.steps.succeed("publish").publish] == published
    if where == "folder":
        assert not list((tmp_path / "out").glob(".deepsynth-*"))
    else:
        assert [commit.title.split()[0] for commit in hub.repository("someone/out").history()].count("Publish") == 1
        assert list(hub.repository("someone/out").refs) == ["main"]


@pytest.mark.parametrize("damage", ["draft", "no draft", "rows", "no rows"])
def test_damage_in_staging_is_named(
    build: Callable[..., Steps], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, damage: str
) -> None:
    ahead = AheadSteps(build(write_splits, "out"), monkeypatch)
    ahead.look = lambda: None
    ahead.plan()
    ahead.steps.settings["plan"] = ahead.refer(ahead.reports[-1])
    name = "draft.json" if "draft" in damage else "rows-00000.parquet"
    (file,) = tmp_path.glob(f"out/.deepsynth-*/plan/{name}")
    if damage.startswith("no"):
        file.unlink()
    else:
        file.write_bytes(file.read_bytes()[:-9])
    words = {"no draft": "holds no staged draft", "no rows": "rows-00000.parquet is not staged"}
    assert words.get(damage, f"{name} in staging is damaged") in ahead.steps.fail("render", 65, 0)


def test_an_index_behind_the_staged_shards_is_refused(
    build: Callable[..., Steps], monkeypatch: pytest.MonkeyPatch
) -> None:
    ahead = AheadSteps(build(write_splits, "out"), monkeypatch)
    ahead.plan()
    ahead.steps.settings["plan"] = ahead.refer(ahead.reports[0], first=1)
    message = ahead.steps.fail("render", 64, ahead.reports[0].staged_shards - 1)
    assert message.startswith("JOB_COMPLETION_INDEX: must be an integer below ")


def test_from_the_hub_to_the_hub(build_steps: Build, hub: HubServer, monkeypatch: pytest.MonkeyPatch) -> None:
    hub.create_repository("someone/texts")
    commit(hub, "someone/texts", {"train-0.parquet": to_parquet(build_rows(60), group_rows=5)})
    source = {"uri": "hf://datasets/someone/texts"}
    build_steps(source, "hf://datasets/someone/plain", rowsPerShard=5).run_all()
    ahead = AheadSteps(build_steps(source, "hf://datasets/someone/pages", rowsPerShard=5), monkeypatch)
    ahead.run_all()
    assert ahead.rendered >= 3
    assert hub.read("someone/pages") == hub.read("someone/plain")
    assert list(hub.repository("someone/pages").refs) == ["main"]


def test_from_a_folder_to_an_object_store(
    build: Callable[..., Steps], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", start_moto())
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAEXAMPLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "correct-horse")
    plain = build(write_configs, "plain").run_all().publish
    with make_bucket() as bucket:
        ahead = AheadSteps(build(write_configs, f"s3://{bucket}/pages"), monkeypatch)
        report = ahead.run_all().publish
    assert ahead.rendered >= 2
    assert plain is not None
    assert report is not None
    assert report.manifest_sha256 == plain.manifest_sha256
