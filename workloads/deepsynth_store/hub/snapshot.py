"""A repository of the Hub as a folder on this machine, in the cache that all programs of the Hub share (HF_HOME)."""

import contextlib
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from huggingface_hub import snapshot_download
from huggingface_hub.utils.tqdm import tqdm

from deepsynth_store.core.atomic import compute_sha256
from deepsynth_store.core.calls import OddAnswerError
from deepsynth_store.core.interface import OnWait
from deepsynth_store.core.uri import HubLocation, is_commit
from deepsynth_store.hub.calls import HubCalls

OnProgress = Callable[[], None]
"""Called now and then while files arrive, from any thread."""

_CHECKED = "deepsynth-checked"
"""Folder in a repository's part of the cache: one file for each blob whose hash was right."""


def fetch_snapshot(
    location: HubLocation,
    revision: str | None,
    patterns: Sequence[str],
    *,
    field: str,
    on_wait: OnWait | None,
    on_progress: OnProgress | None = None,
) -> Path:
    """Download the files that match `patterns`, such as `*.json`, except those that are cached already. The folder has
    the name of the commit.

    Processes of one machine may call it at the same time: a file is downloaded once. With a commit whose files are
    all cached, the Hub is not asked.
    """
    calls = HubCalls(location, field=field, on_wait=on_wait, has_answered=is_commit(revision))
    arguments: dict[str, Any] = {"allow_patterns": list(patterns), "tqdm_class": _build_bar(on_progress)}

    def fetch_once() -> Path:
        folder = snapshot_download(**calls.repo, revision=revision, endpoint=calls.api.endpoint, **arguments)
        _check_blobs(Path(str(folder)))
        return Path(str(folder))

    return calls.call("fetch", fetch_once)


def _check_blobs(folder: Path) -> None:
    """Compare large files with their sha256, which is their name in the cache: the library compares only sizes.

    Each is read once. A damaged one is deleted, so that it is fetched again. Raises OddAnswerError.
    """
    checked = folder.parent.parent / _CHECKED
    for blob in {path.resolve() for path in folder.rglob("*") if path.is_symlink()}:
        if not re.fullmatch(r"[0-9a-f]{64}", blob.name) or not blob.is_file():
            continue
        mark, state = checked / blob.name, f"{blob.stat().st_size} {blob.stat().st_mtime_ns}"
        with contextlib.suppress(OSError):
            if mark.read_text() == state:
                continue
        if (found := compute_sha256(blob)) != blob.name:
            blob.unlink()
            raise OddAnswerError(f"a file has arrived damaged: expected sha256 {blob.name}, got {found}")
        with contextlib.suppress(OSError):  # a cache that cannot be written is read again the next time
            checked.mkdir(exist_ok=True)
            mark.write_text(state)


def _build_bar(on_progress: OnProgress | None) -> type[tqdm]:
    """A progress bar that is never shown, and calls on_progress where it would move."""

    class Bar(tqdm):
        def update(self, n: float | None = 1) -> bool | None:
            if on_progress:
                on_progress()
            moved: bool | None = super().update(n)
            return moved

    return Bar
