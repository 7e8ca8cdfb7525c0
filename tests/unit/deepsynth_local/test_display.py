import io
from datetime import UTC, datetime
from typing import Any

from rich.console import Console

from deepsynth_local.display import LiveTable, PlainLines, build_display, build_tables
from deepsynth_simulator.memory_cluster import RecordedEvent
from deepsynth_simulator.object_store import ObjectKey

NOW = datetime(2026, 1, 2, 12, 0, tzinfo=UTC)
EVENT = RecordedEvent(NOW, ObjectKey("TrainingRun", "default", "read"), "Warning", "AttemptFailed", "rank 1 [killed]")


def build_run(percentage: int, **status: Any) -> dict[str, Any]:
    summary = {"progress": f"{percentage}%", "step": f"{percentage}/100", "loss": "1.83", "eta": "2h5m"}
    progress = {"percentage": percentage}
    found = {"state": "Running", "restarts": 0, "summary": summary, "progress": progress, **status}
    return {"kind": "TrainingRun", "metadata": {"name": "read"}, "status": found}


def draw(width: int, *resources: dict[str, Any]) -> str:
    console = Console(file=io.StringIO(), width=width)
    console.print(build_tables(resources, NOW, width))
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_the_table_has_kubectls_columns_and_a_bar_as_long_as_the_progress() -> None:
    half, whole = draw(120, build_run(50)), draw(120, build_run(100))

    assert half.splitlines()[0].split() == [
        "NAME",
        "STATE",
        "PROGRESS",
        "STEP",
        "LOSS",
        "ETA",
        "CHECKPOINT",
        "RESTARTS",
    ]
    assert half.splitlines()[1].split()[:3] == ["read", "Running", "50%"]
    assert 0 < half.count("\u2501") < whole.count("\u2501")


def test_a_narrow_terminal_gets_the_bar_on_a_line_of_its_own() -> None:
    lines = draw(64, build_run(50)).splitlines()

    assert "\u2501" not in lines[1]
    assert "\u2501" in lines[2]
    assert max(map(len, lines)) <= 64


def test_what_a_resource_waits_for_is_below_the_table() -> None:
    waiting = {"type": "Complete", "status": "False", "message": "dataset xsum is Planning"}
    text = draw(100, build_run(0, state="WaitingForDataset", conditions=[waiting]))

    assert "read: dataset xsum is Planning" in text


def test_plain_lines_are_printed_for_changes_and_every_ten_percent() -> None:
    console = Console(file=io.StringIO(), width=40)
    display = build_display(console)
    assert isinstance(display, PlainLines)
    with display:
        for percentage in (1, 2, 9, 10, 11, 35):
            display.show([build_run(percentage)], NOW)
        display.show([build_run(35, state="Restarting", restarts=1)], NOW)
        display.show_event(EVENT)

    assert isinstance(console.file, io.StringIO)
    lines = console.file.getvalue().splitlines()
    assert lines[0] == "12:00:00 trainingrun/read: Running, 1%, step 1/100, loss 1.83, eta 2h5m"
    assert [line.split(", ")[1] for line in lines[:3]] == ["1%", "10%", "35%"]
    assert "restarts 1" in lines[3]
    assert lines[4] == "12:00:00 trainingrun/read: AttemptFailed: rank 1 [killed]"


def test_a_terminal_gets_a_table_that_is_redrawn_with_events_above_it() -> None:
    console = Console(file=io.StringIO(), width=100, force_terminal=True)
    display = build_display(console)
    assert isinstance(display, LiveTable)
    with display:
        display.show([build_run(10)], NOW)
        display.show_event(EVENT)
        display.show_message("stopping [now]")
        display.show([build_run(20)], NOW)

    assert isinstance(console.file, io.StringIO)
    text = console.file.getvalue()
    assert "AttemptFailed: rank 1 [killed]" in text
    assert "stopping [now]" in text
    assert text.rindex("20%") > text.rindex("10%")
