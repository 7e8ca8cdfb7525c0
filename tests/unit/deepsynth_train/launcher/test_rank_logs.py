from pathlib import Path

from deepsynth_train.launcher.rank_logs import MAX_KEPT_BYTES, read_ends


def write(folder: Path, name: str, text: str) -> None:
    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(text)


def test_without_a_start_there_are_no_logs(tmp_path: Path) -> None:
    assert read_ends(tmp_path / "missing") == {}


def test_a_long_log_is_kept_from_the_beginning_of_a_line(tmp_path: Path) -> None:
    lines = [f"{number:05} é" for number in range(9000)]
    write(tmp_path, "run_a/attempt_0/0/stdout.log", "\n".join(lines) + "\n")
    write(tmp_path, "run_a/attempt_0/0/stderr.log", "a warning\n")

    kept = read_ends(tmp_path)[0]

    assert len(kept.encode()) <= MAX_KEPT_BYTES
    first, *_, last, warning = kept.splitlines()
    assert first in lines[1:]
    assert (last, warning) == (lines[-1], "a warning")


def test_only_the_last_start_of_the_workers_is_read(tmp_path: Path) -> None:
    write(tmp_path, "run_a/attempt_0/0/stdout.log", "first\n")
    write(tmp_path, "run_b/attempt_0/0/stdout.log", "second\n")
    assert read_ends(tmp_path) == {0: "second\n"}
