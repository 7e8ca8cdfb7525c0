"""The API server's JSON as it comes, without types: the benchmark must take little of the processors it shares."""

import asyncio
import json
import ssl
from collections.abc import AsyncIterator
from types import TracebackType
from typing import Any, Final, Self

import aiohttp

from deepsynth_api.kinds import API_VERSION, KINDS
from deepsynth_cluster.clusters.bare import BareCluster

Manifest = dict[str, Any]
MERGE_PATCH: Final = {"Content-Type": "application/merge-patch+json"}
WATCH_SECONDS: Final = 3600


class ApiClient:
    """An administrator. Paths begin with `/api` or `/apis`."""

    def __init__(self, cluster: BareCluster) -> None:
        known = json.loads(cluster.kubeconfig.read_text())["clusters"][0]["cluster"]
        authority = cluster.control_plane.authority
        admin = authority.pair("admin")
        context = ssl.create_default_context(cafile=str(authority.own.certificate))
        context.load_cert_chain(admin.certificate, admin.key)
        self._session = aiohttp.ClientSession(
            known["server"], connector=aiohttp.TCPConnector(ssl=context, limit=64), timeout=aiohttp.ClientTimeout(None)
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._session.close()

    async def get(self, path: str) -> Manifest:
        return await self._request("GET", path)

    async def create(self, path: str, manifest: Manifest) -> Manifest:
        return await self._request("POST", path, manifest)

    async def patch(self, path: str, change: Manifest) -> Manifest:
        return await self._request("PATCH", path, change, MERGE_PATCH)

    async def delete(self, path: str, options: Manifest | None = None) -> Manifest:
        return await self._request("DELETE", path, options or {})

    async def watch(self, path: str) -> AsyncIterator[tuple[str, Manifest]]:
        """(ADDED, MODIFIED or DELETED, object), starting with what there is. Lost connections are opened again."""
        query = {"watch": "1", "timeoutSeconds": str(WATCH_SECONDS)}
        while True:
            try:
                async with self._session.get(path, params=query) as answer:
                    answer.raise_for_status()
                    async for event in _read_events(answer):
                        yield event
            except (aiohttp.ClientError, TimeoutError):
                await asyncio.sleep(0.5)

    async def _request(
        self, verb: str, path: str, body: Manifest | None = None, headers: dict[str, str] | None = None
    ) -> Manifest:
        async with self._session.request(verb, path, json=body, headers=headers) as answer:
            if answer.status >= 400 and answer.status not in {404, 409}:
                raise RuntimeError(f"{verb} {path}: {answer.status} {(await answer.text())[:500]}")
            found: Manifest = await answer.json()
            return found


async def _read_events(answer: aiohttp.ClientResponse) -> AsyncIterator[tuple[str, Manifest]]:
    """Up to an error, such as an expired version. One line is one event; aiohttp's readline takes only short ones."""
    rest = b""
    async for chunk in answer.content.iter_any():
        *lines, rest = (rest + chunk).split(b"\n")
        for line in lines:
            event = json.loads(line)
            if event["type"] == "ERROR":
                return
            yield event["type"], event["object"]


def build_path(kind: str, namespace: str, name: str = "") -> str:
    """The path of one of our resources, or of all in a namespace."""
    return f"/apis/{API_VERSION}/namespaces/{namespace}/{KINDS[kind].plural}" + (f"/{name}" if name else "")
