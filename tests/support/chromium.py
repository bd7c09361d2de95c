"""A headless Chromium, driven over its own protocol: enough of it to look at a page as a person does."""

from __future__ import annotations

import base64
import json
import os
import shutil
import signal
import subprocess
import time
import urllib.request
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from websockets.sync.client import connect

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from websockets.sync.client import ClientConnection

SECONDS = 60


def binary() -> str | None:
    """The browser: TIDELINE_CHROMIUM, or one on the path; None where there is none."""
    named = os.environ.get("TIDELINE_CHROMIUM")
    return named or next(
        filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
    )


class Browser:
    """One tab."""

    def __init__(self, socket: ClientConnection) -> None:
        self._socket = socket
        self._number = 0
        self.console: list[str] = []

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """One command and its result; what the console says meanwhile is kept."""
        self._number += 1
        self._socket.send(json.dumps({"id": self._number, "method": method, "params": parameters}))
        while True:
            reply = json.loads(self._socket.recv(SECONDS))
            if reply.get("id") == self._number:
                assert "error" not in reply, reply
                return reply["result"]
            if reply.get("method") in ("Log.entryAdded", "Runtime.exceptionThrown"):
                self.console.append(json.dumps(reply["params"])[:2000])

    def log_in(self, url: str, token: str) -> None:
        self.call("Network.setCookie", name="_token", value=token, url=url)

    def open(self, url: str) -> None:
        self.call("Page.navigate", url=url)
        self.wait_for("document.readyState === 'complete'")

    def js(self, expression: str) -> Any:
        found = self.call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        return found["result"].get("value")

    def wait_for(self, expression: str) -> Any:
        deadline = time.monotonic() + SECONDS
        while time.monotonic() < deadline:
            # a node has no value of its own that could travel
            found = self.js(
                f"(() => {{ try {{ const v = {expression}; return v instanceof Node ? true : v }} "
                "catch { return null } })()"
            )
            if found:
                return found
            time.sleep(0.1)
        raise AssertionError(f"never came true: {expression}; at {self.js('location.href')}; {self.console}")

    def scheme(self, name: str) -> None:
        """`light` or `dark`, as the system would say."""
        self.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": name}])

    def screenshot(self, path: Path, *, whole: bool = False) -> None:
        shot = self.call("Page.captureScreenshot", format="png", captureBeyondViewport=whole)
        path.write_bytes(base64.b64decode(shot["data"]))


@contextmanager
def chromium(folder: Path, width: int = 1440, height: int = 900) -> Iterator[Browser]:
    """A browser with an empty profile; ends with everything it started."""
    command = [
        str(binary()), "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
        "--disable-background-networking", "--disable-component-update", "--remote-debugging-port=0",
        f"--user-data-dir={folder}", f"--window-size={width},{height}", "about:blank",
    ]  # fmt: skip
    with (folder / "chromium.log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True)
    try:
        with connect(_address(folder, process), max_size=None) as socket:
            browser = Browser(socket)
            for domain in ("Page", "Network", "Runtime", "Log"):
                browser.call(f"{domain}.enable")
            yield browser
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _address(folder: Path, process: subprocess.Popen[bytes]) -> str:
    """The tab's socket, once the browser has said its port."""
    said = folder / "DevToolsActivePort"
    deadline = time.monotonic() + SECONDS
    while not (said.exists() and said.read_text().strip()):
        assert process.poll() is None, (folder / "chromium.log").read_text(errors="replace")
        assert time.monotonic() < deadline, "Chromium does not say its port"
        time.sleep(0.05)
    port = said.read_text().split()[0]
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/json/list", timeout=SECONDS) as reply:
        return next(tab["webSocketDebuggerUrl"] for tab in json.load(reply) if tab["type"] == "page")
