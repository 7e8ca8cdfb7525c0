import json
from pathlib import Path

import pytest

from deepsynth_client.report import results
from deepsynth_client.report.results import (
    MAX_PAGES,
    MAX_SAMPLES,
    WrittenSample,
    read_curves,
    read_sample_pages,
    read_written_samples,
)
from support.tenants.swapped_files import swap_before_open


def write_metrics(folder: Path, *lines: str) -> None:
    folder.mkdir()
    (folder / "metrics.jsonl").write_text("\n".join(lines))


def test_the_curves_are_those_of_the_newest_finished_checkpoint(tmp_path: Path) -> None:
    for name, loss in (("step-9", 2.0), ("step-10", 1.5), ("step-11.tmp-attempt-1", 1.0)):
        write_metrics(tmp_path / name, json.dumps({"step": 1, "loss": loss}))

    assert read_curves(tmp_path).loss == [(1.0, 1.5)]


def test_lines_that_are_not_measurements_are_skipped(tmp_path: Path) -> None:
    not_finite = json.dumps({"step": 1, "loss": float("nan")})
    write_metrics(tmp_path / "step-2", "not json", "[1]", not_finite, json.dumps({"step": 2, "loss": 3.0}))

    with (tmp_path / "step-2/metrics.jsonl").open("ab") as file:
        file.write(b"\n\xff not text\n\n")

    curves = read_curves(tmp_path)
    assert (curves.loss, curves.skipped, curves.damaged) == ([(2.0, 3.0)], {"loss": 1}, 3)


def test_the_evaluation_of_the_newest_checkpoint_is_part_of_its_curves(tmp_path: Path) -> None:
    write_metrics(tmp_path / "step-2", json.dumps({"step": 1, "validation_loss": 3.0}))
    path = tmp_path / "step-2/evaluation.json"
    path.write_text(json.dumps({"loss": 2.0, "line": {"step": 2, "validation_loss": 2.0}}))
    assert read_curves(tmp_path).validation_loss == [(1.0, 3.0), (2.0, 2.0)]
    with (tmp_path / "step-2/metrics.jsonl").open("a") as file:
        file.write('\n{"step": 2, "validation_loss": 2.0}')
    assert read_curves(tmp_path).validation_loss == [(1.0, 3.0), (2.0, 2.0)], "a line in both files counts once"
    write_metrics(tmp_path / "step-3", json.dumps({"step": 1, "validation_loss": 3.0}))
    path = tmp_path / "step-3/evaluation.json"
    for damaged in ("[", "[]", '{"line": 3}'):
        path.write_text(damaged)
        assert read_curves(tmp_path).validation_loss == [(1.0, 3.0)]


@pytest.mark.parametrize(
    "damage", [b"not parquet", b"PAR1" + bytes(20) + b"PAR1", b""], ids=["text", "footer", "empty"]
)
def test_a_damaged_dataset_gives_no_pages(tmp_path: Path, damage: bytes) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data/train-0.parquet").write_bytes(damage)

    assert read_sample_pages(tmp_path) == []


def test_a_dataset_with_other_columns_gives_no_pages(tmp_path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    (tmp_path / "data").mkdir()
    pq.write_table(pa.table({"text": ["a"], "image": [None]}), tmp_path / "data/train-0.parquet")

    assert read_sample_pages(tmp_path) == []


def test_a_folder_without_results_gives_neither_pages_nor_curves(tmp_path: Path) -> None:
    assert read_sample_pages(tmp_path / "nothing") == []
    assert read_curves(tmp_path / "nothing").loss == []


def write_written(folder: Path, step: int, **changes: object) -> None:
    entry = {"name": "row 1", "pages": ["pages/1-0.png"], "reference": "a", "written": "b", "cer": 1.0, **changes}
    (folder / "samples/pages").mkdir(parents=True, exist_ok=True)
    (folder / "samples/pages/1-0.png").write_bytes(b"PNG")
    (folder / f"samples/step-{step}.json").write_text(json.dumps({"step": step, "samples": [entry]}))


def test_the_samples_are_those_of_the_last_evaluation_with_their_pages(tmp_path: Path) -> None:
    write_written(tmp_path, 9)
    write_written(tmp_path, 10, written="c")
    assert read_written_samples(tmp_path) == [WrittenSample("row 1", 10, "a", "c", 1.0, [b"PNG"])]


def test_the_samples_of_the_published_step_are_shown_instead_of_the_last_ones(tmp_path: Path) -> None:
    write_written(tmp_path, 9)
    write_written(tmp_path, 10, written="c")
    assert [sample.step for sample in read_written_samples(tmp_path, 9)] == [9]
    assert [sample.step for sample in read_written_samples(tmp_path, 8)] == [10], "step 8 wrote none"


def test_samples_that_cannot_be_read_are_not_shown(tmp_path: Path) -> None:
    assert read_written_samples(tmp_path) == []
    write_written(tmp_path, 9, pages=["../../secret.png"])
    assert read_written_samples(tmp_path) == [], "the page is not in the folder of pages"
    (tmp_path / "samples/step-9.json").write_text("[]")
    assert read_written_samples(tmp_path) == []


@pytest.mark.parametrize(
    ("text", "shown"), [("\ud800", "\ufffd"), ("\udcff!", "\ufffd!"), ("\U0001f600", "\U0001f600")]
)
def test_half_of_a_character_in_a_sample_is_replaced(tmp_path: Path, text: str, shown: str) -> None:
    write_written(tmp_path, 9, name=text, reference=text, written=text)
    assert read_written_samples(tmp_path) == [WrittenSample(shown, 9, shown, shown, 1.0, [b"PNG"])]


DEEP = "[" * 100_000
HUGE = "1" * 400


def test_hostile_lines_of_metrics_are_skipped(tmp_path: Path) -> None:
    hostile = (DEEP, f'{{"step": 1, "loss": {HUGE}}}', f'{{"step": {HUGE}, "loss": 1.0}}', '{"step": 1, "loss": 1e301}')
    write_metrics(tmp_path / "step-2", *hostile, json.dumps({"step": 2, "loss": 3.0}))
    (tmp_path / "step-2/evaluation.json").write_text(DEEP)

    curves = read_curves(tmp_path)

    assert curves.loss == [(2.0, 3.0)]
    assert curves.describe_skipped() == [
        "metrics.jsonl: 3 values of loss not shown: it or its step is not finite or too large",
        "metrics.jsonl: 2 damaged lines not shown",
    ]


def test_nothing_is_reported_as_skipped_where_all_is_shown(tmp_path: Path) -> None:
    write_metrics(tmp_path / "step-2", json.dumps({"step": 1, "loss": 3.0, "learning_rate": None}), "")
    assert read_curves(tmp_path).describe_skipped() == []


@pytest.mark.parametrize("changes", [{"cer": int(HUGE)}, {"cer": "nan"}, {"cer": None}])
def test_samples_with_a_hostile_error_rate_are_not_shown(tmp_path: Path, changes: dict[str, object]) -> None:
    write_written(tmp_path, 9, **changes)
    assert read_written_samples(tmp_path) == []


@pytest.mark.parametrize("text", [DEEP, f'{{"step": {HUGE}, "samples": []}}', '{"step": 1e999, "samples": []}'])
def test_a_hostile_file_of_samples_is_not_shown(tmp_path: Path, text: str) -> None:
    write_written(tmp_path, 9)
    (tmp_path / "samples/step-9.json").write_text(text)
    assert read_written_samples(tmp_path) == []


def test_samples_and_pages_beyond_the_limits_are_counted(tmp_path: Path) -> None:
    write_written(tmp_path, 9, pages=["1-0.png"] * 2000)
    path = tmp_path / "samples/step-9.json"
    document = json.loads(path.read_text())
    path.write_text(json.dumps({**document, "samples": document["samples"] * 100}))

    samples = read_written_samples(tmp_path)

    assert (len(samples), {len(sample.pages) for sample in samples}) == (MAX_SAMPLES, {MAX_PAGES})
    assert samples[0].note == "1,984 more pages not shown"
    assert samples[-1].note == "1,984 more pages not shown; 36 more samples not shown"


def test_samples_have_a_limit_of_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_written(tmp_path, 9, pages=["1-0.png"] * 4)
    monkeypatch.setattr(results, "MAX_SAMPLE_BYTES", 8)

    (sample,) = read_written_samples(tmp_path)

    assert (sample.pages, sample.note) == ([b"PNG"] * 2, "2 more pages not shown")


def write_dataset(folder: Path, image: object, *, row_group_size: int = 1) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    (folder / "data").mkdir()
    row = {"text": "a", "summary": "b", "image": {"bytes": image}, "page": 0, "num_pages": 1}
    pq.write_table(pa.Table.from_pylist([row] * 4), folder / "data/train-0.parquet", row_group_size=row_group_size)


def test_only_row_groups_that_fit_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import pyarrow.parquet as pq

    write_dataset(tmp_path, b"PNG" * 1000)
    size = pq.read_metadata(tmp_path / "data/train-0.parquet").row_group(0).total_byte_size
    assert len(read_sample_pages(tmp_path)) == 4
    monkeypatch.setattr(results, "MAX_BYTES", 2 * size)
    assert len(read_sample_pages(tmp_path)) == 2
    monkeypatch.setattr(results, "MAX_BYTES", size - 1)
    assert read_sample_pages(tmp_path) == []


@pytest.mark.parametrize("image", [None, "text"])
def test_a_dataset_whose_images_are_not_bytes_gives_no_pages(tmp_path: Path, image: object) -> None:
    write_dataset(tmp_path, image)
    assert read_sample_pages(tmp_path) == []


@pytest.mark.parametrize("number", range(0, 90, 3))
@pytest.mark.parametrize("part", ["samples", "samples/pages", "samples/pages/1-0.png"])
def test_a_page_that_becomes_a_link_while_it_is_read_shows_nothing_else(tmp_path: Path, part: str, number: int) -> None:
    folder, secret = tmp_path / "run", tmp_path / "secret"
    write_written(folder, 9)
    write_written(secret, 9)
    (secret / "samples/pages/1-0.png").write_bytes(b"secret")

    def swap() -> None:
        (folder / part).rename(folder / "moved")
        (folder / part).symlink_to(secret / part)

    with swap_before_open(number, swap):
        samples = read_written_samples(folder)

    assert all(sample.pages == [b"PNG"] for sample in samples)
