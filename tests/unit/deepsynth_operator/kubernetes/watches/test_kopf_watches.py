"""kopf as a pure watcher: it stores nothing on objects, and it never stops retrying."""

from itertools import islice
from typing import Any

import kopf

from deepsynth_operator.kubernetes.watches.kopf_watches import (
    EndlessBackoff,
    StoresNoDiffs,
    StoresNoProgress,
    build_kopf_settings,
)


def test_nothing_is_written_posted_or_scanned() -> None:
    settings = build_kopf_settings()
    assert settings.scanning.disabled
    assert not settings.posting.enabled
    assert settings.peering.standalone
    assert isinstance(settings.persistence.diffbase_storage, StoresNoDiffs)
    assert isinstance(settings.persistence.progress_storage, StoresNoProgress)


def test_retries_never_end_and_their_pauses_are_limited() -> None:
    pauses = list(islice(EndlessBackoff(), 100))
    assert len(pauses) == 100
    assert pauses == sorted(pauses)
    assert max(pauses) <= 10


def test_storages_change_neither_objects_nor_patches() -> None:
    body: Any = kopf.Body({"metadata": {"name": "x"}, "spec": {"a": 1}})
    patch = kopf.Patch()
    key: Any = "handler"
    diffs: kopf.DiffBaseStorage = StoresNoDiffs()
    progress: kopf.ProgressStorage = StoresNoProgress()
    diffs.store(body=body, patch=patch, essence=diffs.build(body=body))
    progress.store(key=key, record={}, body=body, patch=patch)
    progress.touch(body=body, patch=patch, value="now")
    progress.purge(key=key, body=body, patch=patch)
    assert not patch
    assert diffs.fetch(body=body) is None
    assert progress.fetch(key=key, body=body) is None
