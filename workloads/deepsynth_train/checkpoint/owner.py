"""owner.json: which attempt may commit to a checkpoint folder. A process left over from an earlier attempt may not."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from deepsynth_api.errors import ConfigurationError, PeerLostError
from deepsynth_api.reasons import Reason
from deepsynth_store.core.atomic import make_folder_durably, write_file_atomically
from deepsynth_train.checkpoint.layout import OWNER_FILE, list_steps


@dataclass(frozen=True)
class Owner:
    """run_uid: metadata.uid of the TrainingRun. fingerprint: of what determines the weights. attempt: from 1."""

    run_uid: str
    fingerprint: str
    attempt: int


def read_owner(folder: Path) -> Owner | None:
    """The folder's owner, or None. Raises ConfigurationError when owner.json cannot be parsed."""
    path = folder / OWNER_FILE
    try:
        data = json.loads(path.read_text())
        return Owner(str(data["run_uid"]), str(data["fingerprint"]), int(data["attempt"]))
    except FileNotFoundError:
        return None
    except (ValueError, KeyError, TypeError) as error:
        raise ConfigurationError(
            f"spec.checkpoint.uri: {path} cannot be parsed ({error}); choose another folder, or delete this one",
            reason=Reason.CHECKPOINT_FOLDER_UNUSABLE,
        ) from error


def claim_folder(folder: Path, owner: Owner) -> str | None:
    """Make `owner` the folder's owner. Returns a note when another run's checkpoints were adopted.

    Raises ConfigurationError when the folder belongs to a run with other settings, PeerLostError when a later
    attempt of the same run owns it already.
    """
    make_folder_durably(folder)
    note = _judge_claim(folder, read_owner(folder), owner)
    write_file_atomically(folder / OWNER_FILE, json.dumps(asdict(owner)).encode())
    return note


def _judge_claim(folder: Path, current: Owner | None, claimant: Owner) -> str | None:
    if current is None:
        if list_steps(folder):
            raise _refusal(folder, "holds checkpoints but no owner.json")
        return None
    if current.run_uid == claimant.run_uid:
        if current.attempt > claimant.attempt:
            raise _lost(folder, current)
        return None
    if current.fingerprint != claimant.fingerprint:
        raise _refusal(folder, f"belongs to another run (uid {current.run_uid}) with different settings")
    if not list_steps(folder):
        return None
    return f"adopted the checkpoints of run {current.run_uid}, which has the same settings"


def check_ownership(folder: Path, owner: Owner) -> None:
    """Raise PeerLostError unless `owner` still owns the folder. Called right before every commit."""
    current = read_owner(folder)
    if current != owner:
        raise _lost(folder, current)


def _refusal(folder: Path, why: str) -> ConfigurationError:
    return ConfigurationError(
        f"spec.checkpoint.uri: {folder} {why}; choose an empty folder, or empty this one",
        reason=Reason.CHECKPOINT_FOLDER_IN_USE,
    )


def _lost(folder: Path, current: Owner | None) -> PeerLostError:
    holder = f"attempt {current.attempt} of run {current.run_uid}" if current else "no attempt (owner.json is missing)"
    return PeerLostError(f"{folder} is now owned by {holder}; this attempt stops", reason=Reason.CHECKPOINT_OWNER_LOST)
