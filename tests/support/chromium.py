"""A headless Chromium, driven through the DevTools protocol: what a page looks like and does in a real browser.

It is Debian's package, installed by apt where this user may do that. The socket is websocket-client's, which the
Kubernetes client brings.
"""

import base64
import json
import os
import re
import shutil
import subprocess
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final

import pytest
import websocket

_NAMES: Final = ("chromium", "chromium-browser", "google-chrome")
_PATIENCE_SECONDS: Final = 300.0
"""This machine may be busy."""


def find_chromium() -> str:
    """Its program. Skips the test where there is none and none can be installed."""
    found = next(filter(None, map(shutil.which, _NAMES)), None)
    if found is None and os.geteuid() == 0 and shutil.which("apt-get"):
        wait = ["-o", "DPkg::Lock::Timeout=300"]
        subprocess.run(["apt-get", "update", "-qq"], check=False, capture_output=True)
        install = ["apt-get", *wait, "install", "-y", "-qq", "--no-install-recommends", "chromium", "fonts-dejavu-core"]
        subprocess.run(install, check=False, capture_output=True)
        found = shutil.which("chromium")
    if found is None:
        pytest.skip("needs Chromium: install it (Debian: apt-get install chromium) and run the test again")
    return found


class Tab:
    """One page of the browser."""

    def __init__(self, address: str) -> None:
        self._socket = websocket.create_connection(address, timeout=_PATIENCE_SECONDS, suppress_origin=True)
        self._number = 0
        self.events: list[dict[str, Any]] = []
        for domain in ("Page", "Runtime", "Network", "Log", "Performance"):
            self.call(f"{domain}.enable")

    def close(self) -> None:
        self._socket.close()

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """The result of a command. Events that come meanwhile are kept."""
        self._number += 1
        self._socket.send(json.dumps({"id": self._number, "method": method, "params": parameters}))
        while True:
            message: dict[str, Any] = json.loads(self._socket.recv())
            if message.get("id") == self._number:
                assert "error" not in message, message
                result: dict[str, Any] = message["result"]
                return result
            self.events.append(message)

    def open(self, url: str) -> None:
        """Until all it needs is loaded."""
        self.events.clear()
        self.ask("window.isLeft = true")
        self.call("Page.navigate", url=url)
        self.wait_for("!window.isLeft && document.readyState === 'complete'")

    def ask(self, expression: str) -> Any:
        """The value of an expression of JavaScript."""
        answer = self.call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    def wait_for(self, expression: str) -> Any:
        """Until the expression is true."""
        deadline = time.monotonic() + _PATIENCE_SECONDS
        while not (value := self.ask(expression)):
            assert time.monotonic() < deadline, f"never true: {expression}"
            time.sleep(0.05)
        return value

    def press(self, key: str) -> None:
        """A key such as Tab, Enter or a letter."""
        text = {"Enter": "\r", "Tab": "\t"}.get(key, key if len(key) == 1 else "")
        codes = {"Tab": 9, "Enter": 13}
        more = {"text": text} if text else {}
        code = codes.get(key, 0)
        self.call("Input.dispatchKeyEvent", type="keyDown", key=key, windowsVirtualKeyCode=code, **more)
        self.call("Input.dispatchKeyEvent", type="keyUp", key=key, windowsVirtualKeyCode=code)

    def look(self, *, width: int, height: int, dark: bool = False) -> None:
        """The size of the window, and which colors the user prefers."""
        self.call(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=width < 600
        )
        features = [{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}]
        self.call("Emulation.setEmulatedMedia", features=features)

    def take_picture(self, file: Path) -> None:
        """A PNG of the window."""
        file.write_bytes(base64.b64decode(self.call("Page.captureScreenshot", format="png")["data"]))

    def list_complaints(self) -> list[str]:
        """What the browser refused, could not load, or caught as an error of a script, since the page was opened."""
        self.ask("1")
        texts = []
        for event in self.events:
            method, given = event.get("method"), event.get("params", {})
            if method == "Log.entryAdded" and given["entry"]["level"] in {"error", "warning"}:
                texts.append(f"{given['entry']['text']} {given['entry'].get('url', '')}")
            elif method == "Runtime.exceptionThrown":
                texts.append(str(given["exceptionDetails"]))
            elif method == "Network.responseReceived" and given["response"]["status"] >= 400:
                texts.append(f"{given['response']['status']} {given['response']['url']}")
        return texts

    def list_hosts(self) -> set[str]:
        """Which servers the page has asked."""
        sent = [
            event["params"]["request"]["url"]
            for event in self.events
            if event.get("method") == "Network.requestWillBeSent"
        ]
        return {match[1] for url in sent if (match := re.match(r"https?://([^/]+)/", url))}


@contextmanager
def open_browser(folder: Path) -> Iterator[Tab]:
    """A tab of a browser that keeps its files in `folder`."""
    program = find_chromium()
    options = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run"]
    options += ["--disable-background-networking", "--disable-component-update", "--disable-sync"]
    options += ["--remote-debugging-port=0", f"--user-data-dir={folder}", "about:blank"]
    with (folder.parent / "chromium.log").open("w") as log:
        process = subprocess.Popen([program, *options], stdout=log, stderr=log)
    try:
        port = _wait(lambda: _read_port(folder / "DevToolsActivePort", process))
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/json/list", timeout=_PATIENCE_SECONDS) as answer:
            pages = [page for page in json.load(answer) if page["type"] == "page"]
        tab = Tab(pages[0]["webSocketDebuggerUrl"])
        try:
            yield tab
        finally:
            tab.close()
    finally:
        process.terminate()
        process.wait()


def _read_port(file: Path, process: "subprocess.Popen[bytes]") -> str:
    assert process.poll() is None, f"Chromium ended with {process.returncode}"
    with suppress(OSError):
        return file.read_text().partition("\n")[0]
    return ""


def _wait(read: Callable[[], str]) -> str:
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while not (value := read()):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return value
