"""The app in a real browser: every page renders, a filter changes figures, and text of data is not executed."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import chromium
import pytest

from conftest import PROJECT
from dashboard import app
from dashboard.app import PAGES

pytestmark = pytest.mark.skipif(chromium.installed() is None, reason="no Chromium on PATH")


@pytest.fixture(scope="module")
def site(warehouse, tmp_path_factory):
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    env = {
        **{k: v for k, v in os.environ.items() if not k.startswith(("TIDELINE_", "BIGQUERY_"))},
        "TIDELINE_PROJECT": PROJECT,
        "BIGQUERY_EMULATOR_HOST": warehouse.url,
        "PYTHONPATH": str(Path(app.__file__).parents[1]),
        "STREAMLIT_BROWSER_GATHER_USAGE_STATS": "false",
    }
    command = [sys.executable, "-m", "streamlit", "run", app.__file__, "--server.headless", "true"]
    command += ["--server.address", "127.0.0.1", "--server.port", str(port)]
    log = tmp_path_factory.mktemp("site") / "streamlit.log"
    with log.open("wb") as output:
        process = subprocess.Popen(command, env=env, stdout=output, stderr=subprocess.STDOUT)
    try:
        _wait(f"http://127.0.0.1:{port}/_stcore/health", process, log)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(30)


def _wait(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    deadline = time.monotonic() + chromium.DEADLINE_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        try:
            with opener.open(url, timeout=5) as answer:
                if answer.status == 200:
                    return
        except (urllib.error.URLError, OSError):
            time.sleep(0.1)
    raise AssertionError(log.read_text())


@pytest.fixture(scope="module")
def tab(tmp_path_factory):
    with chromium.browser(tmp_path_factory.mktemp("chromium")) as found:
        yield found


@pytest.mark.parametrize("name", list(PAGES))
def test_pages_render(site, tab, name):
    path = "" if name == "products" else name
    tab.open(f"{site}/{path}")
    text = tab.text()
    assert PAGES[name][0] in text
    assert "Data as of" in text
    for wrong in ("Traceback", "Error", "could not be made", "does not answer"):
        assert wrong not in text
    assert tab.evaluate("document.title") != "owned"
    assert tab.evaluate("document.querySelectorAll('img[src=x]').length") == 0


def test_charts_are_drawn(site, tab):
    tab.open(f"{site}/")
    tab.until(
        "document.querySelectorAll('[data-testid=stVegaLiteChart] canvas, [data-testid=stVegaLiteChart] svg').length >= 3"
    )


def test_a_filter_changes_figures(site, tab):
    tab.open(f"{site}/")
    tab.until("document.body.innerText.includes('$150.50')")
    tab.evaluate("document.querySelector('[data-testid=stMultiSelect] input').focus()")
    tab.send("Input.insertText", text="tops")
    for kind in ("rawKeyDown", "keyUp"):
        tab.send("Input.dispatchKeyEvent", type=kind, key="Enter", code="Enter", windowsVirtualKeyCode=13)
    tab.until("document.body.innerText.includes('$100.00') && !document.body.innerText.includes('$150.50')")


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_it_is_dark_where_the_reader_is(site, tab, dark):
    tab.open(f"{site}/money", dark=dark)
    colour = tab.evaluate("getComputedStyle(document.querySelector('[data-testid=stApp]')).backgroundColor")
    brightness = sum(int(part) for part in colour.strip("rgba()").split(",")[:3])
    assert (brightness < 300) == dark, colour
