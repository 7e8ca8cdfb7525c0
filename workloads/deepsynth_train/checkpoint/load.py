"""Find the newest checkpoint that verifies, and read it. Nothing in it is unpickled without restrictions."""

import json
from dataclasses import dataclass
from typing import Any

from deepsynth_api.errors import ConfigurationError
from deepsynth_api.reasons import Reason
from deepsynth_api.report import WARNING
from deepsynth_train.checkpoint.layout import METRICS_FILE, STATE_FILE, step_name
from deepsynth_train.checkpoint.manifest import BaseReference
from deepsynth_train.checkpoint.ranks import Ranks
from deepsynth_train.checkpoint.state.tensor_files import Damage
from deepsynth_train.checkpoint.state.trained import FrozenWeightChangedError, Trained
from deepsynth_train.checkpoint.stores import CheckpointStore, Good


@dataclass(frozen=True)
class Loaded:
    """What `load_latest` found. The tensors are not part of it: they were filled in place.

    metrics: the curve up to `step`, with the evaluation of `step` itself unless the run was killed before it ended.
    """

    step: int
    state: dict[str, Any]
    metrics: list[dict[str, Any]]


def find_newest_good(store: CheckpointStore, ranks: Ranks) -> tuple[Good | None, list[str]]:
    """The newest checkpoint that verifies, and a note for each damaged one that was skipped. Called by all ranks.

    A damaged checkpoint is put aside, so that no later attempt loads it.
    """
    notes: list[str] = []
    for step in ranks.share(store.files.list_steps() if ranks.is_first else None):
        found = store.verify(step, ranks)
        if isinstance(found, Good):
            return found, notes
        notes.append(f"{WARNING}{put_aside(store, step, found, ranks)}")
    return None, notes


def put_aside(store: CheckpointStore, step: int, damage: str, ranks: Ranks) -> str:
    """A note for users. Called by all ranks."""
    ranks.together(lambda: store.quarantine(step) if ranks.is_first else None)
    return f"skipped the damaged checkpoint {step_name(step)}: {damage}"


def read_checkpoint(
    store: CheckpointStore, good: Good, trained: Trained, base: BaseReference | None, ranks: Ranks
) -> Loaded | str:
    """Fill `trained` in place, and return what is damaged if the tensors cannot be used; it is half filled then.

    Called by all ranks. base: of the model as it was loaded, for its frozen weights. Raises ConfigurationError when the
    checkpoint is of a different model, or the base model has changed.
    """
    damage: str | None = None
    error: BaseException | None = None
    try:
        _check_base(good.place, good.manifest.base, base)
        trained.restore(good.stored)
    except FrozenWeightChangedError as caught:
        error = _describe_changed_base(good.place, str(caught))
    except Damage as caught:
        damage = str(caught)
    except ValueError as caught:
        error = ConfigurationError(
            f"spec.checkpoint.uri: the checkpoint {good.place} does not fit spec.model ({caught}); choose an empty "
            "folder",
            reason=Reason.CHECKPOINT_DOES_NOT_FIT,
        )
    except BaseException as caught:  # noqa: BLE001 - the other ranks wait for the outcome
        error = caught
    ranks.agree(error)
    if found := next(filter(None, ranks.gather(damage)), None):
        return str(found)
    loaded: Loaded = ranks.share(ranks.together(lambda: _read_documents(store, good) if ranks.is_first else None))
    return loaded


def _read_documents(store: CheckpointStore, good: Good) -> Loaded:
    evaluation = store.read_evaluation(good.step)
    metrics = [json.loads(line) for line in good.read(METRICS_FILE).splitlines()]
    return Loaded(
        step=good.step,
        state=json.loads(good.read(STATE_FILE)),
        metrics=[*metrics, evaluation.line] if evaluation and evaluation.line not in metrics else metrics,
    )


def _check_base(place: str, saved: BaseReference | None, found: BaseReference | None) -> None:
    """Frozen weights are those of the base model: with another one, the trained weights would be worth nothing."""
    if saved and found and saved.sha256 != found.sha256:
        raise _describe_changed_base(place, f"expected {_describe(saved)}, found {_describe(found)}")


def _describe(base: BaseReference) -> str:
    revision = f" at {base.revision}" if base.revision else ""
    return f"{base.uri}{revision} with the hash {base.sha256}"


def _describe_changed_base(place: str, why: str) -> ConfigurationError:
    return ConfigurationError(
        f"spec.model.uri: the base model has changed since the checkpoint {place} was saved: {why}; bring the model "
        "back, or set spec.checkpoint.uri to an empty folder",
        reason=Reason.CHECKPOINT_DOES_NOT_FIT,
    )
