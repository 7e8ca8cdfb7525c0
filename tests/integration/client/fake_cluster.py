"""What the client needs of a cluster beyond the fake API server: logs, selectors, CRDs that may be missing, volumes."""

import asyncio
import json
import os
import subprocess
import sys
from collections import defaultdict
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from aiohttp import web

from deepsynth_api.crd.schema import NEW_STATUS
from deepsynth_api.kinds import KINDS
from deepsynth_api.workload import VOLUMES_PATH
from deepsynth_client.interface import Manifest, Selection
from deepsynth_client.selectors import build_filter
from deepsynth_operator.kubernetes.api.api_paths import RESOURCES
from integration.kubernetes_client.fake_watches import WatchedApiServer

_START = datetime(2026, 1, 2, 3, 0, tzinfo=UTC)


class FakeCluster(WatchedApiServer):
    """volumes: a folder with one folder per claim, for the pods that read files. secrets: variables of these pods, by
    the name of the Secret. logs: lines and times, by pod.
    """

    def __init__(self, volumes: Path) -> None:
        super().__init__()
        self.volumes = volumes
        self.secrets: dict[str, dict[str, str]] = {}
        self.has_crds = self.has_claims = True
        self.is_openshift = False
        self.users: list[int | None] = []
        """runAsUser of the pods that read files."""
        self.log_cuts = 0
        """How many of the next log streams break after one line."""
        self.logs: dict[str, list[tuple[str, str]]] = defaultdict(list)

    def write_log(self, pod: str, *lines: str) -> None:
        known = self.logs[pod]
        known += [(_stamp(len(known) + number), line) for number, line in enumerate(lines)]

    def finish(self, pod: str) -> None:
        """The pod ends, and its log."""
        found = self.get("Pod", pod)
        assert found is not None
        self.put({**found, "status": {**found["status"], "phase": "Succeeded"}})

    async def respond(self, request: web.Request, body: Any) -> web.StreamResponse:
        if not self.has_crds and request.path.startswith("/apis/deepsynth.io/"):
            return web.Response(status=404, text="404 page not found")
        if request.path == "/apis/security.openshift.io":
            return web.json_response({"kind": "APIGroup"}, status=200 if self.is_openshift else 404)
        if request.path.endswith("/log"):
            return await self._stream_log(request)
        if request.query.get("watch") == "true":
            seconds = int(request.query["timeoutSeconds"])
            asyncio.get_running_loop().call_later(seconds, self._end_watches, set(self._open))
        if request.method == "PATCH" and (found := self.objects.get(request.path)) is not None:
            if not self._changes(found, body):
                return web.json_response(found)
            _raise_generation(body, found)
        elif request.method == "PATCH":
            body = _complete(body)
        answer = await super().respond(request, body)
        if request.method == "POST" and request.path.endswith("/pods"):
            await asyncio.to_thread(self._run, body)
        return _name_missing(request, answer)

    def _end_watches(self, others: set[Any]) -> None:
        """End those that have started since, as the API server does after their time."""
        for send in [send for send in self._open if send not in others]:
            send(None)

    def _list(self, request: web.Request) -> Manifest:
        selection = Selection(request.query.get("labelSelector", ""), "")
        fields = dict(item.split("=") for item in request.query.get("fieldSelector", "").split(",") if item)
        plural = request.path.rpartition("/")[2]
        kind = next(kind for kind, resource in RESOURCES.items() if resource.plural == plural)
        prefix = request.path.rpartition("/")[0]
        items = [
            item
            for path, item in sorted(self.objects.items())
            if item["kind"] == kind
            and path.startswith(prefix)
            and build_filter(selection)(item)
            and all(_find(item, field) == value for field, value in fields.items())
        ]
        version = str(max([99, *(int(item["metadata"]["resourceVersion"]) for item in self.objects.values())]))
        return {"kind": f"{kind}List", "metadata": {"resourceVersion": version}, "items": items}

    def _changes(self, found: Manifest, body: Manifest) -> bool:
        return any(found.get("spec", {}).get(key) != value for key, value in body.get("spec", {}).items())

    async def _stream_log(self, request: web.Request) -> web.StreamResponse:
        pod = request.path.split("/")[-2]
        if (found := self.get("Pod", pod)) is None:
            return _refuse(404, "NotFound", f'pods "{pod}" not found', {"kind": "pods", "name": pod})
        since = request.query.get("sinceTime", "")[:19]  # the API server compares whole seconds
        response = web.StreamResponse()
        await response.prepare(request)
        sent, follows = 0, request.query.get("follow") == "true"
        while True:
            lines = [(time, text) for time, text in self.logs[pod] if time[:19] >= since]
            for time, text in lines[sent:]:
                await response.write(f"{time} {text}\n".encode())
                sent += 1
                if self.log_cuts and request.transport is not None:
                    self.log_cuts -= 1
                    request.transport.abort()
                    return response
            found = self.get("Pod", pod)
            if not follows or found is None or found["status"].get("phase") in {"Succeeded", "Failed"}:
                return response
            await asyncio.sleep(0.01)

    def _run(self, pod: Manifest) -> None:
        """Run the command of a pod on the folders of its claims. Without claims, the scheduler finds no node."""
        self.users.append(pod["spec"]["securityContext"].get("runAsUser"))
        if not self.has_claims:
            claim = pod["spec"]["volumes"][0]["persistentVolumeClaim"]["claimName"]
            message = f'0/3 nodes are available: persistentvolumeclaim "{claim}" not found. preemption: 0/3 nodes'
            unscheduled = {"type": "PodScheduled", "status": "False", "message": message}
            self.put({**pod, "status": {"phase": "Pending", "conditions": [unscheduled]}})
            return
        _, _, source, request = pod["spec"]["containers"][0]["command"]
        request = request.replace(VOLUMES_PATH, str(self.volumes))
        environment = dict(os.environ)
        for reference in pod["spec"]["containers"][0].get("envFrom", ()):
            environment |= self.secrets[reference["secretRef"]["name"]]
        done = subprocess.run(
            [sys.executable, "-c", source, request], capture_output=True, text=True, check=False, env=environment
        )
        name = pod["metadata"]["name"]
        self.write_log(name, *(done.stdout or done.stderr).replace(str(self.volumes), VOLUMES_PATH).splitlines())
        self.put({**pod, "status": {"phase": "Failed" if done.returncode else "Succeeded"}})


def write_kubeconfig(file: Path, port: int, namespace: str = "default") -> None:
    clusters = [{"name": "fake", "cluster": {"server": f"http://127.0.0.1:{port}"}}]
    contexts = [{"name": "fake", "context": {"cluster": "fake", "user": "me", "namespace": namespace}}]
    users = [{"name": "me", "user": {"token": "t"}}]
    document = {"apiVersion": "v1", "kind": "Config", "current-context": "fake"}
    file.write_text(json.dumps({**document, "clusters": clusters, "contexts": contexts, "users": users}))


def _stamp(number: int) -> str:
    """A tenth of a second apart, with two lines at each time."""
    time = _START + timedelta(milliseconds=100 * (number // 2))
    return f"{time:%Y-%m-%dT%H:%M:%S.%f}000Z"


def _complete(body: Manifest) -> Manifest:
    """What the API server adds to a new resource."""
    metadata = {**body["metadata"], "generation": 1, "creationTimestamp": f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}"}
    return {**body, "metadata": metadata, "status": dict(NEW_STATUS)} if body["kind"] in KINDS else body


def _raise_generation(body: Any, found: Manifest) -> None:
    body.setdefault("metadata", {})["generation"] = found["metadata"].get("generation", 1) + 1


def _name_missing(request: web.Request, answer: web.StreamResponse) -> web.StreamResponse:
    """A Status about a missing object names it, as the API server's does."""
    if answer.status != 404:
        return answer
    *_, plural, name = request.path.split("/")
    return _refuse(404, "NotFound", f'{plural}.deepsynth.io "{name}" not found', {"kind": plural, "name": name})


def _refuse(status: int, reason: str, message: str, details: Manifest) -> web.Response:
    body = {"kind": "Status", "reason": reason, "message": message, "details": details, "code": status}
    return web.json_response(body, status=status)


def _find(item: Any, path: str) -> str:
    for key in path.split("."):
        item = item.get(key) or {}
    return str(item or "")
