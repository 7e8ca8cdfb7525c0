"""CheckpointFolder, the trainer's interface: claim the folder, load the newest good checkpoint, save new ones."""

import shutil
import threading
from collections.abc import Callable

from deepsynth_api.workload import TrainWorkload
from deepsynth_train.checkpoint.base import compute_base
from deepsynth_train.checkpoint.layout import list_stale_staging, resolve_folder
from deepsynth_train.checkpoint.load import Loaded, find_newest_good, read_checkpoint, verify_step
from deepsynth_train.checkpoint.manifest import BaseReference, CheckpointRecord, Evaluation
from deepsynth_train.checkpoint.owner import Owner, claim_folder
from deepsynth_train.checkpoint.ranks import Ranks
from deepsynth_train.checkpoint.retention import find_best
from deepsynth_train.checkpoint.save import (
    Content,
    Snapshot,
    Target,
    list_records,
    save_evaluation,
    save_step,
    write_pointers,
)
from deepsynth_train.checkpoint.state.parts import HostCopier, select_parts
from deepsynth_train.checkpoint.state.trained import Trained


class CheckpointFolder:
    """Every method is called by all ranks together (with or without a process group), from the main thread.

    An error on any rank is raised on all: TemporaryError (disk), PeerLostError (a later attempt owns the folder),
    ConfigurationError (the folder belongs to another run).
    """

    def __init__(
        self,
        uri: str,
        owner: Owner,
        *,
        keep_last: int = 3,
        keep_best: bool = True,
        on_change: Callable[["CheckpointFolder"], None] | None = None,
    ) -> None:
        """uri: file:///folder or pvc://CLAIM/folder. Raises ConfigurationError for other schemes.

        on_change: called on rank 0, also from the saving thread, when `records` or `notes` have changed.
        """
        self.notes: list[str] = []
        """Notes for the user: adopted folders, skipped checkpoints."""
        self.records: list[CheckpointRecord] = []
        """Committed checkpoints, newest first; on rank 0 only."""
        self.target = Target(resolve_folder(uri), uri, owner, keep_last, keep_best)
        self.path = self.target.folder
        self._on_change = on_change
        self._ranks = Ranks.build()
        self._copier = HostCopier()
        self._base: BaseReference | None = None
        self._claimed = False
        self._saved_step: int | None = None
        self._newest_step: int | None = None
        self._saving: threading.Thread | None = None
        self._error: BaseException | None = None

    @property
    def best(self) -> CheckpointRecord | None:
        """By spec.evaluation.bestMetric; on rank 0 only."""
        return find_best(self.records)

    def claim(self) -> None:
        """Become the folder's owner and delete unfinished saves. `load_latest` and `save` do it first."""
        if self._claimed:
            return
        error: BaseException | None = None
        try:
            if self._ranks.is_first:
                self._claim()
        except BaseException as caught:  # noqa: BLE001 - the other ranks wait for the outcome
            error = caught
        self._ranks.agree(error)
        self._claimed = True

    def _claim(self) -> None:
        if note := claim_folder(self.path, self.target.owner):
            self.notes.append(note)
        for staging in list_stale_staging(self.path, self.target.owner.attempt):
            shutil.rmtree(staging)
        self._refresh()

    def load_latest(self, trained: Trained, *, base_uri: str = "", base_revision: str | None = None) -> Loaded | None:
        """Fill `trained` in place from the newest checkpoint that verifies.

        base_uri, base_revision: the model that its frozen weights come from. Checkpoints refer to it and do not hold
        those weights. A damaged checkpoint is renamed to step-N.corrupt-attempt-K and noted, and the one before it is
        tried. Returns None when there is none. Raises ConfigurationError when names or shapes do not fit, or the base
        model is not the one that the checkpoint was trained on.
        """
        self.claim()
        self._base = compute_base(trained.list_frozen(), base_uri, base_revision, self._ranks)
        attempt = self.target.owner.number
        good, notes = find_newest_good(self.path, attempt, self._ranks)
        self.notes += notes
        if self._ranks.is_first:
            write_pointers(self.target)  # the last attempt may have been killed before it could
            self._refresh()
        if good is None:
            return None
        self._saved_step = self._newest_step = good.step
        return read_checkpoint(good, trained, self._base, self._ranks, attempt=attempt)

    def load_best(self, trained: Trained, step: int) -> int:
        """Fill `trained` from the best checkpoint, unless that is `step`, which it holds already. Returns the step.

        A damaged one is noted and not loaded.
        """
        self.wait()
        best = self._ranks.share(self.best.step if self._ranks.is_first and self.best else step)
        if best == step:
            return step
        good = verify_step(self.path, best, self._ranks)
        if isinstance(good, str):
            self.notes.append(f"the best checkpoint step-{best} is damaged: {good}; the model is that of step {step}")
            if self._ranks.is_first:
                self._refresh()
            return step
        read_checkpoint(good, trained, self._base, self._ranks, attempt=self.target.owner.number)
        return int(best)

    def save(self, step: int, snapshot: Snapshot) -> None:
        """Wait for the save in flight, copy this rank's part, and commit the step in the background.

        Does nothing for a step that is saved already. Raises the error of the previous save.
        """
        self.claim()
        self.wait()
        if step == self._saved_step:
            return
        parts = select_parts(snapshot.trained.list_tensors(), self._ranks.rank, self._ranks.size)
        content = Content(
            parts=self._copier.copy(parts),
            values=snapshot.trained.list_values(),
            state=snapshot.state,
            metrics=list(snapshot.metrics),
            loss=snapshot.loss,
            base=self._base,
            write_model=snapshot.write_model,
        )
        self._newest_step = step
        self._start(f"save step {step}", lambda: self._save(step, content))

    def save_evaluation(self, step: int, evaluation: Evaluation) -> None:
        """Add the evaluation of a step to its checkpoint, when its save is complete. Ignored for an unsaved step."""
        if self._ranks.is_first and step == self._newest_step:
            self._start(f"save the evaluation of step {step}", lambda: self._save_evaluation(step, evaluation))

    def _start(self, name: str, action: Callable[[], None]) -> None:
        """Run `action` in a thread, after what is in flight. An error is kept for the main thread, which raises it."""
        previous = self._saving

        def run() -> None:
            if previous:
                previous.join()
            if self._error:
                return
            try:
                action()
            except BaseException as error:  # noqa: BLE001 - `wait` raises it
                self._error = error

        self._saving = threading.Thread(target=run, name=name, daemon=True)
        self._saving.start()

    def _save(self, step: int, content: Content) -> None:
        save_step(self.target, step, content, self._ranks)
        self._saved_step = step
        if self._ranks.is_first:
            self._refresh()

    def _save_evaluation(self, step: int, evaluation: Evaluation) -> None:
        if note := save_evaluation(self.target, step, evaluation):
            self.notes.append(note)
        self._refresh()

    def wait(self) -> None:
        """Wait for the save in flight. Raises its error."""
        if self._saving:
            self._saving.join()
            self._saving = None
        if self._error:
            error, self._error = self._error, None
            raise error

    def _refresh(self) -> None:
        self.records = list_records(self.target)
        if self._on_change:
            self._on_change(self)


def open_checkpoint_folder(workload: TrainWorkload, on_change: Callable[[CheckpointFolder], None]) -> CheckpointFolder:
    """The folder that the document names. Called by all ranks; on_change: see CheckpointFolder."""
    return CheckpointFolder(
        workload.checkpoint.uri,
        Owner.of(workload),
        keep_last=workload.checkpoint.keep_last,
        keep_best=workload.checkpoint.keep_best,
        on_change=on_change,
    )
