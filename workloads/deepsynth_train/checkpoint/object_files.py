"""The files of a run under a prefix of an object store; see object_store.py."""

import re
import uuid
from collections.abc import Callable, Collection
from pathlib import PurePosixPath
from typing import Final

from deepsynth_api.errors import ConfigurationError
from deepsynth_api.reasons import Reason
from deepsynth_store import OnWait
from deepsynth_store.core.calls import OddAnswerError
from deepsynth_store.core.uri import ObjectLocation
from deepsynth_store.objects.errors import ConflictError
from deepsynth_store.objects.requests import Content, ObjectCalls
from deepsynth_train.checkpoint.layout import (
    MANIFEST_FILE,
    METRICS_FILE,
    MODEL,
    SHARDS,
    STATE_FILE,
    list_enclosing,
)
from deepsynth_train.checkpoint.object_head import HEAD_FILE, Head
from deepsynth_train.checkpoint.owner import Owner, describe_loss, judge_claim, refuse_folder, refuse_nested

FIELD: Final = "spec.checkpoint.uri"
_LIKE_SAVE: Final = re.compile(r"step-\d+[^/]*/")
_SAVE: Final = re.compile(
    r"(step-\d+-[0-9a-f]{12})/"
    rf"(?:(?:{SHARDS}|{MODEL})/|(?:{'|'.join(map(re.escape, (STATE_FILE, METRICS_FILE, MANIFEST_FILE)))})$)"
)
"""What object_store.py writes and nothing else: users' copies and other runs below this one are not ours to delete."""


class ObjectFiles:
    """See RunFiles."""

    def __init__(self, location: ObjectLocation, on_wait: OnWait | None, *, has_answered: bool = False) -> None:
        """has_answered: an earlier attempt has reached the store, so that silence is an outage, which is waited for."""
        self.place = location.uri
        self.calls = ObjectCalls(location, field=FIELD, on_wait=on_wait, has_answered=has_answered)

    def read(self, name: str) -> bytes | None:
        content = self.calls.read(name)
        return None if content is None else content.data

    def write(self, name: str, content: bytes) -> None:
        self.calls.write(name, content)

    def list_files(self, folder: str) -> list[str]:
        return [entry.key for entry in self.calls.list(folder)]

    def delete(self, folder: str) -> None:
        self.calls.delete(self.list_files(folder))

    def list_steps(self) -> list[int]:
        return [entry.step for entry in self.read_head().entries]

    def find_newest(self) -> str | None:
        return next((entry.name for entry in self.read_head().entries), None)

    def read_owner(self) -> Owner | None:
        return self.read_head().owner

    def check_ownership(self, owner: Owner) -> None:
        self._require(owner, self.read_head())

    def read_head(self) -> Head:
        return self.calls.call("read the checkpoints of", self._read_head)[0]

    def claim(self, owner: Owner) -> str | None:
        """See CheckpointStore."""
        note: str | None = None

        def take(head: Head) -> Head:
            nonlocal note
            note = judge_claim(self.place, head.owner, owner, has_steps=bool(head.entries))
            return Head(owner, head.entries, head.damaged)

        self._check_enclosing()
        if self.calls.find(HEAD_FILE) is None:
            self._check_first_claim()
        self._replace_head(take)
        self._delete_unfinished(owner)
        return note

    def change(self, owner: Owner, update: Callable[[Head], Head]) -> Head:
        """Change checkpoints.json as its owner, and delete the checkpoints that it names no more.

        Raises PeerLostError when another attempt owns it, however late this one's request arrives.
        """
        before: set[str] = set()

        def apply(head: Head) -> Head:
            self._require(owner, head)
            before.update(head.names)
            return update(head)

        after = self._replace_head(apply)
        for name in sorted(before - after.names):  # no other save ever has these names
            self.delete(name)
        return after

    def forget(self, names: Collection[str]) -> None:
        """Delete checkpoints of a run that has ended."""
        self._replace_head(lambda head: head.drop(names))
        for name in sorted(names):
            self.delete(name)

    def _replace_head(self, update: Callable[[Head], Head]) -> Head:
        def once() -> Head:
            before, found = self._read_head()
            after = update(before)
            if after != before and not self.calls.replace(HEAD_FILE, after.encode(), found, {}):
                raise ConflictError("another attempt has changed it")
            return after

        return self.calls.call("change the checkpoints of", once)

    def _read_head(self) -> tuple[Head, Content | None]:
        content = self.calls.read(HEAD_FILE)
        if content is None:
            return Head(), None
        try:
            return Head.decode(content.data), content
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            found = self.calls.find(HEAD_FILE)
            if found is None or found.size != len(content.data):
                raise OddAnswerError(f"only a part of {HEAD_FILE} arrived") from error
            raise ConfigurationError(
                f"{FIELD}: {self.place}/{HEAD_FILE} cannot be parsed ({error}); choose another path",
                reason=Reason.CHECKPOINT_FOLDER_UNUSABLE,
            ) from error

    def _require(self, owner: Owner, head: Head) -> None:
        if head.owner != owner:
            raise describe_loss(self.place, head.owner)

    def _check_enclosing(self) -> None:
        """Refuse a place in what another run may delete. Credentials for this prefix only cannot see that run."""
        location = self.calls.location
        for outer in list_enclosing(PurePosixPath(location.path)):
            path = "" if outer == PurePosixPath() else str(outer)
            try:
                is_claimed = self.calls.move_to(path).find(HEAD_FILE) is not None
            except ConfigurationError:
                continue
            if is_claimed:
                raise refuse_nested(self.place, f"{location.scheme}://{location.bucket}/{path}")

    def _check_first_claim(self) -> None:
        """Refuse a store that ignores conditions, a folder that was copied there, and another run in its way."""
        keys = [entry.key for entry in self.calls.list()]
        for inner in (PurePosixPath(key).parent for key in keys if key.endswith(f"/{HEAD_FILE}")):
            if PurePosixPath() in list_enclosing(inner):
                raise refuse_nested(f"{self.place.rstrip('/')}/{inner}", self.place)
        if any(map(_LIKE_SAVE.match, keys)):
            raise refuse_folder(self.place, f"holds checkpoints but no {HEAD_FILE}")
        probe = f".deepsynth-probe-{uuid.uuid4().hex}"
        self.calls.write(probe, b"first")
        stale = self.calls.read(probe)
        self.calls.write(probe, b"second")
        accepted = [expected for expected in (None, stale) if self.calls.replace(probe, b"third", expected, {})]
        self.calls.delete([probe])
        if accepted:
            raise ConfigurationError(
                f"{FIELD}: {self.place} is in a store that ignores {'If-Match' if accepted[0] else 'If-None-Match'}, "
                "so a process of an earlier attempt could overwrite checkpoints; use a store with conditional writes",
                reason=Reason.STORE_REFUSED,
            )

    def _delete_unfinished(self, owner: Owner) -> None:
        """What saves and deletions that were killed have left.

        The listing is older than the proof that this attempt still is the owner. So nothing in it is of a later one.
        """
        listed = [(found[1], entry.key) for entry in self.calls.list() if (found := _SAVE.match(entry.key))]
        head = self.read_head()
        self._require(owner, head)
        self.calls.delete([key for name, key in listed if name not in head.names])
