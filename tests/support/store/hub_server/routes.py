"""The part of the Hub's HTTP interface that the real clients use. A route decodes, asks a repository, and encodes."""

import functools
import hashlib
import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from support.store.hub_server.repository import Blob, RefusedError, Repository

Headers = dict[str, str]


@dataclass(frozen=True)
class Request:
    method: str
    target: str
    headers: Headers
    body: bytes

    @property
    def query(self) -> dict[str, list[str]]:
        return parse_qs(urlsplit(self.target).query)

    @property
    def token(self) -> str | None:
        return self.headers.get("authorization", "").removeprefix("Bearer ") or None


@dataclass(frozen=True)
class Answer:
    status: int = 200
    body: bytes = b""
    headers: Headers = field(default_factory=dict)


def answer_json(value: Any, status: int = 200, headers: Headers | None = None) -> Answer:
    return Answer(status, json.dumps(value).encode(), {"Content-Type": "application/json", **(headers or {})})


@dataclass
class Hub:
    """The state of the server. tokens: token -> "read" or "write", all of user `owner`. api, files: origins in links;
    they differ, as on the real Hub, because the client follows redirects only to another host.
    """

    owner: str
    tokens: dict[str, str]
    api: str = ""
    files: str = ""
    page_entries: int = 1000
    repositories: dict[tuple[str, str], Repository] = field(default_factory=dict)
    objects: dict[str, bytes] = field(default_factory=dict)

    def authenticate(self, request: Request) -> None:
        if request.token is not None and request.token not in self.tokens:
            raise RefusedError(401, "Invalid credentials in Authorization header")

    def find(self, request: Request, kind: str, repo_id: str, *, write: bool = False) -> Repository:
        repository = self.repositories.get((kind, repo_id))
        if repository is None or (repository.private and request.token is None):
            raise RefusedError(404 if request.token else 401, "Repository not found", "RepoNotFound")
        if repository.gated:
            raise RefusedError(403, "Access to this dataset is restricted", "GatedRepo")
        if write:
            self.require_write(request)
        return repository

    def require_write(self, request: Request) -> None:
        if request.token is None:
            raise RefusedError(401, "Invalid username or password.")
        if self.tokens[request.token] != "write":
            raise RefusedError(403, "You don't have the rights to create or change this repository")


def whoami(hub: Hub, request: Request) -> Answer:
    if request.token is None:
        raise RefusedError(401, "Invalid username or password.")
    return answer_json({"type": "user", "name": hub.owner, "orgs": []})


def create_repo(hub: Hub, request: Request) -> Answer:
    hub.require_write(request)
    wanted = json.loads(request.body)
    kind, repo_id = wanted.get("type", "model"), f"{wanted.get('organization') or hub.owner}/{wanted['name']}"
    url = f"{hub.api}/{'datasets/' if kind == 'dataset' else ''}{repo_id}"
    if (kind, repo_id) in hub.repositories:
        return answer_json({"error": "You already created this repo", "url": url}, 409)
    private = wanted.get("private") is True or wanted.get("visibility") == "private"
    hub.repositories[kind, repo_id] = Repository(kind, repo_id, private)
    return answer_json({"url": url, "name": repo_id, "id": repo_id})


def validate_yaml(hub: Hub, request: Request) -> Answer:
    return answer_json({"errors": [], "warnings": []})


def repo_info(hub: Hub, request: Request, kind: str, repo_id: str, revision: str = "main") -> Answer:
    repository = hub.find(request, kind, repo_id)
    commit = repository.find(revision)
    siblings = [{"rfilename": path} for path in sorted(commit.tree)]
    return answer_json(
        {"id": repo_id, "sha": commit.sha, "private": repository.private, "siblings": siblings, "tags": []}
    )


def list_refs(hub: Hub, request: Request, kind: str, repo_id: str) -> Answer:
    refs = hub.find(request, kind, repo_id).refs
    named = [{"name": name, "ref": f"refs/heads/{name}", "targetCommit": sha} for name, sha in refs.items()]
    return answer_json({"branches": named, "converts": [], "tags": []})


def list_commits(hub: Hub, request: Request, kind: str, repo_id: str, revision: str) -> Answer:
    commits = hub.find(request, kind, repo_id).history(revision)
    date = "2026-01-01T00:00:00.000Z"
    return answer_json(
        [{"id": commit.sha, "title": commit.title, "message": "", "date": date, "authors": []} for commit in commits]
    )


def list_tree(hub: Hub, request: Request, kind: str, repo_id: str, revision: str, *, folder: str = "") -> Answer:
    recursive = request.query.get("recursive", ["false"])[0].lower() == "true"
    entries = hub.find(request, kind, repo_id).list_entries(revision, folder, recursive)
    start = int(request.query.get("cursor", ["0"])[0])
    stop = start + hub.page_entries
    path = urlsplit(request.target).path
    more = f'<{hub.api}{path}?recursive={recursive}&cursor={stop}>; rel="next"'
    return answer_json(entries[start:stop], headers={"Link": more} if stop < len(entries) else {})


def paths_info(hub: Hub, request: Request, kind: str, repo_id: str, revision: str) -> Answer:
    tree = hub.find(request, kind, repo_id).find(revision).tree
    paths = parse_qs(request.body.decode()).get("paths", [])
    return answer_json([tree[path].describe(path) for path in paths if path in tree])


def preupload(hub: Hub, request: Request, kind: str, repo_id: str, revision: str) -> Answer:
    tree = hub.find(request, kind, repo_id, write=True).find(revision).tree
    ignored = tree.get(".gitignore", Blob(b"", is_lfs=False)).content.decode().split()

    def decide(file: dict[str, Any]) -> dict[str, Any]:
        path, blob = file["path"], tree.get(file["path"])
        is_lfs = path.endswith((".parquet", ".safetensors")) or file["size"] > 10 * 2**20
        return {
            "path": path,
            "uploadMode": "lfs" if is_lfs else "regular",
            "shouldIgnore": any(path.startswith(start) for start in ignored),
            "oid": None if blob is None else blob.sha256 if blob.is_lfs else blob.git_oid,
        }

    return answer_json({"files": [decide(file) for file in json.loads(request.body)["files"]]})


def lfs_batch(hub: Hub, request: Request, kind: str, repo_id: str) -> Answer:
    hub.find(request, kind, repo_id, write=True)

    def announce(wanted: dict[str, Any]) -> dict[str, Any]:
        if wanted["oid"] in hub.objects:
            return wanted
        upload = {"href": f"{hub.files}/lfs-upload/{wanted['oid']}?signature=secret"}
        return {**wanted, "actions": {"upload": upload, "verify": {"href": f"{hub.api}/lfs-verify"}}}

    objects = [announce(wanted) for wanted in json.loads(request.body)["objects"]]
    return answer_json({"transfer": "basic", "objects": objects})


def lfs_put(hub: Hub, request: Request, oid: str) -> Answer:
    if hashlib.sha256(request.body).hexdigest() != oid:
        raise RefusedError(400, "The content does not have the announced hash")
    hub.objects[oid] = request.body
    return Answer()


def lfs_verify(hub: Hub, request: Request) -> Answer:
    wanted = json.loads(request.body)
    if len(hub.objects.get(wanted["oid"], b"")) != wanted["size"]:
        raise RefusedError(404, "The object was not uploaded")
    return answer_json({})


def lfs_get(hub: Hub, request: Request, oid: str) -> Answer:
    return _answer_range(request, hub.objects[oid], {"ETag": f'"{oid}"'})


def resolve(hub: Hub, request: Request, kind: str, repo_id: str, *, revision: str, path: str) -> Answer:
    commit, blob = hub.find(request, kind, repo_id).find_blob(revision, path)
    headers = {"X-Repo-Commit": commit.sha, "ETag": f'"{blob.git_oid}"', "Accept-Ranges": "bytes"}
    if not blob.is_lfs:
        return _answer_range(request, blob.content, headers)
    linked = {"X-Linked-Etag": f'"{blob.sha256}"', "X-Linked-Size": str(len(blob.content))}
    return Answer(302, b"", {**headers, **linked, "Location": f"{hub.files}/lfs-objects/{blob.sha256}"})


def commit(hub: Hub, request: Request, kind: str, repo_id: str, revision: str) -> Answer:
    repository = hub.find(request, kind, repo_id, write=True)
    made = repository.commit(revision, map(json.loads, request.body.splitlines()), hub.objects)
    return answer_json({"commitUrl": f"{hub.api}/{repo_id}/commit/{made.sha}", "commitOid": made.sha, "success": True})


def create_branch(hub: Hub, request: Request, kind: str, repo_id: str, branch: str) -> Answer:
    wanted = json.loads(request.body or b"{}")
    hub.find(request, kind, repo_id, write=True).create_branch(branch, wanted.get("startingPoint"))
    return answer_json({})


def delete_branch(hub: Hub, request: Request, kind: str, repo_id: str, branch: str) -> Answer:
    hub.find(request, kind, repo_id, write=True).delete_branch(branch)
    return answer_json({})


def _answer_range(request: Request, content: bytes, headers: Headers) -> Answer:
    asked = re.fullmatch(r"bytes=(\d*)-(\d*)", request.headers.get("range", ""))
    if not asked:
        return Answer(200, content, {**headers, "Accept-Ranges": "bytes"})
    first, last = asked.groups()
    start = int(first) if first else max(0, len(content) - int(last))
    stop = int(last) + 1 if first and last else len(content)
    span = f"bytes {start}-{min(stop, len(content)) - 1}/{len(content)}"
    return Answer(206, content[start:stop], {**headers, "Content-Range": span})


_REPO = r"/api/(?P<kind>dataset|model)s/(?P<repo_id>[^/]+/[^/]+)"
_FILES = r"/(?P<prefix>datasets/)?(?P<repo_id>[^/]+/[^/]+)"
_REVISION = r"(?P<revision>refs%2F[^/]+|refs/[^/]+/[^/]+|[^/]+)"
ROUTES: list[tuple[str, str, str, Callable[..., Answer]]] = [
    ("whoami", "GET", r"/api/whoami-v2", whoami),
    ("create_repo", "POST", r"/api/repos/create", create_repo),
    ("validate_yaml", "POST", r"/api/validate-yaml", validate_yaml),
    ("preupload", "POST", rf"{_REPO}/preupload/{_REVISION}", preupload),
    ("commit", "POST", rf"{_REPO}/commit/{_REVISION}", commit),
    ("paths_info", "POST", rf"{_REPO}/paths-info/{_REVISION}", paths_info),
    ("create_branch", "POST", rf"{_REPO}/branch/(?P<branch>.+)", create_branch),
    ("delete_branch", "DELETE", rf"{_REPO}/branch/(?P<branch>.+)", delete_branch),
    ("repo_info", "GET", rf"{_REPO}(?:/revision/{_REVISION})?", repo_info),
    ("refs", "GET", rf"{_REPO}/refs", list_refs),
    ("commits", "GET", rf"{_REPO}/commits/{_REVISION}", list_commits),
    ("tree", "GET", rf"{_REPO}/tree/{_REVISION}(?:/(?P<folder>.+))?", list_tree),
    ("lfs_batch", "POST", rf"{_FILES}\.git/info/lfs/objects/batch", lfs_batch),
    ("lfs_put", "PUT", r"/lfs-upload/(?P<oid>[0-9a-f]{64})", lfs_put),
    ("lfs_verify", "POST", r"/lfs-verify", lfs_verify),
    ("lfs_get", "GET", r"/lfs-objects/(?P<oid>[0-9a-f]{64})", lfs_get),
    ("resolve", "GET", rf"{_FILES}/resolve/{_REVISION}/(?P<path>.+)", resolve),
]
_COMPILED = [(name, method, re.compile(pattern), handler) for name, method, pattern, handler in ROUTES]


def find_route(method: str, target: str) -> tuple[str, Callable[[Hub, Request], Answer]]:
    """The route's name and the handler of the request. A HEAD is a GET whose body is not sent."""
    path = urlsplit(target).path
    for name, wanted, pattern, handler in _COMPILED:
        if wanted == method.replace("HEAD", "GET") and (match := pattern.fullmatch(path)):
            arguments = {key: unquote(value) for key, value in match.groupdict().items() if value is not None}
            if "prefix" in match.groupdict():
                arguments["kind"] = "dataset" if arguments.pop("prefix", None) else "model"
            return name, functools.partial(handler, **arguments)
    return "unknown", lambda _, __: answer_json({"error": "Not found"}, 404)
