"""Conditions keep their transition times; presets and times are what the API says."""

import pickle
from datetime import UTC, datetime, timedelta

import pytest

from deepsynth_api.conditions import ConditionType, build_condition, find_condition, is_true, set_condition
from deepsynth_api.errors import DataError
from deepsynth_api.labels import build_labels
from deepsynth_api.presets import PRESETS, resolve_source
from deepsynth_api.v1alpha1 import Condition, DatasetGeneration, Source

NOW = datetime(2026, 1, 2, 3, 4, 5, 600000, tzinfo=UTC)


def complete(status: bool | None, minutes: int, reason: str = "Because") -> Condition:
    when = NOW + timedelta(minutes=minutes)
    return build_condition(ConditionType.COMPLETE, status, reason, "", now=when, generation=3)


def test_the_transition_time_stays_while_the_status_stays() -> None:
    conditions = set_condition([complete(False, 0)], complete(False, 5, "Later"))
    assert [(c.reason, c.last_transition_time) for c in conditions] == [("Later", NOW)]


def test_the_transition_time_moves_with_the_status() -> None:
    conditions = set_condition([complete(None, 0)], complete(True, 5))
    assert conditions[0].last_transition_time == NOW + timedelta(minutes=5)
    assert is_true(conditions, ConditionType.COMPLETE)


def test_a_condition_that_was_never_set_is_neither_there_nor_true() -> None:
    assert find_condition([], ConditionType.FAILED) is None
    assert not is_true([complete(False, 0)], ConditionType.COMPLETE)


def test_times_are_written_as_kubernetes_writes_them() -> None:
    assert complete(True, 0).to_dict()["lastTransitionTime"] == "2026-01-02T03:04:05Z"


def test_every_preset_says_where_its_text_and_summary_are() -> None:
    for name, source in PRESETS.items():
        assert source.columns.text, name
        assert source.columns.summary, name


def test_exactly_one_of_preset_and_source_is_taken() -> None:
    source = Source(uri="docstrings://")
    assert resolve_source(None, source) is source
    assert resolve_source("xsum", None).uri == "hf://datasets/EdinburghNLP/xsum"
    with pytest.raises(ValueError, match="exactly one of preset and source"):
        resolve_source("xsum", source)


def test_only_queue_labels_are_carried_to_children() -> None:
    generation = DatasetGeneration.model_validate(
        {
            "metadata": {"name": "x", "uid": "u1", "labels": {"kueue.x-k8s.io/queue-name": "gpu", "team": "a"}},
            "spec": {"preset": "xsum", "output": {"uri": "file:///x"}},
        }
    )
    labels = build_labels(generation, "plan")
    assert labels["kueue.x-k8s.io/queue-name"] == "gpu"
    assert labels["deepsynth.io/owner-uid"] == "u1"
    assert "team" not in labels


def test_an_error_keeps_its_reason_across_processes() -> None:
    error = pickle.loads(pickle.dumps(DataError("no rows in a.parquet", reason="EmptyDataset")))  # noqa: S301 - our own
    assert (type(error), error.message, error.reason, error.exit_code) == (
        DataError,
        "no rows in a.parquet",
        "EmptyDataset",
        65,
    )
