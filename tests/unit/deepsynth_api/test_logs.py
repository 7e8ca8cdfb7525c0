"""Log lines of workloads and commands: with JSON, all that is printed becomes one object per line."""

import json
import logging
import math
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from typing import Any

import pytest

from deepsynth_api.errors import ConfigurationError
from deepsynth_api.logs import FIELDS, configure_logs, parse_record, read_log_format

HOSTILE = 'a\n{"time": 1} forged\r\x1b[2J\x9b31m\u2028\u202e\x00 \U000e0001 \u00e9'

pytestmark = pytest.mark.usefixtures("restored_logging")


def log_json() -> None:
    configure_logs(logging.Formatter(), log_format="json", own="ours", fields=lambda: {"rank": 3})


def read_records(text: str) -> list[dict[str, Any]]:
    assert all(line.isprintable() for line in text.split("\n"))
    return [json.loads(line, parse_constant=pytest.fail) for line in text.split("\n") if line]


def test_a_record_is_one_line_for_any_text(capsys: pytest.CaptureFixture[str]) -> None:
    log_json()
    logging.getLogger("ours").info(HOSTILE, extra={FIELDS: {"step": "plan"}})
    [record] = read_records(capsys.readouterr().out)
    assert record.pop("time").endswith("Z")
    assert record == {"level": "info", "logger": "ours", "rank": 3, "step": "plan", "message": HOSTILE}


def test_an_exception_is_inside_its_record(capsys: pytest.CaptureFixture[str]) -> None:
    log_json()
    try:
        int(HOSTILE)
    except ValueError:
        logging.getLogger("ours").exception("it failed")
    [record] = read_records(capsys.readouterr().out)
    assert record["message"].startswith("it failed\nTraceback (most recent call last):")
    assert f"ValueError: invalid literal for int() with base 10: {HOSTILE!r}" in record["message"]


def test_what_anything_else_prints_becomes_records_line_by_line(capsys: pytest.CaptureFixture[str]) -> None:
    log_json()
    print("two\nlines", end=" and")
    print(" a half")
    print("an error", file=sys.stderr)
    print(json.dumps({"time": "t", "message": "a record already\x9b", "rank": 0}))
    shown = capsys.readouterr()
    records = read_records(shown.out)
    assert [record["message"] for record in records] == ["two", "lines and a half", "a record already\x9b"]
    assert [record["rank"] for record in records] == [3, 3, 0]
    assert [(record["level"], record["message"]) for record in read_records(shown.err)] == [("warning", "an error")]


@pytest.mark.parametrize("number", ["NaN", "-Infinity", "1e999"])
def test_a_number_that_json_does_not_have_leaves_a_printed_line_as_text(
    number: str, capsys: pytest.CaptureFixture[str]
) -> None:
    log_json()
    line = f'{{"time": "t", "message": "step", "loss": {number}}}'
    print(line)
    [record] = read_records(capsys.readouterr().out)
    assert (record["logger"], record["message"]) == ("output", line)


def test_a_field_that_json_does_not_have_becomes_text(capsys: pytest.CaptureFixture[str]) -> None:
    log_json()
    logging.getLogger("ours").info("step", extra={FIELDS: {"loss": math.nan}})
    [record] = read_records(capsys.readouterr().out)
    assert (record["message"], record["loss"]) == ("step", "nan")


def run_in_a_thread(target: Callable[[], object]) -> None:
    thread = threading.Thread(target=target, name="loader")
    thread.start()
    thread.join()


def test_an_error_that_ends_a_thread_is_one_record(capsys: pytest.CaptureFixture[str]) -> None:
    log_json()
    run_in_a_thread(lambda: 1 // 0)
    run_in_a_thread(lambda: sys.exit(1))
    shown = capsys.readouterr()
    [record] = read_records(shown.out)
    assert shown.err == ""
    assert record["message"].startswith("thread loader ends with an error\nTraceback")
    assert record["message"].endswith("ZeroDivisionError: integer division or modulo by zero")


def test_what_a_thread_left_unfinished_is_written_when_it_has_ended(capsys: pytest.CaptureFixture[str]) -> None:
    log_json()
    print("half", end="")
    run_in_a_thread(lambda: print("all that it said", end=""))
    print(" a line")
    assert [record["message"] for record in read_records(capsys.readouterr().out)] == ["half a line"]
    sys.stdout.flush()
    assert [record["message"] for record in read_records(capsys.readouterr().out)] == ["all that it said"]


def test_a_library_may_write_bytes(capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    log_json()
    assert sys.stdout.encoding.lower() == "utf-8"
    sys.stdout.buffer.write(b"bytes\n")
    sys.stdout.flush()
    assert capfdbinary.readouterr().out == b"bytes\n"


def test_a_library_may_change_the_buffering_and_not_the_encoding(capsys: pytest.CaptureFixture[str]) -> None:
    log_json()
    stdout: Any = sys.stdout
    stdout.reconfigure(line_buffering=True, encoding="ascii", errors="strict")
    assert (stdout.stream.line_buffering, stdout.encoding) == (True, "utf-8")
    print("\u00e9")
    assert [record["message"] for record in read_records(capsys.readouterr().out)] == ["\u00e9"]


UNUSUAL = "\u00e9 \u65e5 \U0001f600 \udc80"
"""The last is half of a character: a byte of a file name that is no UTF-8."""


def run_in_ascii(log_format: str) -> subprocess.CompletedProcess[bytes]:
    program = (
        "import logging, sys; from deepsynth_api.logs import configure_logs;"
        f"configure_logs(logging.Formatter(), log_format={log_format!r});"
        f"print({UNUSUAL!a}); logging.info({UNUSUAL!a}); print({UNUSUAL!a}, file=sys.stderr)"
    )
    environment = {**os.environ, "PYTHONIOENCODING": "ascii"}
    return subprocess.run([sys.executable, "-c", program], capture_output=True, check=True, env=environment)


def test_json_is_utf_8_in_any_locale() -> None:
    ended = run_in_ascii("json")
    shown = read_records(ended.stdout.decode()) + read_records(ended.stderr.decode())
    assert [record["message"] for record in shown] == [UNUSUAL] * 3


def test_text_that_the_locale_lacks_is_escaped() -> None:
    ended = run_in_ascii("text")
    escaped = r"\xe9 \u65e5 \U0001f600 \udc80"
    assert (ended.stdout + ended.stderr).decode("ascii").splitlines() == [escaped] * 3


def test_libraries_are_heard_from_warnings_on(capsys: pytest.CaptureFixture[str]) -> None:
    log_json()
    logging.getLogger("httpx").info("HTTP Request")
    logging.getLogger("httpx").warning("careful")
    assert [record["message"] for record in read_records(capsys.readouterr().out)] == ["careful"]


def test_an_error_that_ends_the_process_is_one_record() -> None:
    program = (
        "import logging, sys; from deepsynth_api.logs import configure_logs;"
        "configure_logs(logging.Formatter(), log_format='json'); print('unfinished', end=''); sys.stdout.flush(); 1 / 0"
    )
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    first, second = read_records(ended.stdout)
    assert (ended.returncode, ended.stderr) == (1, "")
    assert first["message"] == "unfinished"
    assert second["level"] == "critical"
    assert "ZeroDivisionError: division by zero" in second["message"]


def test_text_is_the_default_and_an_unknown_format_is_refused() -> None:
    assert read_log_format({}) == "text"
    with pytest.raises(ConfigurationError, match="DEEPSYNTH_LOG_FORMAT: must be one of text, json, got 'xml'"):
        read_log_format({"DEEPSYNTH_LOG_FORMAT": "xml"})


@pytest.mark.parametrize(
    "line", ["rank 0: {}", "{", "[1]", '{"rank": 0}', "{" * 100_000, '{"time": "t", "message": "m", "loss": NaN}']
)
def test_only_an_object_with_time_and_message_is_a_record(line: str) -> None:
    assert parse_record(line) is None
