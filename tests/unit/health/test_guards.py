"""The page behind Airflow's login: nobody in without it, nothing shown, nothing to write."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import pytest

from tideline.errors import SettingsError

ROOT = Path(__file__).parents[3]
PLUGIN = ROOT / "plugins" / "tideline_health.py"
PAGES = [
    "/tideline/",
    "/tideline/dataset?dataset=shop_mongodb.orders",
    "/tideline/load?load=x",
    "/tideline/evidence?load=x",
    "/tideline/form?verb=replay&dataset=shop_mongodb.orders",
    "/tideline/page.css",
    "/tideline/page.js",
    "/tideline/docs",
    "/tideline/redoc",
    "/tideline/openapi.json",
    "/tideline/nothing/here",
]

pytestmark = [pytest.mark.airflow, pytest.mark.filterwarnings("ignore::DeprecationWarning")]


@pytest.fixture(autouse=True)
def _no_deployment(monkeypatch):
    """Whoever gets in sees the page that says what is missing."""

    @contextmanager
    def closed(settings=None):
        raise SettingsError("the page was opened", remedy="nothing")
        yield

    monkeypatch.setattr("tideline.connections.open_deployment", closed)


@pytest.mark.parametrize("path", PAGES)
def test_without_login_there_is_nothing(airflow, path):
    reply = airflow.client.get(path)
    assert reply.status_code == 401
    assert reply.json() == {"detail": "Not authenticated"}
    assert reply.headers["Content-Security-Policy"].startswith("default-src 'none'")


@pytest.mark.parametrize("path", PAGES)
def test_a_forged_cookie_is_forbidden(airflow, path):
    reply = airflow.client.get(path, headers={"Cookie": "_token=eyJhbGciOiJub25lIn0.eyJzdWIiOiJhbm5hIn0."})
    assert reply.status_code == 403
    assert "the page was opened" not in reply.text


@pytest.mark.parametrize("user", ["anna", "vera"])
@pytest.mark.parametrize("how", ["cookie", "bearer"])
def test_users_get_in(airflow, user, how):
    token = airflow.tokens[user]
    headers = {"Cookie": f"_token={token}"} if how == "cookie" else {"Authorization": f"Bearer {token}"}
    reply = airflow.client.get("/tideline/", headers=headers)
    assert (reply.status_code, "the page was opened" in reply.text) == (503, True)
    assert airflow.client.get("/tideline/page.css", headers=headers).status_code == 200
    assert airflow.client.get("/tideline/docs", headers=headers).status_code == 404


def test_who_may_not_read_the_hourly_dag_is_forbidden(airflow, monkeypatch):
    from airflow.api_fastapi.auth.managers.simple.simple_auth_manager import SimpleAuthManager

    asked = []

    def refuse(self, *, method, user, access_entity=None, details=None):
        asked.append((method, access_entity.name, details.id))
        return False

    monkeypatch.setattr(SimpleAuthManager, "is_authorized_dag", refuse)
    reply = airflow.client.get("/tideline/", headers={"Authorization": f"Bearer {airflow.tokens['vera']}"})
    assert (reply.status_code, reply.json()) == (403, {"detail": "Forbidden"})
    assert asked == [("GET", "TASK_LOGS", "tideline_hourly")]


@pytest.mark.parametrize("method", ["post", "put", "patch", "delete"])
def test_nothing_can_be_written(airflow, method):
    headers = {"Authorization": f"Bearer {airflow.tokens['anna']}"}
    for path in PAGES:
        assert getattr(airflow.client, method)(path, headers=headers).status_code in (404, 405)


def test_it_is_in_the_menu_and_is_listed_without_being_made(airflow):
    headers = {"Authorization": f"Bearer {airflow.tokens['vera']}"}
    assert airflow.client.get("/api/v2/plugins/importErrors", headers=headers).json()["import_errors"] == []
    listed = airflow.client.get("/api/v2/plugins", headers=headers).json()["plugins"]
    (plugin,) = (plugin for plugin in listed if plugin["name"] == "tideline_health")
    (view,) = plugin["external_views"]
    assert (view["href"], view["url_route"], view["destination"]) == ("/tideline/", "tideline-health", "nav")
    assert plugin["fastapi_apps"][0]["url_prefix"] == "/tideline"


def test_every_process_imports_the_plugin_so_it_is_light():
    program = (
        "import sys, airflow.plugins_manager; before = set(sys.modules)\n"
        f"import importlib.util as u; s = u.spec_from_file_location('tideline_health', {str(PLUGIN)!r})\n"
        "m = u.module_from_spec(s); s.loader.exec_module(m)\n"
        "print(sorted({n.split('.')[0] for n in set(sys.modules) - before}))"
    )
    done = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
    assert done.stdout.splitlines()[-1] == "[]"


@pytest.mark.parametrize(
    ("base_url", "href"),
    [("", "/tideline/"), ("http://x/", "/tideline/"), ("https://x/deep/airflow", "/deep/airflow/tideline/")],
)
def test_the_menu_leads_to_where_airflow_is_served(monkeypatch, base_url, href):
    monkeypatch.setenv("AIRFLOW__API__BASE_URL", base_url)
    spec = importlib.util.spec_from_file_location("tideline_health_again", PLUGIN)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert module.TidelineHealthPlugin.external_views[0]["href"] == href
