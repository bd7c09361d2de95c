"""The dashboard's pages in a headless Chromium: from a click until it stands, by the browser's clock."""

from __future__ import annotations

import os
import socket
import statistics
import subprocess
import time
import urllib.request
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.paths import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator

START_SECONDS = 60
ROUNDS = 3
OPENED_ON = "Products"
"""With this page the app itself is loaded: its first time is that of a browser's cache, and not counted."""
PERIODS = 2
"""How often the period is changed on a page: each time to one that nobody has asked for yet."""
LINKS = "[...document.querySelectorAll('[data-testid=stSidebarNavLink]')]"
NOTHING_WRONG = """(() => {
    const text = document.body.innerText;
    const wrong = ["Traceback", "could not be made", "does not answer", "not built yet"];
    return !wrong.some(words => text.includes(words));
})()"""
STANDS = """
    const app = document.querySelector('[data-testid=stApp]');
    const state = app && app.dataset.testScriptState;
    const drawn = [...document.querySelectorAll('[data-testid=stVegaLiteChart]')]
        .every(chart => chart.querySelector('canvas, svg'));
    const stands = state === 'notRunning' && drawn && !document.querySelector('[data-stale=true]');
"""
UNTIL = """new Promise(resolve => {
    const began = performance.now();
    let ran = false;
    %(act)s;
    const look = () => {
        %(stands)s
        ran = ran || (%(begun)s);
        const seconds = (performance.now() - began) / 1000;
        if (ran && stands) resolve(seconds);
        else if (seconds > 50) resolve(-1);
        else requestAnimationFrame(look);
    };
    look();
})"""


def show(*, warehouse: str, python: str, folder: str) -> dict[str, Any]:
    """Seconds of each page: opened for the first time, again, and with another period."""
    from chromium import binary, chromium

    if binary() is None:
        raise RuntimeError("there is no Chromium")
    profile = Path(folder)
    profile.mkdir(parents=True, exist_ok=True)
    with _site(warehouse, python, profile / "streamlit.log") as url, chromium(profile) as browser:
        browser.open(url)
        _timed(browser, "", f"document.querySelector('h1')?.innerText === '{OPENED_ON}'")
        titles = [text.splitlines()[-1] for text in browser.js(f"{LINKS}.map(link => link.innerText.trim())")]
        first = {title: _visit(browser, title) for title in titles if title != OPENED_ON}
        again: dict[str, list[float]] = {title: [] for title in titles}
        for _ in range(ROUNDS):
            for title in titles:
                again[title].append(_visit(browser, title))
        filtered = {title: _filters(browser, title) for title in titles}
    return {
        "pages": {
            title: {
                "first": first.get(title),
                "again": statistics.median(again[title]),
                "filter": max(filtered[title], default=None),
            }
            for title in titles
        }
    }


def _visit(browser: Any, title: str) -> float:
    click = f"{LINKS}.find(link => link.innerText.trim().endsWith({title!r})).click()"
    return _timed(browser, click, f"document.querySelector('h1')?.innerText === {title!r}")


def _filters(browser: Any, title: str) -> list[float]:
    _visit(browser, title)
    box = "document.querySelector('[data-testid=stSidebar] [data-testid=stSelectbox] input')"
    if not browser.js(f"{box} !== null"):
        return []
    found = []
    for number in range(PERIODS):
        browser.js(f"{box}.focus()")
        for name, code in (("ArrowDown", 40), ("ArrowDown", 40)):
            _key(browser, name, code)
        browser.wait_for("document.querySelectorAll('[role=option]').length > 3")
        choose = f"document.querySelectorAll('[role=option]')[{2 + number}].click()"
        found.append(_timed(browser, choose, "state === 'running'"))
    return found


def _key(browser: Any, name: str, code: int) -> None:
    for kind in ("rawKeyDown", "keyUp"):
        browser.call("Input.dispatchKeyEvent", type=kind, key=name, code=name, windowsVirtualKeyCode=code)


def _timed(browser: Any, act: str, begun: str) -> float:
    seconds = browser.js(UNTIL % {"act": act, "begun": begun, "stands": STANDS})
    if seconds < 0 or not browser.js(NOTHING_WRONG):
        raise RuntimeError(f"the page never stood after {act}: {browser.js('document.body.innerText')[:500]}")
    return float(seconds)


@contextmanager
def _site(warehouse: str, python: str, log: Path) -> Iterator[str]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    env = {
        **os.environ,
        "BIGQUERY_EMULATOR_HOST": warehouse,
        "PYTHONPATH": str(ROOT / "include"),
        "STREAMLIT_BROWSER_GATHER_USAGE_STATS": "false",
    }
    command = [python, "-m", "streamlit", "run", str(ROOT / "include" / "dashboard" / "app.py")]
    command += ["--server.headless", "true", "--server.address", "127.0.0.1", "--server.port", str(port)]
    with log.open("wb") as sink:
        process = subprocess.Popen(command, env=env, stdout=sink, stderr=sink)
    try:
        _wait_for(f"http://127.0.0.1:{port}/_stcore/health", process, log)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait()


def _wait_for(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    deadline = time.monotonic() + START_SECONDS
    while process.poll() is None and time.monotonic() < deadline:
        try:
            with opener.open(url, timeout=5):
                return
        except OSError:
            time.sleep(0.05)
    raise RuntimeError(f"the dashboard does not start: {log.read_text(errors='replace')[-500:]}")
