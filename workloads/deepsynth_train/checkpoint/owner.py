"""owner.json: which attempt may commit to a checkpoint folder. A process left over from an earlier attempt may not.

The number of an attempt does not always name one Job: if a Job and its pods are deleted before the operator has seen
them, for example while it was down, the attempt gets another Job. Neither of two with the same number can know which of
them is the later one. So the second one that comes stops, and the next attempt, which is later than both, continues.
"""

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Self

from deepsynth_api.errors import ConfigurationError, PeerLostError
from deepsynth_api.reasons import Reason
from deepsynth_api.workload import JOB_UID_VARIABLE, TrainWorkload
from deepsynth_store.core.atomic import make_folder_durably, write_file_atomically
from deepsynth_train.checkpoint.layout import OWNER_FILE, list_enclosing, list_steps


@dataclass(frozen=True)
class Owner:
    """run_uid: metadata.uid of the TrainingRun. fingerprint: of what determines the weights. attempt: from 1.

    job_uid: metadata.uid of the attempt's Job; empty if it is unknown, as in files and Jobs of earlier versions.
    restart: how often the workers of the attempt's pods were started before. The processes of one start must not
    commit after those of a later one have claimed the folder.
    run_name: NAMESPACE/NAME of the TrainingRun, for messages; empty in files of earlier versions.
    """

    run_uid: str
    fingerprint: str
    attempt: int
    job_uid: str = ""
    restart: int = 0
    run_name: str = field(default="", compare=False)

    @classmethod
    def of(cls, workload: TrainWorkload) -> Self:
        """The attempt that works on this document in this process."""
        job_uid = os.environ.get(JOB_UID_VARIABLE, "")
        name = f"{workload.namespace}/{workload.name}"
        return cls(workload.uid, workload.fingerprint, workload.attempt, job_uid, workload.restart or 0, name)

    @property
    def run(self) -> str:
        """The run for a reader: `demo/read-xsum (uid 5f3...)`."""
        return f"{self.run_name} (uid {self.run_uid})" if self.run_name else self.run_uid

    @property
    def number(self) -> int:
        """Number of the attempt that the workers belong to."""
        return self.attempt + self.restart

    def may_follow(self, other: "Owner") -> bool:
        """Whether it may take the folder from another attempt of the same run, or is the same."""
        if self.attempt == other.attempt:
            return not (self.job_uid and other.job_uid) or self.job_uid == other.job_uid
        return self.attempt > other.attempt


def read_owner(folder: Path) -> Owner | None:
    """The folder's owner, or None. Raises ConfigurationError when owner.json cannot be parsed."""
    path = folder / OWNER_FILE
    try:
        return parse_owner(json.loads(path.read_text()))
    except FileNotFoundError:
        return None
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ConfigurationError(
            f"spec.checkpoint.uri: {path} cannot be parsed ({error}); choose another folder, or delete this one",
            reason=Reason.CHECKPOINT_FOLDER_UNUSABLE,
        ) from error


def parse_owner(data: Mapping[str, Any]) -> Owner:
    """Raises ValueError, KeyError, TypeError or AttributeError for anything else."""
    return Owner(
        run_uid=str(data["run_uid"]),
        fingerprint=str(data["fingerprint"]),
        attempt=int(data["attempt"]),
        job_uid=str(data.get("job_uid", "")),
        restart=int(data.get("restart", 0)),
        run_name=str(data.get("run_name", "")),
    )


def claim_folder(folder: Path, owner: Owner) -> str | None:
    """Make `owner` the folder's owner. Returns a note when another run's checkpoints were adopted.

    Raises ConfigurationError when the folder belongs to a run with other settings, or is in a folder that another run
    may delete, or has one of another run in such a place; PeerLostError when a later
    attempt of the same run, or another Job of the same attempt, owns it already.
    """
    for outer in list_enclosing(folder):
        if Path(outer, OWNER_FILE).exists():
            raise refuse_nested(str(folder), str(outer))
    make_folder_durably(folder)
    if read_owner(folder) is None and (inner := _find_inner(folder)):
        raise refuse_nested(str(inner), str(folder))
    note = judge_claim(str(folder), read_owner(folder), owner, has_steps=bool(list_steps(folder)))
    write_file_atomically(folder / OWNER_FILE, json.dumps(asdict(owner)).encode())
    return note


def judge_claim(place: str, current: Owner | None, claimant: Owner, *, has_steps: bool) -> str | None:
    """See claim_folder. has_steps: whether `place` holds checkpoints."""
    if current is None:
        if has_steps:
            raise refuse_folder(place, f"holds checkpoints but no {OWNER_FILE}")
        return None
    if current.run_uid == claimant.run_uid:
        if not claimant.may_follow(current):
            raise describe_loss(place, current)
        return None
    if current.fingerprint != claimant.fingerprint:
        raise refuse_folder(place, f"belongs to another run, {current.run}, which has other settings")
    if not has_steps:
        return None
    return f"adopted the checkpoints of run {current.run}, which has the same settings"


def _find_inner(folder: Path) -> Path | None:
    """The checkpoints of another run where a run in `folder` would replace or delete them."""
    inside = (path for path in folder.iterdir() if folder in list_enclosing(path))
    return next((found.parent for path in inside for found in path.rglob(OWNER_FILE)), None)


def check_ownership(folder: Path, owner: Owner) -> None:
    """Raise PeerLostError unless `owner` still owns the folder. Called right before every commit."""
    current = read_owner(folder)
    if current != owner:
        raise describe_loss(str(folder), current)


def refuse_folder(place: str, why: str) -> ConfigurationError:
    return ConfigurationError(
        f"spec.checkpoint.uri: {place} {why}; choose an empty folder, or empty this one if nothing in it is needed",
        reason=Reason.CHECKPOINT_FOLDER_IN_USE,
    )


def refuse_nested(inner: str, outer: str) -> ConfigurationError:
    return ConfigurationError(
        f"spec.checkpoint.uri: {inner} would be replaced or deleted by the run with the checkpoints {outer}; choose "
        "paths that are not in each other",
        reason=Reason.CHECKPOINT_FOLDER_IN_USE,
    )


def describe_loss(place: str, current: Owner | None) -> PeerLostError:
    holder = "no attempt (its owner is not recorded)"
    if current is not None:
        job = f" (Job {current.job_uid})" if current.job_uid else ""
        holder = f"attempt {current.attempt}{job} of run {current.run}"
    return PeerLostError(f"{place} is now owned by {holder}; this attempt stops", reason=Reason.CHECKPOINT_OWNER_LOST)
