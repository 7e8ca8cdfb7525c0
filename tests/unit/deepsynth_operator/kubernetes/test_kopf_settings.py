"""kopf as a pure watcher: it keeps nothing on objects, and goes on trying."""

from itertools import islice
from typing import Any

import kopf

from deepsynth_operator.kubernetes.kopf_settings import EndlessBackoff, NoDiffs, NoProgress, build_kopf_settings


def test_nothing_is_written_posted_or_scanned() -> None:
    settings = build_kopf_settings()
    assert settings.scanning.disabled
    assert not settings.posting.enabled
    assert settings.peering.standalone
    assert isinstance(settings.persistence.diffbase_storage, NoDiffs)
    assert isinstance(settings.persistence.progress_storage, NoProgress)


def test_an_outage_is_waited_out_with_bounded_pauses() -> None:
    pauses = list(islice(EndlessBackoff(), 100))
    assert len(pauses) == 100
    assert pauses == sorted(pauses)
    assert max(pauses) <= 10


def test_storages_leave_objects_and_patches_alone() -> None:
    body: Any = kopf.Body({"metadata": {"name": "x"}, "spec": {"a": 1}})
    patch = kopf.Patch()
    key: Any = "handler"
    diffs: kopf.DiffBaseStorage = NoDiffs()
    progress: kopf.ProgressStorage = NoProgress()
    diffs.store(body=body, patch=patch, essence=diffs.build(body=body))
    progress.store(key=key, record={}, body=body, patch=patch)
    progress.touch(body=body, patch=patch, value="now")
    progress.purge(key=key, body=body, patch=patch)
    assert not patch
    assert diffs.fetch(body=body) is None
    assert progress.fetch(key=key, body=body) is None
