"""Airflow's own security in front of the page, users of every kind, and a deployment made of values."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from ledgers import kit, ledger, warehouse

__all__ = ["airflow", "airflow_home", "kit", "ledger", "warehouse"]


@pytest.fixture(scope="session")
def airflow_home() -> Path:
    """The home that the root conftest chose, with a migrated database."""
    home = Path(os.environ["AIRFLOW_HOME"])
    if not (home / "airflow.db").exists():
        subprocess.run([sys.executable, "-m", "airflow", "db", "migrate"], check=True, capture_output=True)
    return home


@pytest.fixture(scope="session")
def airflow(airflow_home):
    """The API server's application with the plugin in it, and a token for each role."""
    os.environ["AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS"] = "anna:admin,vera:viewer"
    os.environ["AIRFLOW__API_AUTH__JWT_SECRET"] = "for these tests only " * 4
    passwords = airflow_home / "simple_auth_manager_passwords.json.generated"
    passwords.write_text(json.dumps({"anna": "a", "vera": "v"}))
    from airflow.api_fastapi.app import create_app
    from fastapi.testclient import TestClient

    client = TestClient(create_app(apps="core"), base_url="http://airflow.test", follow_redirects=False)
    tokens = {
        name: client.post("/auth/token", json={"username": name, "password": password}).json()["access_token"]
        for name, password in (("anna", "a"), ("vera", "v"))
    }
    return SimpleNamespace(client=client, tokens=tokens)
