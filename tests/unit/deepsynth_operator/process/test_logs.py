"""Log lines: text and JSON, each with the resource of its own task."""

import asyncio
import json
import logging

import pytest

from deepsynth_api.logs import JsonFormatter
from deepsynth_operator.controller.controller import current_resource
from deepsynth_operator.core.resource_key import ResourceKey
from deepsynth_operator.process.logs import TextFormatter, configure_logs, find_resource

KEY = ResourceKey("TrainingRun", "team-a", "read-xsum")


def format_line(formatter: logging.Formatter, *, error: Exception | None = None) -> str:
    """A line that is logged while KEY is being reconciled."""
    trace = (type(error), error, None) if error is not None else None
    record = logging.LogRecord(
        "deepsynth_operator.controller.work_queue", logging.WARNING, "f", 1, "tried %d times", (3,), trace
    )
    lines: list[str] = []

    async def main() -> None:
        current_resource.set(KEY)
        lines.append(formatter.format(record))

    asyncio.run(main())
    return lines[0]


def test_a_text_line_names_the_resource() -> None:
    line = format_line(TextFormatter())
    assert line.endswith("Z WARNING TrainingRun team-a/read-xsum: tried 3 times")


def test_a_json_line_has_the_resource_in_fields() -> None:
    line = json.loads(format_line(JsonFormatter(find_resource), error=ValueError("no")))
    assert line["kind"] == "TrainingRun"
    assert (line["namespace"], line["name"]) == ("team-a", "read-xsum")
    assert (line["level"], line["logger"]) == ("warning", "deepsynth_operator.controller.work_queue")
    assert line["message"].startswith("tried 3 times\n")
    assert "ValueError: no" in line["message"]


HOSTILE = "a\nERROR forged\r\x1b[2J\x9b31m\u2028\u202e\x00 \U000e0001 \u00e9\U0001f600"


@pytest.mark.parametrize("formatter", [TextFormatter(), JsonFormatter(find_resource)])
def test_text_of_a_pod_is_one_line_without_control_characters(formatter: logging.Formatter) -> None:
    line = format_line(formatter, error=ValueError(HOSTILE))
    assert len(line.splitlines()) == 1
    assert line.isprintable()
    assert "\u00e9\U0001f600" in line


def test_a_json_line_keeps_every_character() -> None:
    assert HOSTILE in json.loads(format_line(JsonFormatter(find_resource), error=ValueError(HOSTILE)))["message"]


def test_a_text_line_shows_control_characters_as_escapes() -> None:
    line = format_line(TextFormatter(), error=ValueError(HOSTILE))
    assert r"a\nERROR forged\r\x1b[2J\x9b31m\u2028\u202e\x00" in line


def test_concurrent_reconciles_log_their_own_resource(
    restored_logging: None, capsys: pytest.CaptureFixture[str]
) -> None:
    async def work(name: str) -> None:
        current_resource.set(ResourceKey("TrainingRun", "a", name))
        await asyncio.sleep(0)
        logging.getLogger("x").info("working on %s", name)

    async def main() -> None:
        await asyncio.gather(*(work(f"r{number}") for number in range(3)))
        logging.getLogger("x").info("about no resource")

    configure_logs("json", "info")
    asyncio.run(main())
    lines = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    assert [(line.get("name"), line["message"]) for line in lines] == [
        ("r0", "working on r0"),
        ("r1", "working on r1"),
        ("r2", "working on r2"),
        (None, "about no resource"),
    ]


def test_no_line_is_written_for_every_probe(restored_logging: None, capsys: pytest.CaptureFixture[str]) -> None:
    configure_logs("text", "debug")
    logging.getLogger("aiohttp.access").info("GET /healthz")
    assert capsys.readouterr().err == ""
