import hashlib
import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyarrow import csv

from deepsynth_render.__main__ import find_step
from deepsynth_render.page.characters import normalise
from deepsynth_render.plan.step import run_plan
from deepsynth_render.sources.docstrings import DocstringSource
from integration.render_pipeline.render_steps import (
    LONG,
    Steps,
    build_rows,
    dropped,
    read_documents,
    read_pages,
    write_jsonl,
    write_parquet,
)

Build = Callable[..., Steps]


def read_tree(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*.*") if path.is_file()}


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """40 train rows in row groups of 8, 10 validation and 5 test rows."""
    write_parquet(tmp_path / "source/data/train-0.parquet", build_rows(40), group_rows=8)
    write_parquet(tmp_path / "source/data/validation-0.parquet", build_rows(10, 100))
    write_jsonl(tmp_path / "source/data/ignored.txt", [])
    write_parquet(tmp_path / "source/data/test-0.parquet", build_rows(5, 200))
    return tmp_path / "source"


def test_the_pages_of_every_document_joined_equal_its_normalised_text(
    build_steps: Build, source: Path, tmp_path: Path
) -> None:
    steps = build_steps(source, rowsPerShard=20, page={"size": "160x120", "fontSizesPx": [16], "marginPx": 2})
    report = steps.run_all().publish
    assert report is not None
    documents = read_documents(tmp_path / "out")
    expected = {
        **{f"train-{index}": normalise(row["text"]) for index, row in enumerate(build_rows(40))},
        **{f"validation-{index}": normalise(row["text"]) for index, row in enumerate(build_rows(10, 100))},
        **{f"test-{index}": normalise(row["text"]) for index, row in enumerate(build_rows(5, 200))},
    }
    assert documents == expected
    pages = read_pages(tmp_path / "out")
    assert (report.rows, report.pages) == (55, len(pages))
    assert len(pages) > 55


def test_a_row_names_its_origin(build_steps: Build, source: Path, tmp_path: Path) -> None:
    (source / "README.md").write_text("---\nlanguage: en\nlicense: mit\n---\n", encoding="utf-8")
    build_steps(source).run_all()
    for row in read_pages(tmp_path / "out", "validation"):
        number = row["original_index"]
        assert row["summary"] == f"A fox, number {100 + number}."
        assert (row["document_id"], row["original_split"]) == (f"validation-{number}", "validation")
        assert (row["language"], row["source_dataset"]) == ("en", "foxes")
        text = normalise(build_rows(1, 100 + number)[0]["text"])
        assert text[row["char_start"] : row["char_end"]] == row["text"]
        assert 0 <= row["page"] < row["num_pages"]
        assert row["image"]["bytes"].startswith(b"\x89PNG")
    assert "license: mit" in (tmp_path / "out/README.md").read_text(encoding="utf-8")


def test_rendering_again_into_another_folder_gives_the_same_bytes(
    build_steps: Build, source: Path, tmp_path: Path
) -> None:
    for output in ["out", "again"]:
        build_steps(source, output, rowsPerShard=20).run_all()
    first, second = read_tree(tmp_path / "out"), read_tree(tmp_path / "again")
    assert first == second
    assert sum(path.startswith("data/") for path in first) == 5


def test_the_manifest_lists_every_file_with_its_hash(build_steps: Build, source: Path, tmp_path: Path) -> None:
    steps = build_steps(source)
    report = steps.run_all().publish
    assert report is not None
    content = (tmp_path / "out/deepsynth/manifest.json").read_bytes()
    manifest = json.loads(content)
    assert report.manifest_sha256 == report.revision == hashlib.sha256(content).hexdigest()
    files = {file["path"]: (tmp_path / "out" / file["path"]).read_bytes() for file in manifest["files"]}
    assert len(files) == 3
    for file in manifest["files"]:
        assert file["sha256"] == hashlib.sha256(files[file["path"]]).hexdigest()
        assert file["size"] == len(files[file["path"]])
    assert manifest["pages"] == sum(file["rows"] for file in manifest["files"])
    assert manifest["plan"] == steps.settings["plan"]["digest"]
    assert manifest["source"]["revision"] == steps.settings["plan"]["revision"]
    assert {"DejaVu Sans", "Noto Sans Arabic", "Noto Sans CJK JP"} < set(manifest["look"]["fonts"])
    assert "pyarrow" in manifest["look"]["versions"]


@pytest.mark.parametrize("rows_per_shard", [8, 16, 20, 100])
def test_texts_do_not_depend_on_how_shards_are_cut(
    build_steps: Build, source: Path, tmp_path: Path, rows_per_shard: int
) -> None:
    """8 cuts along row groups; the one group of validation is larger than a shard of 8, so the plan holds its texts."""
    build_steps(source, rowsPerShard=rows_per_shard).run_all()
    assert len(read_documents(tmp_path / "out")) == 55
    assert read_documents(tmp_path / "out", "train")["train-39"].startswith(f"{LONG}39.")


def test_planning_again_gives_the_same_plan(build_steps: Build, source: Path) -> None:
    steps = build_steps(source)
    digests = set()
    for _ in range(2):
        steps.plan()
        digests.add(steps.settings["plan"]["digest"])
    assert len(digests) == 1


@pytest.mark.parametrize(
    "change",
    [
        {"filters": {"minTextChars": 51}},
        {"page": {"size": "160x120", "fontSizesPx": [9], "marginPx": 8}},
        {"output": {"compression": "fast"}},
        {"rowsPerShard": 20},
        {"sourceName": "other"},
    ],
)
def test_a_setting_that_changes_the_dataset_changes_the_digest(
    build_steps: Build, source: Path, change: dict[str, object]
) -> None:
    first, second = build_steps(source), build_steps(source, **change)
    first.plan()
    second.plan()
    assert first.settings["plan"]["digest"] != second.settings["plan"]["digest"]


def test_a_finished_shard_is_not_rendered_again(build_steps: Build, source: Path, tmp_path: Path) -> None:
    steps = build_steps(source, rowsPerShard=20)
    steps.plan()
    first = steps.succeed("render", 1)
    staged = next((tmp_path / "out").glob(".deepsynth-*/data"))
    before = {path.name: path.stat().st_mtime_ns for path in staged.iterdir()}
    again = steps.succeed("render", 1)
    assert {path.name: path.stat().st_mtime_ns for path in staged.iterdir()} == before
    assert first.render is not None
    assert again.render is not None
    assert (again.render.pages, again.render.bytes) == (first.render.pages, first.render.bytes)
    assert again.render.documents_total == first.render.documents_total


def test_a_staged_shard_that_lost_bytes_is_rendered_again(build_steps: Build, source: Path, tmp_path: Path) -> None:
    steps = build_steps(source)
    steps.plan()
    steps.succeed("render", 0)
    (shard,) = (tmp_path / "out").glob(".deepsynth-*/data/*.parquet")
    content = shard.read_bytes()
    shard.write_bytes(content[:-1])
    steps.succeed("render", 0)
    assert shard.read_bytes() == content


def test_a_flipped_byte_stops_publishing_and_only_that_shard_is_rendered_again(
    build_steps: Build, source: Path, tmp_path: Path
) -> None:
    steps = build_steps(source)
    steps.plan()
    steps.render_all()
    shard = next((tmp_path / "out").glob(".deepsynth-*/data/train-*.parquet"))
    content = bytearray(shard.read_bytes())
    content[1000] ^= 1
    shard.write_bytes(content)
    assert "1 damaged shard staged" in steps.fail("publish", 65)
    assert not (tmp_path / "out/deepsynth/manifest.json").exists()
    others = {path: path.stat().st_mtime_ns for path in shard.parent.iterdir() if path != shard}
    steps.render_all()
    assert {path: path.stat().st_mtime_ns for path in shard.parent.iterdir() if path != shard} == others
    steps.succeed("publish")
    assert len(read_documents(tmp_path / "out")) == 55


def test_every_step_may_be_repeated_after_publishing(build_steps: Build, source: Path, tmp_path: Path) -> None:
    steps = build_steps(source)
    report = steps.run_all()
    before = read_tree(tmp_path / "out")
    steps.plan()
    renders = steps.render_all()
    assert steps.succeed("publish").publish == report.publish
    assert read_tree(tmp_path / "out") == before
    assert not list((tmp_path / "out").glob(".deepsynth-*/data"))
    assert report.publish is not None
    assert sum(entry.render.pages for entry in renders if entry.render) == report.publish.pages


def test_staging_that_a_killed_run_left_is_removed(build_steps: Build, source: Path, tmp_path: Path) -> None:
    steps = build_steps(source)
    steps.run_all()
    left = tmp_path / f"out/.deepsynth-{steps.settings['plan']['digest']}/data"
    left.mkdir(parents=True)
    steps.succeed("publish")
    assert not left.parent.exists()


def test_publishing_before_all_shards_are_staged_is_refused(build_steps: Build, source: Path, tmp_path: Path) -> None:
    steps = build_steps(source)
    steps.plan()
    steps.succeed("render", 0)
    assert "2 of 3 shards are not staged" in steps.fail("publish", 65)
    assert not (tmp_path / "out/deepsynth/manifest.json").exists()


def test_a_shard_larger_than_a_file_continues_in_another(build_steps: Build, tmp_path: Path) -> None:
    rows = [{"text": f"{number} " + LONG * 600, "summary": "A long fox story."} for number in range(30)]
    write_parquet(tmp_path / "source/train.parquet", rows)
    page = {"size": "512", "maxPages": 500, "fontSizesPx": [8]}
    steps = build_steps(tmp_path / "source", page=page, output={"maxShardBytes": 1_000_000, "compression": "fast"})
    steps.run_all()
    names = sorted(path.name for path in (tmp_path / "out/data").iterdir())
    assert names[0] == "train-00000-1.parquet"
    assert names[-1] == "train-00000.parquet"
    assert len(names) >= 3
    assert all(path.stat().st_size < 1_050_000 for path in (tmp_path / "out/data").iterdir())
    assert len(read_documents(tmp_path / "out")) == 30


def test_only_the_first_rows_of_a_split_are_read(build_steps: Build, source: Path, tmp_path: Path) -> None:
    steps = build_steps({"uri": f"file://{source}", "maxRowsPerSplit": 12})
    report = steps.plan().plan
    assert report is not None
    assert report.rows_read == 12 + 10 + 5
    steps.render_all()
    steps.succeed("publish")
    assert set(read_documents(tmp_path / "out", "train")) == {f"train-{index}" for index in range(12)}


def test_files_behind_the_row_limit_are_not_opened(build_steps: Build, tmp_path: Path) -> None:
    write_parquet(tmp_path / "source/train-0.parquet", build_rows(5))
    (tmp_path / "source/train-1.parquet").write_bytes(b"damaged")
    steps = build_steps({"uri": f"file://{tmp_path}/source", "maxRowsPerSplit": 5})
    report = steps.plan().plan
    assert report is not None
    assert report.rows_read == 5


def test_every_dropped_row_is_counted(build_steps: Build, tmp_path: Path) -> None:
    rows: list[dict[str, Any]] = [
        *build_rows(3),
        {"text": "\x07\x00\x1b" * 50, "summary": "Only control characters."},
        {"text": None, "summary": "No text at all."},
        {"text": LONG + "!", "summary": None},
        {"text": LONG + "?", "summary": "short"},
        {"text": build_rows(1)[0]["text"] + "  \r\n", "summary": "The first text again."},
        {"text": LONG + "\U00017000\U00017001", "summary": "Holds Tangut."},
        {"text": "x" * 1_000_000, "summary": "One word of a megabyte."},
    ]
    write_jsonl(tmp_path / "source/train.jsonl", rows)
    steps = build_steps(tmp_path / "source")
    planned = steps.plan()
    assert dropped(planned) == {
        "TextTooShort": 1,
        "MissingText": 1,
        "MissingSummary": 1,
        "SummaryTooShort": 1,
        "Duplicate": 1,
        "UnsupportedScript": 1,
    }
    (rendered,) = steps.render_all()
    assert sum(dropped(rendered).values()) == 1
    published = steps.succeed("publish").publish
    assert published is not None
    assert published.rows + sum(entry.rows for entry in published.dropped) == len(rows)
    assert published.rows == 3


@pytest.mark.parametrize("suffix", ["jsonl", "csv", "parquet"])
def test_texts_without_summaries_are_rendered_if_the_spec_says_so(
    build_steps: Build, tmp_path: Path, suffix: str
) -> None:
    texts = [row["text"] for row in build_rows(3)]
    (tmp_path / "source").mkdir()
    path = tmp_path / f"source/train.{suffix}"
    if suffix == "jsonl":
        write_jsonl(path, [{"body": text} for text in texts])
    else:
        table = pa.table({"body": texts})
        pq.write_table(table, path) if suffix == "parquet" else csv.write_csv(table, path)
    columns = {"text": "body", "summary": ""}
    steps = build_steps({"uri": f"file://{tmp_path}/source", "columns": columns})
    steps.run_all()
    rows = read_pages(tmp_path / "out")
    assert {row["summary"] for row in rows} == {""}
    assert len({row["document_id"] for row in rows}) == 3
    assert "no summaries" in (tmp_path / "out/README.md").read_text()


def test_docstrings_are_rendered_without_any_file(build_steps: Build, tmp_path: Path) -> None:
    """Of one package: those of the whole library would take long."""
    docstrings = DocstringSource(Path(json.__file__).parent)
    steps = build_steps({"uri": "docstrings://"}, page={"size": "512"}, sourceName="docstrings")
    steps.find = lambda step: (
        partial(run_plan, open_texts=lambda *_, **__: docstrings) if step == "plan" else find_step(step)
    )
    steps.run_all()
    rows = read_pages(tmp_path / "out")
    assert {row["language"] for row in rows} == {"en"}
    assert any("json.dumps" in row["text"] for row in rows)


def test_a_single_file_is_a_source(build_steps: Build, tmp_path: Path) -> None:
    write_jsonl(tmp_path / "notes.jsonl", build_rows(3))
    write_jsonl(tmp_path / "other.jsonl", build_rows(3, 10))
    build_steps(tmp_path / "notes.jsonl").run_all()
    assert set(read_documents(tmp_path / "out")) == {"train-0", "train-1", "train-2"}


def test_a_volume_is_a_source_and_a_target(build_steps: Build, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DEEPSYNTH_VOLUMES", str(tmp_path))
    write_parquet(tmp_path / "claim/texts/train.parquet", build_rows(3))
    build_steps({"uri": "pvc://claim/texts"}, "pvc://claim/pages").run_all()
    assert len(read_documents(tmp_path / "claim/pages")) == 3


def test_a_dataset_that_another_program_published_is_replaced(build_steps: Build, source: Path, tmp_path: Path) -> None:
    manifest = tmp_path / "out/deepsynth/manifest.json"
    manifest.parent.mkdir(parents=True)
    manifest.write_text('{"files": []}', encoding="utf-8")
    build_steps(source).run_all()
    assert json.loads(manifest.read_bytes())["documents"] == 55


def test_splits_of_two_formats_and_a_norwegian_card_are_read_as_they_are(build_steps: Build, tmp_path: Path) -> None:
    source, rows = tmp_path / "source", build_rows(3)
    write_jsonl(source / "train.jsonl", [{"text": rows[0]["text"], "title": "A title of it"}, *rows[1:]])
    (source / "validation.csv").write_text(f'text,summary\n"{LONG * 2}",Its own summary\n')
    (source / "README.md").write_text("---\nlanguage: no\n---\n")
    steps = build_steps(source)
    report = steps.plan()
    assert report.plan is not None
    assert [(split.name, split.rows) for split in report.plan.splits] == [("validation", 1), ("train", 2)]
    assert dropped(report) == {"MissingSummary": 1}
    steps.render_all()
    steps.succeed("publish")
    pages = read_pages(tmp_path / "out")
    assert {page["language"] for page in pages} == {"no"}
    assert {page["summary"] for page in pages} == {rows[1]["summary"], rows[2]["summary"], "Its own summary"}


def test_a_plan_of_many_splits_is_reported_with_its_digest(build_steps: Build, tmp_path: Path) -> None:
    source = tmp_path / "source"
    files = []
    for number, row in enumerate(build_rows(120)):
        write_jsonl(source / f"part-{number}.jsonl", [row])
        files.append(f"- {{split: part_{number}_of_the_texts, path: part-{number}.jsonl}}")
    card = "\n  ".join(["configs:", "- config_name: default", "  data_files:", *(f"  {line}" for line in files)])
    (source / "README.md").write_text(f"---\n{card}\n---\n")
    report = build_steps(source).plan()
    assert report.plan is not None
    assert report.plan.digest
    assert report.plan.shards == sum(split.rows for split in report.plan.splits) == 120
    assert report.plan.splits[-1].name.endswith(" other splits")


def test_a_plan_of_an_earlier_version_is_rendered_and_published(
    build_steps: Build, source: Path, tmp_path: Path
) -> None:
    """It lacks fields that were added since, so its digest is that of its bytes and not of what is parsed from them."""
    steps = build_steps(source)
    steps.plan()
    staging = tmp_path / f"out/.deepsynth-{steps.settings['plan']['digest']}"
    plan = json.loads((staging / "plan/plan.json").read_bytes())
    for part, names in {
        "": ("columns", "skippedFiles", "undrawable"),
        "filters": ("undrawable",),
        "look.page": ("whitespace",),
    }.items():
        holder = plan
        for key in filter(None, part.split(".")):
            holder = holder[key]
        for name in names:
            holder.pop(name, None)
    content = json.dumps(plan, indent=1).encode()
    (staging / "plan/plan.json").write_bytes(content)
    digest = hashlib.sha256(content).hexdigest()
    staging.rename(staging.with_name(f".deepsynth-{digest}"))
    steps.settings["plan"]["digest"] = digest
    steps.render_all()
    steps.succeed("publish")
    assert len(read_documents(tmp_path / "out")) == 55
