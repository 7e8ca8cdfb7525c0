"""Real files: formats, compressions, configurations and columns, from the source to the published dataset."""

import bz2
import gzip
import json
import lzma
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from integration.render_pipeline.render_steps import Steps, build_rows, dropped, read_documents, read_pages, write_jsonl

Build = Callable[..., Steps]


def to_lines(rows: Sequence[dict[str, Any]]) -> bytes:
    return "".join(json.dumps(row) + "\n" for row in rows).encode()


def to_table(rows: Sequence[dict[str, Any]], delimiter: str) -> bytes:
    quoted = [[f'"{row[name]}"' for name in ("text", "summary")] for row in rows]
    return "".join(delimiter.join(fields) + "\n" for fields in [["text", "summary"], *quoted]).encode()


def pack_zstd(content: bytes) -> bytes:
    """As two frames, which `cat a.zst b.zst` makes."""
    half = len(content) // 2
    return b"".join(pa.compress(part, "zstd", asbytes=True) for part in (content[:half], content[half:]))


def pack_gzip(content: bytes) -> bytes:
    half = len(content) // 2
    return gzip.compress(content[:half]) + gzip.compress(content[half:])


FILES: dict[str, Callable[[list[dict[str, str]]], bytes]] = {
    "train.json": lambda rows: json.dumps(rows, indent=1).encode(),
    "lines.json": to_lines,
    "train.ndjson": to_lines,
    "TRAIN.JSONL": to_lines,
    "train.jsonl.gz": lambda rows: pack_gzip(to_lines(rows)),
    "train.jsonl.zst": lambda rows: pack_zstd(to_lines(rows)),
    "train.json.ZST": lambda rows: pack_zstd(json.dumps({"version": 2, "rows": rows}).encode()),
    "train.csv.bz2": lambda rows: bz2.compress(to_table(rows, ",")),
    "train.TSV": lambda rows: to_table(rows, "\t"),
}


@pytest.mark.parametrize("name", FILES)
def test_files_of_all_formats_hold_the_same_rows(build_steps: Build, tmp_path: Path, name: str) -> None:
    rows = [{**row, "text": row["text"].replace("\n", " ")} for row in build_rows(300)]
    (tmp_path / "source").mkdir()
    (tmp_path / "source" / name).write_bytes(FILES[name](rows))
    report = build_steps(tmp_path / "source").plan().plan
    assert report is not None
    assert [(split.name, split.rows) for split in report.splits] == [("train", 300)]
    assert [(read.text, read.summary, read.rows) for read in report.columns] == [("text", "summary", 300)]


@pytest.mark.parametrize("suffix", ["gz", "zst", "bz2", "xz"])
@pytest.mark.parametrize("damage", ["cut", "other", "flipped"])
def test_a_damaged_compressed_file_is_named(build_steps: Build, tmp_path: Path, suffix: str, damage: str) -> None:
    packs: dict[str, Callable[[bytes], bytes]] = {
        "gz": pack_gzip,
        "zst": pack_zstd,
        "bz2": bz2.compress,
        "xz": lzma.compress,
    }
    content = packs[suffix](to_lines(build_rows(500)))
    half = len(content) // 2
    flipped = content[:half] + bytes([content[half] ^ 255]) + content[half + 1 :]
    (tmp_path / "source").mkdir()
    path = tmp_path / f"source/train.jsonl.{suffix}"
    path.write_bytes({"cut": content[:half], "other": b"not compressed at all" * 9, "flipped": flipped}[damage])
    message = build_steps(tmp_path / "source").fail("plan", 65)
    assert f"train.jsonl.{suffix} of file://" in message


def test_a_dataset_of_chats_is_rendered(build_steps: Build, tmp_path: Path) -> None:
    rows = build_rows(3)
    chats = [
        {
            "messages": [
                {"role": "system", "content": "Summarise."},
                {"role": "user", "content": row["text"]},
                {"role": "assistant", "content": row["summary"]},
            ]
        }
        for row in rows
    ]
    write_jsonl(tmp_path / "source/train.jsonl", [*chats, {"messages": []}])
    steps = build_steps(tmp_path / "source")
    report = steps.plan()
    assert dropped(report) == {"MissingText": 1}
    steps.render_all()
    steps.succeed("publish")
    assert set(read_documents(tmp_path / "out").values()) == {row["text"] for row in rows}
    assert {page["summary"] for page in read_pages(tmp_path / "out")} == {row["summary"] for row in rows}


def test_columns_and_files_that_were_not_read_are_in_the_report_the_manifest_and_the_card(
    build_steps: Build, tmp_path: Path
) -> None:
    source = tmp_path / "source"
    rows = [{"article": row["text"], "abstract": row["summary"]} for row in build_rows(4)]
    write_jsonl(source / "train.jsonl", rows[:2])
    write_jsonl(source / "train-2.jsonl", rows[2:])
    (source / "train.csv").write_text("article,abstract\n")
    (source / "LICENSE").write_text("free")
    steps = build_steps({"uri": f"file://{source}", "maxRowsPerSplit": 2})
    report = steps.plan().plan
    assert report is not None
    assert [(read.text, read.summary, read.rows) for read in report.columns] == [("article", "abstract", 2)]
    skipped = {entry.reason: (entry.files, entry.examples) for entry in report.skipped_files}
    assert skipped == {
        "BehindRowLimit": (1, ["train.jsonl"]),
        "OtherFormat": (1, ["train.csv"]),
        "UnknownFormat": (1, ["LICENSE"]),
    }
    steps.render_all()
    steps.succeed("publish")
    manifest = json.loads((tmp_path / "out/deepsynth/manifest.json").read_bytes())
    assert manifest["columns"] == [{"text": "article", "summary": "abstract", "rows": 2}]
    assert [entry["reason"] for entry in manifest["skippedFiles"]] == list(skipped)
    card = (tmp_path / "out/README.md").read_text()
    assert "Read from 2 rows: `text` from the column `article`, `summary` from `abstract`" in card
    assert "| OtherFormat | 1 | `train.csv` |" in card


def test_a_guess_that_another_split_contradicts_is_refused(build_steps: Build, tmp_path: Path) -> None:
    rows = build_rows(4)
    write_jsonl(tmp_path / "source/train.jsonl", rows)
    (tmp_path / "source/test.csv").write_text(f'text,title\n"{rows[0]["text"]}",The title of it\n')
    message = build_steps(tmp_path / "source").fail("plan", 64)
    assert "spec.source.columns.summary: train.jsonl" in message
    assert "'title' was read before (in test.csv" in message
    build_steps({"uri": f"file://{tmp_path}/source", "splits": ["train"]}).plan()


@pytest.mark.parametrize(
    ("card", "allowed", "code"),
    [
        ("license: mit", ["MIT", "apache-2.0"], 0),
        ("license: [mit, cc-by-4.0]", ["mit", "cc-by-4.0"], 0),
        ("license: [mit, cc-by-nc-4.0]", ["mit"], 64),
        ("language: en", ["mit"], 64),
        ("license: cc-by-nc-4.0", [], 0),
    ],
)
def test_a_source_without_one_of_the_required_licenses_is_refused(
    build_steps: Build, tmp_path: Path, card: str, allowed: list[str], code: int
) -> None:
    write_jsonl(tmp_path / "source/train.jsonl", build_rows(3))
    (tmp_path / "source/README.md").write_text(f"---\n{card}\n---\n")
    steps = build_steps({"uri": f"file://{tmp_path}/source", "requireLicense": allowed})
    if code == 0:
        steps.plan()
    else:
        assert "spec.source.requireLicense: must be one of mit" in steps.fail("plan", code)


def test_a_folder_may_have_several_configurations(build_steps: Build, tmp_path: Path) -> None:
    for name, first in (("de", 0), ("fr", 100)):
        write_jsonl(tmp_path / f"source/{name}/train.jsonl", build_rows(3, first))
    (tmp_path / "source/README.md").write_text(
        "---\nlanguage: [de, fr]\nconfigs:\n- {config_name: de, data_dir: de}\n- {config_name: fr, data_dir: fr}\n---\n"
    )
    assert "choose one" in build_steps(tmp_path / "source").fail("plan", 64)
    build_steps({"uri": f"file://{tmp_path}/source", "config": "fr"}).run_all()
    pages = read_pages(tmp_path / "out")
    assert {page["language"] for page in pages} == {"fr"}
    assert {page["summary"] for page in pages} == {row["summary"] for row in build_rows(3, 100)}


def test_hundreds_of_splits_may_be_listed(build_steps: Build, tmp_path: Path) -> None:
    lines = []
    for number, row in enumerate(build_rows(250)):
        write_jsonl(tmp_path / f"source/part-{number}.jsonl", [row])
        lines.append(f"  - {{split: s{number}, path: part-{number}.jsonl}}")
    text = "\n".join(lines)
    (tmp_path / "source/README.md").write_text(f"---\nconfigs:\n- config_name: default\n  data_files:\n{text}\n---\n")
    splits = [f"s{number}" for number in range(0, 250, 2)]
    report = build_steps({"uri": f"file://{tmp_path}/source", "splits": splits}).plan().plan
    assert report is not None
    assert sum(split.rows for split in report.splits) == len(splits)
    assert [(entry.reason, entry.files) for entry in report.skipped_files] == [("OtherSplit", 125)]
