"""Repositories as the Hub keeps them: commits, branches, and the rule that a commit is applied whole or not at all."""

import base64
import hashlib
import json
import threading
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any


class RefusedError(Exception):
    """The answer to a request that the Hub refuses."""

    def __init__(self, status: int, message: str, code: str = "", headers: dict[str, str] | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.headers = {"X-Error-Message": message, **({"X-Error-Code": code} if code else {}), **(headers or {})}


@dataclass(frozen=True)
class Blob:
    """oid: sha256 that its upload had."""

    content: bytes
    is_lfs: bool
    oid: str = ""

    @property
    def sha256(self) -> str:
        return self.oid or hashlib.sha256(self.content).hexdigest()

    @property
    def pointer(self) -> bytes:
        return (
            f"version https://git-lfs.github.com/spec/v1\noid sha256:{self.sha256}\nsize {len(self.content)}\n".encode()
        )

    @property
    def git_oid(self) -> str:
        stored = self.pointer if self.is_lfs else self.content
        return hashlib.sha1(b"blob %d\0" % len(stored) + stored, usedforsecurity=False).hexdigest()

    def describe(self, path: str) -> dict[str, Any]:
        entry = {"type": "file", "path": path, "oid": self.git_oid, "size": len(self.content)}
        if self.is_lfs:
            lfs = {"oid": self.sha256, "size": len(self.content), "pointerSize": len(self.pointer)}
            return {**entry, "lfs": lfs}
        return entry


@dataclass(frozen=True)
class Commit:
    sha: str
    parent: str | None
    title: str
    tree: dict[str, Blob]


@dataclass
class Repository:
    kind: str
    repo_id: str
    private: bool
    gated: bool = False
    commit_seconds: float = 0.0
    commits: dict[str, Commit] = field(default_factory=dict)
    refs: dict[str, str] = field(default_factory=dict)
    refused: threading.Event = field(default_factory=threading.Event)
    """Set when a commit arrives while another is running; it ends the other one's commit_seconds."""
    _busy: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        self._record("main", None, "initial commit", {".gitattributes": Blob(b"*.parquet filter=lfs -text\n", False)})

    def find(self, revision: str) -> Commit:
        sha = self.refs.get(revision, revision)
        if sha not in self.commits:
            raise RefusedError(404, f"Invalid rev id: {revision}", "RevisionNotFound")
        return self.commits[sha]

    def find_blob(self, revision: str, path: str) -> tuple[Commit, Blob]:
        commit = self.find(revision)
        if path not in commit.tree:
            raise RefusedError(404, f"Entry not found: {path}", "EntryNotFound", {"X-Repo-Commit": commit.sha})
        return commit, commit.tree[path]

    def history(self, revision: str = "main") -> list[Commit]:
        """Newest first."""
        commits = [self.find(revision)]
        while (parent := commits[-1].parent) is not None:
            commits.append(self.commits[parent])
        return commits

    def list_entries(self, revision: str, folder: str, recursive: bool) -> list[dict[str, Any]]:
        commit, start = self.find(revision), f"{folder}/" if folder else ""
        below = {path[len(start) :]: blob for path, blob in commit.tree.items() if path.startswith(start)}
        if folder and not below:
            raise RefusedError(404, f"{folder} does not exist on {revision}", "EntryNotFound")
        folders = {path.rsplit("/", depth)[0] for path in below for depth in range(1, path.count("/") + 1)}
        if not recursive:
            below = {path: blob for path, blob in below.items() if "/" not in path}
            folders = {path for path in folders if "/" not in path}
        entries = [{"type": "directory", "path": start + path, "oid": "0" * 40, "size": 0} for path in folders]
        return sorted([*entries, *(blob.describe(start + path) for path, blob in below.items())], key=_by_path)

    def create_branch(self, name: str, start: str | None) -> None:
        if name in self.refs:
            raise RefusedError(409, f"Reference already exists: {name}")
        self.refs[name] = self.find(start or "main").sha

    def delete_branch(self, name: str) -> None:
        if name not in self.refs or name == "main":
            raise RefusedError(404, f"Reference not found: {name}", "RevisionNotFound")
        del self.refs[name]

    def commit(self, branch: str, lines: Iterable[dict[str, Any]], objects: dict[str, bytes]) -> Commit:
        """Apply a commit's NDJSON lines to a branch. 409 while another commit is running, 412 for a stale parent."""
        if not self._busy.acquire(blocking=False):
            self.refused.set()
            raise RefusedError(409, "Another commit operation is in progress. Please try again later.")
        try:
            return self._commit(branch, list(lines), objects)
        finally:
            self._busy.release()

    def _commit(self, branch: str, lines: list[dict[str, Any]], objects: dict[str, bytes]) -> Commit:
        if branch not in self.refs:
            raise RefusedError(404, f"Invalid rev id: {branch}", "RevisionNotFound")
        header, head = lines[0]["value"], self.refs[branch]
        if header.get("parentCommit", head) != head:
            raise RefusedError(412, "A commit has happened since. Please refresh and try again.")
        tree = dict(self.commits[head].tree)
        for line in lines[1:]:
            _apply(tree, line["key"], line["value"], objects)
        self.refused.wait(self.commit_seconds)
        return self._record(branch, head, header["summary"], tree)

    def _record(self, branch: str, parent: str | None, title: str, tree: dict[str, Blob]) -> Commit:
        listing = json.dumps([parent, title, len(self.commits), {path: blob.git_oid for path, blob in tree.items()}])
        sha = hashlib.sha1(listing.encode(), usedforsecurity=False).hexdigest()
        self.commits[sha] = Commit(sha, parent, title, tree)
        self.refs[branch] = sha
        return self.commits[sha]


def _apply(tree: dict[str, Blob], key: str, value: dict[str, Any], objects: dict[str, bytes]) -> None:
    path = value["path"]
    if key == "file":
        tree[path] = Blob(base64.b64decode(value["content"]), is_lfs=False)
    elif key == "lfsFile":
        if value["oid"] not in objects:
            raise RefusedError(400, f"LFS object {value['oid']} of {path} was never uploaded")
        tree[path] = Blob(objects[value["oid"]], is_lfs=True, oid=value["oid"])
    elif key == "deletedFile":
        if tree.pop(path, None) is None:
            raise RefusedError(404, "A file with this name doesn't exist", "EntryNotFound")
    elif key == "deletedFolder":
        for inside in [name for name in tree if name.startswith(path.rstrip("/") + "/")]:
            del tree[inside]
    else:
        raise RefusedError(400, f"unknown operation {key}")


def _by_path(entry: dict[str, Any]) -> str:
    return str(entry["path"])
