"""What holds for every answer: its headers, the hosts that may be asked for, and who may send a form.

Names, messages, texts and files that pages show are untrusted. Templates escape them; the policy makes sure that
a script which got in all the same would not run, and that nothing could be sent elsewhere.
"""

from collections.abc import Collection, Mapping
from typing import Final

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

HEADERS: Final[Mapping[str, str]] = {
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; "
        "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
}
_PROBES: Final = frozenset({"/healthz", "/readyz"})
"""Asked for by the address of the pod, and they show nothing of a resource."""
LOOPBACK: Final = frozenset({"localhost", "127.0.0.1", "::1"})


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches a server that listens on `host`."""
    return host in LOOPBACK or host.startswith("127.")


def get_host(header: str) -> str:
    """The host of a Host header, without its port: [::1]:8080 -> ::1."""
    if header.startswith("["):
        return header[1:].partition("]")[0]
    return header.rpartition(":")[0] if ":" in header else header


class Guard:
    """ASGI middleware. hosts: names under which the server answers; empty for all.

    A server on loopback, or behind `kubectl port-forward`, has no login: it is protected by the machine. A web page
    elsewhere whose name resolves to 127.0.0.1 could read it through the user's browser, unless names are checked (DNS
    rebinding).
    """

    def __init__(self, app: ASGIApp, hosts: Collection[str] = ()) -> None:
        self._app, self._hosts = app, frozenset(hosts)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def send_guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers[name] = value
                headers.setdefault("Cache-Control", "no-store")
            await send(message)

        refusal = self._refuse(scope["method"], scope["path"], Headers(scope=scope))
        app = self._app if refusal is None else refusal
        await app(scope, receive, send_guarded)

    def _refuse(self, method: str, path: str, headers: Headers) -> PlainTextResponse | None:
        host = get_host(headers.get("host", ""))
        if self._hosts and host not in self._hosts and path not in _PROBES:
            return PlainTextResponse(f"this page is not {host[:100]}\n", status_code=421)
        if method not in {"GET", "HEAD"} and headers.get("sec-fetch-site") != "same-origin":
            return PlainTextResponse("only a form of this page may do this\n", status_code=403)
        return None
