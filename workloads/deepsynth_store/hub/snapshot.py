"""A repository of the Hub as a folder on this machine, in the cache that all programs of the Hub share (HF_HOME)."""

from collections.abc import Sequence
from pathlib import Path

from huggingface_hub import snapshot_download

from deepsynth_store.core.interface import OnWait
from deepsynth_store.core.uri import HubLocation
from deepsynth_store.hub.calls import HubCalls


def fetch_snapshot(
    location: HubLocation, revision: str | None, patterns: Sequence[str], *, field: str, on_wait: OnWait | None
) -> Path:
    """Download the files that match `patterns`, such as `*.json`, except those that are cached already.

    Processes of one machine may call it at the same time: a file is downloaded once.
    """
    calls = HubCalls(location, field=field, on_wait=on_wait)
    folder = calls.call(
        "fetch",
        lambda: snapshot_download(
            **calls.repo, revision=revision, allow_patterns=list(patterns), endpoint=calls.api.endpoint
        ),
    )
    return Path(str(folder))
