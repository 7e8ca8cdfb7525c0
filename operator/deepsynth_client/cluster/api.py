"""Requests to the API server, for one user: every refusal becomes an error that says what to do about it."""

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final, Literal

from kubernetes.client import ApiClient
from kubernetes.client.exceptions import ApiException
from urllib3.exceptions import HTTPError

from deepsynth_api.kinds import API_VERSION, GROUP, KINDS
from deepsynth_client.cluster.kubeconfig import Login
from deepsynth_client.errors import (
    ClientError,
    ForbiddenError,
    InvalidError,
    NoClusterError,
    NotFoundError,
    RefusedError,
    UnreachableError,
)

Method = Literal["GET", "POST", "PATCH", "DELETE"]
APPLY: Final = "application/apply-patch+yaml"
MERGE: Final = "application/merge-patch+json"
FIELD_MANAGER: Final = "deepsynth"
PAGE_SIZE: Final = 500
_CONNECT_SECONDS: Final = 10.0
_ANSWER_SECONDS: Final = 60.0
_BAD_FIELDS: Final = "failed to create typed patch object"
"""Server-side apply reads the types of fields before anything checks them: it answers 500 for a mistake of the user."""
_VERBS: Final[Mapping[str, str]] = {"GET": "get", "POST": "create", "PATCH": "patch", "DELETE": "delete"}


class BadFieldsError(InvalidError):
    """Fields of what was applied are unknown or have another type."""


class GoneError(ClientError):
    """410: the resourceVersion of a watch or of a list's page is too old."""


@dataclass(frozen=True)
class Path:
    """A collection, or with `name` an object. plural: such as trainingruns; pods and events have no group."""

    plural: str
    namespace: str | None
    name: str = ""
    part: str = ""

    def __str__(self) -> str:
        is_ours = self.plural in {kind.plural for kind in KINDS.values()}
        root = f"/apis/{API_VERSION}" if is_ours else "/api/v1"
        scope = f"/namespaces/{self.namespace}" if self.namespace is not None else ""
        return "/".join([f"{root}{scope}/{self.plural}", *filter(None, (self.name, self.part))])


class Api:
    """The requests of one user."""

    def __init__(self, login: Login) -> None:
        self.login = login
        self._client: Any = ApiClient(login.configuration)
        self._client.user_agent = "deepsynth"

    def request(
        self,
        method: Method,
        path: Path,
        *,
        query: Mapping[str, str] | None = None,
        body: Any = None,
        content_type: str = "application/json",
    ) -> dict[str, Any]:
        """The answer. Raises ClientError."""
        response = self._send(method, path, query, body=body, content_type=content_type, seconds=_ANSWER_SECONDS)
        text = self._read(response)
        self._check(response.status, text, method, path)
        try:
            answer: dict[str, Any] = json.loads(text)
        except ValueError as error:
            raise UnreachableError(
                f"{self._server}: the answer must be JSON, got {text[:40]!r}; is it an API server?"
            ) from error
        return answer

    def list_all(self, path: Path, query: Mapping[str, str]) -> tuple[list[dict[str, Any]], str]:
        """All objects of a collection and the version of the list. Starts again when its pages expire meanwhile."""
        items: list[dict[str, Any]] = []
        token = ""
        while True:
            try:
                page = self.request("GET", path, query={**query, "limit": str(PAGE_SIZE), "continue": token})
            except GoneError:
                items, token = [], ""
                continue
            items += page.get("items") or []
            token = page["metadata"].get("continue") or ""
            if not token:
                return items, page["metadata"]["resourceVersion"]

    def has_group(self, group: str) -> bool:
        """Whether the server has a group of APIs, such as security.openshift.io. Anyone who is logged in may ask."""
        response = self._send("GET", f"/apis/{group}", None, seconds=_ANSWER_SECONDS)
        self._read(response)
        return bool(response.status == 200)

    @contextmanager
    def stream(
        self, path: Path, query: Mapping[str, str], *, seconds: float | None = None
    ) -> Iterator[Iterator[bytes]]:
        """The lines of an answer that does not end soon. Raises ClientError; inside, UnreachableError if it breaks off.

        seconds: how long it may be silent before it counts as broken.
        """
        response = self._send("GET", path, query, seconds=seconds)
        try:
            if response.status >= 300:
                self._check(response.status, self._read(response), "GET", path)
            yield self._split_lines(response.response)
        finally:
            response.response.close()

    def _split_lines(self, response: Any) -> Iterator[bytes]:
        """What arrived before the connection broke is passed on up to the last whole line."""
        rest = b""
        try:
            for chunk in response.stream(amt=None, decode_content=True):
                *lines, rest = (rest + chunk).split(b"\n")
                yield from lines
        except (HTTPError, OSError) as error:
            raise UnreachableError(f"{self._server} closed the connection: {_describe(error)}") from error
        if rest:
            yield rest

    def _send(
        self,
        method: Method,
        path: Path | str,
        query: Mapping[str, str] | None,
        *,
        body: Any = None,
        content_type: str = "application/json",
        seconds: float | None,
    ) -> Any:
        chosen = [(key, value) for key, value in (query or {}).items() if value]
        headers = {"Accept": "application/json", "Content-Type": content_type}
        try:
            call = self._client.param_serialize(
                method, str(path), query_params=chosen, header_params=headers, body=body, auth_settings=["BearerToken"]
            )
            return self._client.call_api(*call, _request_timeout=(_CONNECT_SECONDS, seconds))
        except (ApiException, HTTPError, OSError) as error:
            raise UnreachableError(
                f"{self._server} (context {self.login.context}) does not answer: {_describe(error)}; check the "
                "network, the VPN and `kubectl cluster-info`, or choose another cluster with --context"
            ) from error

    def _read(self, response: Any) -> bytes:
        try:
            data: bytes = response.read()
        except (HTTPError, OSError) as error:
            raise UnreachableError(f"{self._server} closed the connection: {_describe(error)}; try again") from error
        return data

    def _check(self, status: int, text: bytes, method: Method, path: Path) -> None:
        """Raise unless the answer is a success."""
        if status < 300:
            return
        answer = _parse(text)
        message = " ".join(
            str(answer.get("message") or text.decode(errors="replace")[:200] or f"HTTP {status}").split()
        )
        raise self._build_error(status, answer, message, method, path)

    def _build_error(
        self, status: int, answer: Mapping[str, Any], message: str, method: Method, path: Path
    ) -> ClientError:
        build = _BUILDERS.get(status)
        if build is not None:
            return build(self.login, answer, message, method, path)
        if status == 500 and _BAD_FIELDS in message:
            return BadFieldsError(message)
        if status == 429 or status >= 500:
            return UnreachableError(f"{self._server} cannot answer now (HTTP {status}): {message}; try again")
        return RefusedError(message)

    @property
    def _server(self) -> str:
        return f"the API server {self.login.configuration.host}"


_Builder = Callable[[Login, Mapping[str, Any], str, Method, Path], ClientError]


def _build_unauthorized(login: Login, _: Mapping[str, Any], message: str, __: Method, ___: Path) -> ClientError:
    return ForbiddenError(f"context {login.context}: not logged in ({message}); log in again or renew the token")


def _build_forbidden(login: Login, _: Mapping[str, Any], message: str, method: Method, path: Path) -> ClientError:
    """Names the right that is missing, and the role that has it."""
    verb = "list" if method == "GET" and not path.name else _VERBS[method]
    resource = f"{path.plural}/{path.part}" if path.part else path.plural
    group = f".{GROUP}" if str(path).startswith("/apis/") else ""
    where = f"namespace {path.namespace}" if path.namespace else "all namespaces"
    role = "view" if verb in {"get", "list"} and group else "edit"
    return ForbiddenError(
        f"you may not {verb} {resource}{group} in {where} (context {login.context}); ask for the ClusterRole `{role}` "
        f"there, which DeepSynth's chart extends, or for a Role with the verb {verb} on {resource}{group} [{message}]"
    )


def _build_missing(login: Login, answer: Mapping[str, Any], message: str, _: Method, path: Path) -> ClientError:
    """The API server answers a Status that names the object; for an unknown kind it has none."""
    details = answer.get("details") or {}
    if details.get("kind") == "namespaces":
        return NotFoundError(
            f'namespace "{details.get("name")}" not found in context {login.context}; create it, or use --namespace'
        )
    if str(path).startswith("/apis/") and not details.get("kind"):
        return NoClusterError(
            f"context {login.context}: the API server does not know {path.plural}.{GROUP}; install DeepSynth "
            "(`helm install deepsynth charts/deepsynth`, or its CRDs with `kubectl apply --server-side -f crds/`), or "
            "choose another cluster with --context"
        )
    return NotFoundError(message)


def _build_conflict(_: Login, answer: Mapping[str, Any], message: str, __: Method, ___: Path) -> ClientError:
    causes = (answer.get("details") or {}).get("causes") or []
    if any(cause.get("reason") == "FieldManagerConflict" for cause in causes):
        fields = ", ".join(f"{cause.get('field')} ({cause.get('message')})" for cause in causes)
        return RefusedError(f"others manage fields of this file: {fields}; add --force-conflicts to take them over")
    return RefusedError(f"{message}; try again")


def _build_invalid(_: Login, __: Mapping[str, Any], message: str, ___: Method, ____: Path) -> ClientError:
    return InvalidError(message)


def _build_gone(_: Login, __: Mapping[str, Any], message: str, ___: Method, ____: Path) -> ClientError:
    return GoneError(message)


_BUILDERS: Final[Mapping[int, _Builder]] = {
    400: _build_invalid,
    401: _build_unauthorized,
    403: _build_forbidden,
    404: _build_missing,
    409: _build_conflict,
    410: _build_gone,
    422: _build_invalid,
}


def _parse(text: bytes) -> dict[str, Any]:
    """The Status of an answer; empty for anything else."""
    try:
        answer = json.loads(text)
    except ValueError:
        return {}
    return answer if isinstance(answer, dict) else {}


def _describe(error: Exception) -> str:
    """The cause, without the library's object addresses."""
    reason = getattr(error, "reason", None) or error
    return " ".join(str(reason).rpartition(">: ")[2].split()) or type(reason).__name__
