"""CheckpointStore: what a folder and an object store have in common for the checkpoints of a run."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from deepsynth_train.checkpoint.content import Content
from deepsynth_train.checkpoint.files import RunFiles
from deepsynth_train.checkpoint.manifest import CheckpointManifest, CheckpointRecord, Evaluation
from deepsynth_train.checkpoint.owner import Owner
from deepsynth_train.checkpoint.ranks import Ranks
from deepsynth_train.checkpoint.state.tensor_files import Stored


@dataclass(frozen=True)
class Good:
    """A checkpoint that can be read. place: for messages.

    read: a small file of it by its name, such as state.json. Both `read` and `stored` raise Damage.
    """

    step: int
    place: str
    manifest: CheckpointManifest
    stored: Stored
    read: Callable[[str], bytes]


class Signs(Protocol):
    """Signs of life of a process that waits for a store. Called from any thread."""

    def beat(self) -> None:
        """Another part has arrived."""

    def wait(self, reason: str, seconds: float) -> None:
        """The store does not answer, or asked to wait. Called before each pause, and every minute."""


class CheckpointStore(Protocol):
    """The checkpoints of a run, as one attempt of it (`owner`) may change them.

    Where a docstring says nothing else, a method is called on rank 0 only. Raises what RunFiles raises.
    """

    @property
    def files(self) -> RunFiles: ...

    @property
    def owner(self) -> Owner: ...

    def claim(self) -> str | None:
        """Become the owner and delete what earlier attempts left unfinished. Returns a note when another run's
        checkpoints were adopted. Raises ConfigurationError and PeerLostError, see owner.judge_claim.
        """

    def list_records(self) -> list[CheckpointRecord]:
        """Committed checkpoints, newest first."""

    def save(self, step: int, content: Content, ranks: Ranks) -> None:
        """Commit one checkpoint and delete expired ones. Called by all ranks; an error on any is raised on all.

        Wherever this fails or is killed, earlier checkpoints stay unchanged, and this one is either complete or absent.
        """

    def save_evaluation(self, step: int, evaluation: Evaluation) -> None:
        """Add the evaluation of a committed checkpoint, unless it was deleted, and delete expired checkpoints."""

    def read_evaluation(self, step: int) -> Evaluation | None:
        """None when there is none that can be trusted."""

    def verify(self, step: int, ranks: Ranks) -> Good | str:
        """One checkpoint, or what is damaged, the same on all ranks. Called by all ranks."""

    def quarantine(self, step: int) -> None:
        """Put a damaged checkpoint aside, so that nothing loads it. The next save deletes all but the newest."""

    def write_pointers(self) -> None:
        """Let `latest` and `best` name the newest and the best checkpoint."""
