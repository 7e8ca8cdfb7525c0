"""Curves, samples and pages from folders of results, where this machine has them. They are kept until files change."""

import zlib
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Final

from deepsynth_api.errors import WorkloadError
from deepsynth_client.errors import InvalidError, NotFoundError, UnreachableError
from deepsynth_client.interface import Manifest, Resources, is_object, is_remote
from deepsynth_client.report.publication import explain_foreign_files, stamp_publication
from deepsynth_client.report.results import (
    NEEDED,
    SAMPLES,
    SHARDS,
    Curves,
    SamplePage,
    WrittenSample,
    find_results,
    has_files,
    has_results,
    read_curves,
    read_sample_pages,
    read_written_samples,
    stamp_results,
)
from deepsynth_ui.addresses import get_key

_KEPT_LOGS: Final = "reports/*.log"
_PNG: Final = b"\x89PNG\r\n\x1a\n"


@dataclass(frozen=True)
class LinkedPage:
    """A sample page whose image has an address of its own, so that browsers load it when it comes into view."""

    source: str
    text: str
    summary: str
    page: int
    pages: int


@dataclass(frozen=True)
class LinkedSample:
    """What the model wrote for pages whose images have addresses of their own."""

    name: str
    step: int
    reference: str
    written: str
    cer: float
    sources: Sequence[str]
    note: str


class ResultFiles:
    """may_fetch: whether a user may have files of volumes and stores copied to this machine; in a cluster by a pod."""

    def __init__(self, resources: Resources, *, may_fetch: bool) -> None:
        self._resources, self.may_fetch = resources, may_fetch
        self._fetched: dict[str, Path] = {}

    def find_folder(self, resource: Manifest) -> Path | None:
        """The folder of its results, if this machine has it or a copy of what pages show."""
        if not has_files(resource):
            return None
        folder = self._resources.open_files(resource).find_folder(find_results(resource))
        return folder or self._fetched.get(_identify(resource))

    def can_fetch(self, resource: Manifest) -> bool:
        """Whether `fetch` would bring something."""
        uri = find_results(resource)
        is_run = resource["kind"] == "TrainingRun"
        can_read = uri.startswith("pvc://") or (is_object(uri) if is_run else is_remote(uri))
        return self.may_fetch and has_results(resource) and can_read

    def fetch(self, resource: Manifest) -> None:
        """Copy what pages show to this machine: of a dataset a few pages. Raises ClientError."""
        if not self.can_fetch(resource):
            raise InvalidError("the files of this resource cannot be copied from here")
        files, uri = self._resources.open_files(resource), find_results(resource)
        is_run = resource["kind"] == "TrainingRun"
        try:
            folder = files.fetch(uri, (*NEEDED, _KEPT_LOGS)) if is_run else files.fetch_pages(uri)
        except WorkloadError as error:
            raise UnreachableError(f"{uri} could not be read: {error.message}") from error
        if folder is not None:
            self._fetched[_identify(resource)] = folder

    def read_curves(self, resource: Manifest) -> Curves:
        folder = self.find_folder(resource)
        return _read_curves(folder, stamp_results(folder)) if folder else Curves()

    def read_samples(self, resource: Manifest) -> Sequence[WrittenSample]:
        """What the model of the run wrote; that of the last evaluation while there is no model."""
        folder = self.find_folder(resource)
        output: Mapping[str, int] = resource.get("status", {}).get("output") or {}
        return _read_samples(folder, output.get("step"), stamp_results(folder)) if folder else ()

    def read_pages(self, resource: Manifest) -> Sequence[SamplePage]:
        """Of a published dataset."""
        folder = self.find_folder(resource)
        is_published = bool(resource.get("status", {}).get("output"))
        return _read_pages(folder, stamp_results(folder)) if folder and is_published else ()

    def find_notes(self, resource: Manifest) -> list[str]:
        """About files of a published dataset that are of another publication."""
        folder, output = self.find_folder(resource), resource.get("status", {}).get("output")
        if folder is None or not output:
            return []
        foreign = _explain_foreign_files(folder, output["manifestSha256"], stamp_publication(folder))
        return [foreign] if foreign else []

    def has_images(self, resource: Manifest) -> bool:
        """Whether there are files of samples or, once it is published, of a dataset."""
        folder = self.find_folder(resource)
        if folder is None:
            return False
        if resource["kind"] == "TrainingRun":
            return any(folder.glob(SAMPLES))
        return bool(resource.get("status", {}).get("output")) and any(folder.glob(SHARDS))

    def link_samples(self, resource: Manifest, root: str) -> list[LinkedSample]:
        path = f"{root}{get_key(resource).path}/samples"
        return [
            LinkedSample(
                sample.name,
                sample.step,
                sample.reference,
                sample.written,
                sample.cer,
                [_link(f"{path}/{index}/{page}", png) for page, png in enumerate(sample.pages)],
                sample.note,
            )
            for index, sample in enumerate(self.read_samples(resource))
        ]

    def link_pages(self, resource: Manifest, root: str) -> list[LinkedPage]:
        path = f"{root}{get_key(resource).path}/pages"
        return [
            LinkedPage(_link(f"{path}/{index}", page.png), page.text, page.summary, page.page, page.pages)
            for index, page in enumerate(self.read_pages(resource))
        ]


def pick_png(images: Sequence[bytes], index: int) -> bytes:
    """Raises NotFoundError where there is none, or no PNG file."""
    if index >= len(images) or not images[index].startswith(_PNG):
        raise NotFoundError("there is no such page")
    return images[index]


def _link(path: str, png: bytes) -> str:
    """With a checksum, so that a browser may keep the image."""
    return f"{path}.png?v={zlib.crc32(png):08x}"


def _identify(resource: Manifest) -> str:
    return str(resource["metadata"].get("uid") or get_key(resource).path)


@lru_cache(maxsize=32)
def _read_curves(folder: Path, _stamp: Hashable) -> Curves:
    return read_curves(folder)


@lru_cache(maxsize=32)
def _explain_foreign_files(folder: Path, manifest_sha256: str, _stamp: Hashable) -> str:
    return explain_foreign_files(folder, manifest_sha256)


@lru_cache(maxsize=4)
def _read_samples(folder: Path, step: int | None, _stamp: Hashable) -> Sequence[WrittenSample]:
    return read_written_samples(folder, step)


@lru_cache(maxsize=4)
def _read_pages(folder: Path, _stamp: Hashable) -> Sequence[SamplePage]:
    return read_sample_pages(folder)
