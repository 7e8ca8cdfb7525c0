from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from deepsynth_client.tables import build_table, format_age, format_table

NOW = datetime(2026, 1, 2, 12, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (-5, "<invalid>"),
        (-1, "0s"),
        (119, "119s"),
        (200, "3m20s"),
        (300, "5m"),
        (93 * 60, "93m"),
        (7500, "125m"),
        (18300, "5h5m"),
        (20 * 3600, "20h"),
        (76 * 3600, "3d4h"),
        (30 * 86400, "30d"),
        (800 * 86400, "2y70d"),
        (4000 * 86400, "10y"),
    ],
)
def test_an_age_reads_as_in_kubectl(seconds: int, text: str) -> None:
    assert format_age(seconds) == text


def build_run(name: str, **status: Any) -> dict[str, Any]:
    created = (NOW - timedelta(minutes=93)).strftime("%Y-%m-%dT%H:%M:%SZ")
    metadata = {"name": name, "namespace": "default", "creationTimestamp": created}
    return {"apiVersion": "deepsynth.io/v1alpha1", "kind": "TrainingRun", "metadata": metadata, "status": status}


def test_a_table_is_aligned_as_by_kubectl() -> None:
    summary = {"progress": "42%", "step": "1260/3000", "loss": "1.83", "eta": "2h5m", "checkpoint": "1200"}
    run = build_run("read-xsum", state="Running", restarts=1, summary=summary)

    table = format_table(build_table("TrainingRun", [run], NOW))

    assert table == (
        "NAME        STATE     PROGRESS   STEP        LOSS   ETA    CHECKPOINT   RESTARTS   AGE\n"
        "read-xsum   Running   42%        1260/3000   1.83   2h5m   1200         1          93m"
    )


def test_the_wide_table_adds_the_columns_of_lower_priority_and_leaves_unknown_cells_empty() -> None:
    header, row = build_table("TrainingRun", [build_run("a")], NOW, wide=True)

    assert header[-5:] == ["NODES", "DATASET", "SAMPLES/S", "MODEL", "REASON"]
    assert header[-6] == "BEST"
    assert row == ["a", *[""] * 7, "93m", *[""] * 6]
