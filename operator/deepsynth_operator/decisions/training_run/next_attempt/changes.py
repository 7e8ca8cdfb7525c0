"""A run can continue: what changed in its spec since the last attempt, and whether a finished run goes back to work.

status.settings is what the last attempt was made from or, before the first one, what the run was accepted with. It is
compared with spec when an attempt starts, and when a finished run has a new generation of its spec:

    Complete   continues when the number of steps or early stopping has changed; other changes wait for that
    Failed     continues when any setting has changed: it may be what the run failed of

What changed is recorded in status.history. Attempts before a continuation no longer count as failures.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from deepsynth_api.conditions import ConditionType, is_true
from deepsynth_api.crd.change_rules import SETTINGS_THAT_MAY_CHANGE
from deepsynth_api.v1alpha1 import TrainingRun, TrainingRunStatus
from deepsynth_api.v1alpha1.training_run import TrainingRunSpec
from deepsynth_api.v1alpha1.training_run_status import HistoryEntry, Setting, SettingChange
from deepsynth_operator.decisions.shared.numbers import compute_percentage

MAX_KEPT_CHANGES: Final = 10
MAX_CHANGED_FIELDS: Final = 20
MAX_SETTING_BYTES: Final = 512
MAX_SHOWN_CHARACTERS: Final = 64
_LIMITS: Final = ("activeDeadlineSeconds", "backoffLimit", "elastic", "startTimeoutSeconds")
"""These may change at any time. A run that failed because of one of them continues when it is changed."""
_QUANTITIES: Final = frozenset({"resourcesPerNode", "cache"})
_GOALS: Final = ("maxSteps", "epochs", "evaluation.earlyStopping")


def list_settings(spec: TrainingRunSpec) -> list[Setting]:
    """The settings of `spec` that may change, without those that have their default, by name."""
    fields: dict[str, Any] = spec.model_dump(mode="json", by_alias=True, exclude_none=True, exclude_defaults=True)
    fields.get("checkpoint", {}).pop("uri", None)
    names = sorted({*SETTINGS_THAT_MAY_CHANGE, *_LIMITS} & fields.keys())
    values = {name: _normalise(fields[name]) if name in _QUANTITIES else fields[name] for name in names}
    return [Setting(name=name, value=_format(value)) for name, value in values.items() if value != {}]


def find_continuation(run: TrainingRun) -> list[SettingChange]:
    """What makes a finished run continue; empty if it stays finished."""
    status = run.status
    if run.metadata.generation == status.observed_generation:
        return []
    changes = _find_changes(status, run.spec)
    if is_true(status.conditions, ConditionType.FAILED):
        return changes
    return changes if any(change.field.startswith(_GOALS) for change in changes) else []


def continue_run(run: TrainingRun, changes: Sequence[SettingChange], now: datetime) -> TrainingRunStatus:
    """The status of a finished run that goes back to work. Its conditions are those of before."""
    status, progress = run.status, run.status.progress
    if progress is not None:
        total = run.spec.max_steps or progress.total_steps
        share = compute_percentage(progress.step, total)
        progress = progress.updated(total_steps=total, percentage=share, phase="", estimated_completion_time=None)
    state = "Failed" if is_true(status.conditions, ConditionType.FAILED) else "Complete"
    status = _record(status, run.spec, changes, now, state=state)
    return status.updated(
        completion_time=None,
        continued_time=now,
        output=None,
        progress=progress,
        failures=0,
        attempts_without_progress=0,
    )


def note_changes(status: TrainingRunStatus, spec: TrainingRunSpec, now: datetime) -> TrainingRunStatus:
    """`status` of a run whose next attempt starts with `spec`, with what is new in it."""
    changes = _find_changes(status, spec) if status.settings and status.attempts else []
    return _record(status, spec, changes, now) if changes else status.updated(settings=list_settings(spec))


def wants_more(status: TrainingRunStatus, spec: TrainingRunSpec) -> bool:
    """Whether the last attempt, which succeeded, was made for another number of steps than `spec` asks for now."""
    changes = _find_changes(status, spec) if status.settings else []
    return any(change.field.startswith(_GOALS) for change in changes)


def has_new_settings(status: TrainingRunStatus, spec: TrainingRunSpec) -> bool:
    """Whether an attempt that starts now would be made of other settings than the last one, limits aside."""
    changes = _find_changes(status, spec) if status.settings else []
    return any(change.field.split(".")[0] not in _LIMITS for change in changes)


def get_first_attempt(status: TrainingRunStatus) -> int:
    """Number of the first attempt since the run was accepted or, if it was finished and continued, since then."""
    return next((entry.attempt for entry in reversed(status.history) if entry.state), 1)


def forget_earlier(status: TrainingRunStatus) -> TrainingRunStatus:
    """`status` with the attempts of before the run continued removed, for policies that judge failures."""
    first = get_first_attempt(status)
    return status if first == 1 else status.updated(attempts=[item for item in status.attempts if item.number >= first])


def describe_change(entry: HistoryEntry) -> str:
    """One line, such as `attempt 3 continues at step 10: maxSteps 10 -> 20`."""
    changes = ", ".join(f"{item.field} {item.before or 'unset'} -> {item.after or 'unset'}" for item in entry.changes)
    return f"attempt {entry.attempt} {'continues' if entry.state else 'is made'} at step {entry.step}: {changes}"


def _record(
    status: TrainingRunStatus, spec: TrainingRunSpec, changes: Sequence[SettingChange], now: datetime, state: str = ""
) -> TrainingRunStatus:
    number = status.attempts[-1].number + 1 if status.attempts else 1
    entry = HistoryEntry(
        time=now, step=status.saved_step, attempt=number, state=state, changes=list(changes[:MAX_CHANGED_FIELDS])
    )
    return status.updated(settings=list_settings(spec), history=[*status.history, entry][-MAX_KEPT_CHANGES:])


def _find_changes(status: TrainingRunStatus, spec: TrainingRunSpec) -> list[SettingChange]:
    """Field by field. Of a run that an earlier version of the operator finished, only more steps are known."""
    if not status.settings:
        total = status.progress.total_steps if status.progress is not None else 0
        if spec.max_steps is None or not 0 < total < spec.max_steps:
            return []
        return [SettingChange(field="maxSteps", before=str(total), after=str(spec.max_steps))]
    old = {setting.name: setting.value for setting in status.settings}
    new = {setting.name: setting.value for setting in list_settings(spec)}
    return [
        change
        for name in sorted(old.keys() | new.keys())
        if old.get(name) != new.get(name)
        for change in _compare(name, _parse(old.get(name)), _parse(new.get(name)))
    ]


def _compare(field: str, old: Any, new: Any) -> list[SettingChange]:
    """The leaves that differ."""
    if isinstance(old, Mapping | None) and isinstance(new, Mapping | None) and (old, new) != (None, None):
        before, after = old or {}, new or {}
        keys = [key for key in sorted(before.keys() | after.keys()) if before.get(key) != after.get(key)]
        return [change for key in keys for change in _compare(f"{field}.{key}", before.get(key), after.get(key))]
    return [SettingChange(field=field[:128], before=_shorten(old), after=_shorten(new))]


def _shorten(value: Any) -> str:
    text = "" if value is None else value if isinstance(value, str) else _dump(value)
    return text if len(text) <= MAX_SHOWN_CHARACTERS else f"{text[: MAX_SHOWN_CHARACTERS - 3]}..."


def _format(value: Any) -> str:
    text = _dump(value)
    if len(text.encode()) + 5 * sum(map(text.count, "<>&")) <= MAX_SETTING_BYTES:
        return text
    return _dump(f"sha256:{hashlib.sha256(text.encode()).hexdigest()[:16]}")


def _parse(value: str | None) -> Any:
    return None if value is None else json.loads(value)


def _normalise(value: Any) -> Any:
    """Quantities 8 and "8" are equal."""
    if isinstance(value, Mapping):
        return {key: _normalise(item) for key, item in value.items()}
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


def _dump(value: Any) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
