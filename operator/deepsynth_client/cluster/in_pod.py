"""What runs in a short-lived pod, as `python -c SOURCE REQUEST`: it sees the volumes that a user's machine does not,
and the object stores that only pods have the credentials of.

    {"verb": "measure", "folders": [...]}                   prints {"folder": bytes}; the last part may be a pattern
    {"verb": "fetch", "folder": ..., "patterns": [...]}     prints a tar archive of the files as lines of base64
    {"verb": "show", "uri": ...}                            the same with a few pages of a dataset
    {"verb": "remove", "folders": [...]}                    prints {"link": target} of links, whose targets are kept

A folder is a path, or a URI of an object store. Standard library only, because this source is sent to images of any
version; for object stores, images of this version on have the functions. Lines are short, because container
runtimes cut long ones. The last line is `end`: without it, the answer is not whole.
"""

import base64
import contextlib
import importlib
import importlib.util
import io
import json
import shutil
import sys
import tarfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

MAX_BYTES = 6_000_000
"""Of the files of one answer: container logs are rotated at 10 MiB. Those that do not fit are skipped."""
_LINE_CHARACTERS = 8000
_SHOW_SECONDS = 120.0
"""A store that does not answer is given up while the pod can still say so; a small pod may be slow to start."""
_PAGES = "deepsynth_render.documents.sample_pages"
_STORES = ("deepsynth_train.checkpoint.store_folders", "deepsynth_store.objects.folders")
"""Modules with the same functions, the one that knows checkpoints first. Images for CPUs have only the second one."""


def find_stores() -> Any:
    for name in _STORES:
        if importlib.util.find_spec(name.partition(".")[0]):
            with contextlib.suppress(ModuleNotFoundError):
                return importlib.import_module(name)
    raise SystemExit("the image is of a version that cannot look into object stores; use the store's own tools")


def measure(folders: list[str]) -> dict[str, int]:
    uris = [folder for folder in folders if _is_uri(folder)]
    sizes = _measure_paths([folder for folder in folders if not _is_uri(folder)])
    return {**sizes, **find_stores().measure(uris)} if uris else sizes


def _measure_paths(folders: list[str]) -> dict[str, int]:
    found = [
        path for folder in folders for path in sorted(Path(folder).parent.glob(Path(folder).name)) if path.is_dir()
    ]
    return {str(folder): 0 if folder.is_symlink() else _sum_sizes(folder) for folder in found}


def _sum_sizes(folder: Path) -> int:
    return sum(file.lstat().st_size for file in folder.rglob("*") if file.is_file())


def remove(folders: list[str]) -> dict[str, str]:
    """Remove folders with their files. A folder that is the root of a volume stays, empty. Of links, see Files."""
    if uris := [folder for folder in folders if _is_uri(folder)]:
        find_stores().remove(uris)
    links = {}
    for folder in filter(Path.is_dir, (Path(folder) for folder in folders if not _is_uri(folder))):
        if folder.is_symlink():
            links[str(folder)] = str(folder.readlink())
            folder.unlink()
            continue
        for child in folder.iterdir():
            shutil.rmtree(child) if child.is_dir() and not child.is_symlink() else child.unlink()
        with contextlib.suppress(OSError):
            folder.rmdir()
    return links


def fetch(folder: str, patterns: list[str]) -> str:
    """The files that match, in the order of the patterns, while they fit."""
    if _is_uri(folder):
        return _pack(find_stores().read_files(folder, patterns, MAX_BYTES))
    return _pack(_read_paths(folder, patterns))


def show(uri: str) -> str:
    if not importlib.util.find_spec(_PAGES):
        raise SystemExit("the image is of a version that cannot read sample pages")
    return _pack(importlib.import_module(_PAGES).fetch_sample_pages(uri, MAX_BYTES, _SHOW_SECONDS))


def _pack(files: Iterable[tuple[str, bytes]]) -> str:
    """A tar archive as base64."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for name, content in files:
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    return base64.b64encode(buffer.getvalue()).decode()


def _read_paths(folder: str, patterns: list[str]) -> Iterator[tuple[str, bytes]]:
    left = MAX_BYTES
    for pattern in patterns:
        for file in sorted(Path(folder).glob(pattern)):
            if file.is_file() and not file.is_symlink() and file.stat().st_size <= left:
                content = file.read_bytes()
                left -= len(content)
                yield str(file.relative_to(folder)), content


def _is_uri(folder: str) -> bool:
    return "://" in folder


def answer(request: dict[str, object]) -> list[str]:
    """The lines to print."""
    if request["verb"] == "fetch":
        text = fetch(str(request["folder"]), list(request["patterns"]))  # type: ignore[call-overload]
    elif request["verb"] == "show":
        text = show(str(request["uri"]))
    else:
        verb = {"measure": measure, "remove": remove}[str(request["verb"])]
        text = json.dumps(verb(list(request["folders"])))  # type: ignore[call-overload]
    return [text[at : at + _LINE_CHARACTERS] for at in range(0, len(text), _LINE_CHARACTERS)]


if __name__ == "__main__":
    print(*answer(json.loads(sys.argv[1])), "end", sep="\n")
