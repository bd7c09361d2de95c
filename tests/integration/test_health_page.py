"""The health page in a real API server, read by a real browser: login, frame, links, hostile bytes, failures.

Takes a minute or two, so it runs where TIDELINE_TEST_SCHEDULER=1 (CI), as the scheduler's test does.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import time
import urllib.error
import urllib.request
from pathlib import Path
from types import SimpleNamespace
from urllib.parse import quote

import pytest
from chromium import binary, chromium

from devstack import airflow_home
from devstack.process import free_port

BOUND_SECONDS = 120
SHOTS = os.environ.get("TIDELINE_SCREENSHOTS")
ATTACK = '<img src=x onerror=alert(1)><script>document["title"]="taken"</script>'

pytestmark = [
    pytest.mark.integration,
    pytest.mark.timeout(900),
    pytest.mark.skipif(
        os.environ.get("TIDELINE_TEST_SCHEDULER") != "1",
        reason="set TIDELINE_TEST_SCHEDULER=1 to start Airflow",
    ),
]
needs_browser = pytest.mark.skipif(
    binary() is None, reason="no Chromium: install one, or name it in TIDELINE_CHROMIUM"
)


@pytest.fixture(scope="module")
def loaded(world):
    """Two hours of the shop, and a row and a field that attack whoever shows them."""
    for hour in range(2):
        world.shop.advance(hour, world.targets)
        if hour == 1:
            collection = world.deployment.open_source(
                world.deployment.catalog.source_of(world.deployment.catalog.dataset("shop_mongodb.customers"))
            )["shop"]["customers"]
            stamp = collection.find_one({"_id": {"$exists": True}}, sort=[("updated_at", -1)])["updated_at"]
            collection.insert_one({"_id": "attack-1", "birth_date": ATTACK, "updated_at": stamp})
            collection.insert_one({"_id": "attack-2", ATTACK: ATTACK, "updated_at": stamp})
        world.run(world.request(hour))
    return world


@pytest.fixture(scope="module")
def server(loaded, tmp_path_factory):
    """`airflow api-server` with the deployment's environment."""
    home = tmp_path_factory.mktemp("airflow")
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    env = airflow_home.environment(home, loaded.stack.environment, "local") | {
        "AIRFLOW__API__BASE_URL": url,
        "AIRFLOW__API__WORKERS": "1",
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS": "vera:viewer",
        "AIRFLOW__API_AUTH__JWT_SECRET": "for this test only " * 4,
        "TIDELINE_DEADLINE_SECONDS": "60",
        airflow_home.MARK: str(home),
    }
    (home / "simple_auth_manager_passwords.json.generated").write_text('{"vera": "v"}')
    airflow_home.migrate(env, home / "migrate.log")
    command = [str(airflow_home.BIN / "airflow"), "api-server", "--host", "127.0.0.1", "--port", str(port)]
    with (home / "api.log").open("wb") as log:
        process = subprocess.Popen(command, env=env, stdout=log, stderr=log, start_new_session=True)
    try:
        _until_it_answers(url, process, home / "api.log")
        body = json.dumps({"username": "vera", "password": "v"}).encode()
        login = urllib.request.Request(f"{url}/auth/token", body, {"Content-Type": "application/json"})
        with urllib.request.urlopen(login, timeout=30) as reply:
            token = json.load(reply)["access_token"]
        yield SimpleNamespace(url=url, token=token, log=home / "api.log")
    finally:
        airflow_home.stop_group(process, str(home))


def _until_it_answers(url, process, log):
    deadline = time.monotonic() + BOUND_SECONDS
    while time.monotonic() < deadline:
        assert process.poll() is None, log.read_text(errors="replace")
        try:
            with urllib.request.urlopen(f"{url}/api/v2/version", timeout=5):
                return
        except OSError:
            time.sleep(0.3)
    raise AssertionError(log.read_text(errors="replace"))


def get(server, path, *, token=None):
    request = urllib.request.Request(
        server.url + path, headers={"Cookie": f"_token={token}"} if token else {}
    )
    try:
        with urllib.request.urlopen(request, timeout=90) as reply:
            return reply.status, reply.headers, reply.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.headers, error.read().decode()


@pytest.mark.parametrize(
    "path", ["/tideline/", "/tideline/dataset?dataset=shop_mongodb.orders", "/tideline/docs"]
)
def test_without_login_401_and_nothing_of_the_data(server, path):
    status, headers, body = get(server, path)
    assert (status, json.loads(body)) == (401, {"detail": "Not authenticated"})
    assert headers["Content-Type"] == "application/json"
    assert get(server, path, token="forged")[0] == 403


def test_every_page_answers_and_every_link_of_it_leads_somewhere(server, loaded):
    seen, waiting = set(), ["/tideline/"]
    while waiting and len(seen) < 60:
        path = waiting.pop(0)
        seen.add(path)
        status, headers, body = get(server, path, token=server.token)
        assert status == 200, (path, status, body[-2000:])
        assert headers["Content-Security-Policy"].startswith("default-src 'none'")
        assert not re.search(r"""(src|href)=["'](https?:)?//""", body)
        links = re.findall(r'href="(/tideline/[^"#]*)', body)
        waiting += [link.replace("&amp;", "&") for link in dict.fromkeys(links)]
        waiting = [link for link in dict.fromkeys(waiting) if link not in seen]
    kinds = {re.sub(r"[?].*", "", path) for path in seen}
    assert kinds >= {
        "/tideline/",
        "/tideline/dataset",
        "/tideline/load",
        "/tideline/evidence",
        "/tideline/form",
    }
    assert (
        loaded.deployment.catalog.datasets[0].dataset_id in get(server, "/tideline/", token=server.token)[2]
    )


@pytest.fixture
def browser(server, tmp_path):
    with chromium(tmp_path) as opened:
        opened.log_in(server.url, server.token)
        yield opened


FRAME = "document.querySelector('iframe').contentDocument"


def shoot(browser, name, *, whole=False):
    if SHOTS:
        browser.screenshot(Path(SHOTS) / f"{name}.png", whole=whole)


@needs_browser
def test_it_stands_inside_airflow_and_its_links_open_airflows_pages(server, browser):
    browser.open(f"{server.url}/plugin/tideline-health")
    rows = browser.wait_for(f"{FRAME}.querySelectorAll('tbody tr').length")
    assert rows >= 11
    shoot(browser, "inside-airflow")
    browser.js(f"{FRAME}.querySelector('a[href*=\"dataset=shop_mongodb.orders\"]').click()")
    browser.wait_for(f"{FRAME}.querySelector('h1').textContent === 'shop_mongodb.orders'")
    browser.wait_for("location.pathname.startsWith('/plugin/tideline-health/tideline/dataset')")
    shoot(browser, "inside-airflow-dataset")
    browser.js(f"{FRAME}.querySelector('a[href*=\"verb=backfill\"]').click()")
    browser.wait_for(f"{FRAME}.querySelector('h1').textContent.startsWith('Backfill')")
    assert "shop_mongodb.orders" in browser.js(f"{FRAME}.querySelector('pre').textContent")
    shoot(browser, "inside-airflow-form")
    browser.js(f"{FRAME}.querySelector('a[target=_top]').click()")
    browser.wait_for("location.pathname === '/dags/tideline_hourly' && !document.querySelector('iframe')")


@needs_browser
def test_light_and_dark_and_nothing_breaks_the_rules_it_was_sent_with(server, browser):
    pages = {
        "overview": "/tideline/",
        "dataset": "/tideline/dataset?dataset=shop_mongodb.customers",
        "form": "/tideline/form?verb=replay&dataset=shop_mongodb.orders&start=2026-03-14T09:00&end=2026-03-14T10:00",
        "missing": "/tideline/load?load=nothing",
    }
    backgrounds = set()
    for scheme in ("light", "dark"):
        browser.scheme(scheme)
        for name, path in pages.items():
            browser.open(server.url + path)
            browser.wait_for("document.querySelector('h1, .tiles')")
            shoot(browser, f"{name}-{scheme}", whole=True)
            assert browser.js("document.documentElement.scrollWidth <= document.documentElement.clientWidth")
        backgrounds.add(browser.js("getComputedStyle(document.body).backgroundColor"))
    assert len(backgrounds) == 2
    assert [line for line in browser.console if "404" not in line] == []


@needs_browser
def test_refused_bytes_and_hostile_fields_are_shown_as_text(server, browser):
    browser.open(f"{server.url}/tideline/dataset?dataset=shop_mongodb.customers")
    assert ATTACK in browser.js("document.querySelector('#drift + .scroll').textContent")
    shoot(browser, "hostile-drift", whole=True)
    browser.js("document.querySelector('#refused + .scroll a').click()")
    browser.wait_for(
        f"[...document.querySelectorAll('article pre')].some(p => p.textContent.includes({ATTACK!r}))"
    )
    shoot(browser, "evidence", whole=True)
    assert "taken" not in browser.js("document.title")
    assert browser.js("document.querySelectorAll('article img, article script').length") == 0


def test_a_warehouse_that_is_down_is_said_plainly(server, loaded):
    loaded.stack._emulator.stop()  # the last test of the file
    status, _, body = get(
        server, f"/tideline/load?load={quote('shop_mongodb.orders:x:y')}", token=server.token
    )
    assert status == 503
    assert "The warehouse does not answer" in body
    assert "Traceback" not in body
