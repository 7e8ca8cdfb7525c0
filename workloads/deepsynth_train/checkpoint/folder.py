"""CheckpointFolder, the trainer's interface: claim the folder, load the newest good checkpoint, save new ones."""

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

from deepsynth_api.errors import TemporaryError, WorkloadError
from deepsynth_api.report import WARNING
from deepsynth_api.workload import TrainWorkload
from deepsynth_store.core.uri import ObjectLocation, parse_uri
from deepsynth_train.checkpoint.base import compute_base
from deepsynth_train.checkpoint.content import Content, Snapshot
from deepsynth_train.checkpoint.folder_store import FolderStore
from deepsynth_train.checkpoint.layout import resolve_folder
from deepsynth_train.checkpoint.load import Loaded, find_newest_good, put_aside, read_checkpoint
from deepsynth_train.checkpoint.manifest import BaseReference, CheckpointRecord, Evaluation
from deepsynth_train.checkpoint.owner import Owner
from deepsynth_train.checkpoint.ranks import Ranks
from deepsynth_train.checkpoint.retention import Retention, find_best
from deepsynth_train.checkpoint.state.parts import HostCopier, select_parts
from deepsynth_train.checkpoint.state.trained import Trained
from deepsynth_train.checkpoint.stores import CheckpointStore, Signs


class CheckpointFolder:
    """The checkpoints of a run, and the files next to them, in a folder or under a prefix of an object store.

    Every method is called by all ranks together (with or without a process group), from the main thread.

    An error on any rank is raised on all: TemporaryError (disk, store), PeerLostError (a later attempt owns the
    folder), ConfigurationError (the folder belongs to another run, or the store refuses).
    """

    def __init__(
        self,
        uri: str,
        owner: Owner,
        *,
        keep_last: int = 3,
        keep_best: bool = True,
        on_change: Callable[["CheckpointFolder"], None] | None = None,
        signs: Signs | None = None,
    ) -> None:
        """uri: file:///folder, pvc://CLAIM/folder or that of an object store. Raises ConfigurationError for others.

        on_change: called on rank 0, also from the saving thread, when `records` or `notes` have changed. signs: called
        while the main thread waits for an object store.
        """
        self.notes: list[str] = []
        """Notes for the user: adopted folders, skipped checkpoints."""
        self.records: list[CheckpointRecord] = []
        """Committed checkpoints, newest first; on rank 0 only."""
        self._on_change = on_change
        self._signs = _Gate(signs)
        self._store = _open_store(uri, owner, Retention(keep_last, keep_best), self._signs)
        self.files = self._store.files
        self.owner = owner
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
        with self._signs.opened():
            self._ranks.together(lambda: self._claim() if self._ranks.is_first else None)
        self._claimed = True

    def _claim(self) -> None:
        if note := self._store.claim():
            self.notes.append(note)
        self._refresh()

    def load_latest(self, trained: Trained, *, base_uri: str = "", base_revision: str | None = None) -> Loaded | None:
        """Fill `trained` in place from the newest checkpoint that verifies.

        base_uri, base_revision: the model that its frozen weights come from. Checkpoints refer to it and do not hold
        those weights. A damaged checkpoint is put aside and noted, and the one before it is tried. Returns None when
        there is none. Raises ConfigurationError when names or shapes do not fit, or the base model is not the one that
        the checkpoint was trained on; TemporaryError when weights were overwritten by a damaged checkpoint and there is
        no other.
        """
        self.claim()
        self._base = compute_base(trained.list_frozen(), base_uri, base_revision, self._ranks)
        with self._signs.opened():
            return self._load_latest(trained)

    def _load_latest(self, trained: Trained) -> Loaded | None:
        loaded, damage = None, ""
        while loaded is None:
            good, notes = find_newest_good(self._store, self._ranks)
            self.notes += notes
            if good is None:
                break
            found = read_checkpoint(self._store, good, trained, self._base, self._ranks)
            if isinstance(found, Loaded):
                loaded = found
            else:
                damage = put_aside(self._store, good.step, found, self._ranks)
                self.notes.append(f"{WARNING}{damage}")
        self._ranks.together(self._finish_loading)
        if loaded is None and damage:
            raise TemporaryError(f"spec.checkpoint.uri: {damage}; there is no other, so the next attempt starts again")
        if loaded is not None:
            self._saved_step = self._newest_step = loaded.step
        return loaded

    def _finish_loading(self) -> None:
        if self._ranks.is_first:
            self._store.write_pointers()  # the last attempt may have been killed before it could
            self._refresh()

    def load_best(self, trained: Trained, step: int) -> int:
        """Fill `trained` from the best checkpoint, unless that is `step`, which it holds already. Returns the step.

        A damaged one is noted and not loaded.
        """
        self.wait()
        best = self._ranks.share(self.best.step if self._ranks.is_first and self.best else step)
        if best == step:
            return step
        with self._signs.opened():
            found = self._store.verify(best, self._ranks)
            damage = (
                found
                if isinstance(found, str)
                else read_checkpoint(self._store, found, trained, self._base, self._ranks)
            )
        if isinstance(damage, Loaded):
            return int(best)
        if not isinstance(found, str):  # the weights are half replaced
            note = put_aside(self._store, found.step, damage, self._ranks)
            raise TemporaryError(f"spec.checkpoint.uri: {note}; the next attempt uses another one")
        self.notes.append(
            f"{WARNING}the best checkpoint step-{best} is damaged: {damage}; the model is that of step {step}"
        )
        if self._ranks.is_first:
            self._refresh()
        return step

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

    def keep_files(self, files: Mapping[str, bytes]) -> None:
        """Write small files next to the checkpoints, in the background. A failure is noted. Called on rank 0."""
        self._start("write files", lambda: self._try(f"{[*files][-1]} was not stored", lambda: self._write(files)))

    def _write(self, files: Mapping[str, bytes]) -> None:
        for name, content in files.items():
            self.files.write(name, content)

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
        self._store.save(step, content, self._ranks)
        self._saved_step = step
        if self._ranks.is_first:
            self._refresh()

    def _save_evaluation(self, step: int, evaluation: Evaluation) -> None:
        """An attempt that resumes from a checkpoint without its evaluation evaluates it again."""
        self._try(
            f"the evaluation of step {step} was not stored", lambda: self._store.save_evaluation(step, evaluation)
        )
        self._refresh()

    def _try(self, note: str, action: Callable[[], None]) -> None:
        """What can be done without, such as samples: an error becomes a note."""
        try:
            action()
        except (OSError, WorkloadError) as error:
            self.notes.append(f"{WARNING}{note}: {error}")
            if self._on_change:
                self._on_change(self)

    def wait(self) -> None:
        """Wait for the save in flight. Raises its error."""
        if self._saving:
            with self._signs.opened():
                self._saving.join()
        self._saving = None
        if self._error:
            error, self._error = self._error, None
            raise error

    def _refresh(self) -> None:
        self.records = self._store.list_records()
        if self._on_change:
            self._on_change(self)


class _Gate:
    """Passes signs of life on while the main thread waits. A save in the background says nothing about its life."""

    def __init__(self, signs: Signs | None) -> None:
        self._signs = signs
        self._is_open = False

    @contextmanager
    def opened(self) -> Iterator[None]:
        self._is_open = True
        try:
            yield
        finally:
            self._is_open = False

    def beat(self) -> None:
        if self._signs and self._is_open:
            self._signs.beat()

    def wait(self, reason: str, seconds: float) -> None:
        if self._signs and self._is_open:
            self._signs.wait(reason, seconds)


def _open_store(uri: str, owner: Owner, retention: Retention, signs: Signs) -> CheckpointStore:
    location = parse_uri(uri, "spec.checkpoint.uri")
    if isinstance(location, ObjectLocation):
        from deepsynth_train.checkpoint.object_store import ObjectStore

        return ObjectStore(location, owner, retention, signs)
    return FolderStore(resolve_folder(uri), uri, owner, retention)


def open_checkpoint_folder(
    workload: TrainWorkload, on_change: Callable[[CheckpointFolder], None], signs: Signs
) -> CheckpointFolder:
    """The folder that the document names. Called by all ranks; on_change, signs: see CheckpointFolder."""
    return CheckpointFolder(
        workload.checkpoint.uri,
        Owner.of(workload),
        keep_last=workload.checkpoint.keep_last,
        keep_best=workload.checkpoint.keep_best,
        on_change=on_change,
        signs=signs,
    )
