"""Airflow on a laptop ends as a whole."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import psutil
import pytest
import sqlalchemy

from devstack import airflow_home
from devstack.run import as_deployment

PARENT = """
import subprocess, sys
sleep = [sys.executable, "-c", "import time; time.sleep(60)"]
for start in range(2):
    print(subprocess.Popen(sleep, start_new_session=True).pid, flush=True)
if sys.argv[1] == "waits":
    sys.stdin.read()
"""


@pytest.mark.parametrize("parent", ["waits", "is gone"])
def test_tasks_in_groups_of_their_own_end_with_airflow(parent):
    env = {**os.environ, airflow_home.MARK: "this one"}
    command = [sys.executable, "-c", PARENT, parent]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with (
        subprocess.Popen(command, env=env, start_new_session=True, **pipes) as process,
        subprocess.Popen(command, env={**env, airflow_home.MARK: "other"}, **pipes) as other,
    ):
        tasks, others = (
            [psutil.Process(int(each.stdout.readline())) for _ in range(2)] for each in (process, other)
        )
        if parent == "is gone":
            process.wait()
        airflow_home.stop_group(process, "this one")
        try:
            assert psutil.wait_procs(tasks, timeout=10)[1] == []
            assert all(each.is_running() for each in others)
        finally:
            for each in others:
                each.kill()
            other.kill()


CONFIGURED = """
from airflow.configuration import conf
from airflow.sdk import Connection
print(conf.get("core", "auth_manager"))
print(Connection.get("tideline_lake").host)
"""


def test_another_airflow_of_the_shell_is_left_out(tmp_path, monkeypatch):
    """With its secrets backend, `make run` would have written to the systems that it knows."""
    theirs = tmp_path / "airflow.cfg"
    theirs.write_text("[core]\nauth_manager = theirs\n")
    secrets = tmp_path / "secrets.json"
    secrets.write_text('{"tideline_lake": {"conn_type": "aws", "host": "theirs"}}')
    monkeypatch.setenv("AIRFLOW_CONFIG", str(theirs))
    backend = "airflow.secrets.local_filesystem.LocalFilesystemBackend"
    monkeypatch.setenv("AIRFLOW__SECRETS__BACKEND", backend)
    monkeypatch.setenv("AIRFLOW__SECRETS__BACKEND_KWARGS", f'{{"connections_file_path": "{secrets}"}}')
    ours = {"AIRFLOW_CONN_TIDELINE_LAKE": '{"conn_type": "aws", "host": "ours"}'}
    env = airflow_home.environment(tmp_path / "home", ours, "local")
    done = subprocess.run(
        [sys.executable, "-c", CONFIGURED], env=env, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
    manager, lake = done.stdout.splitlines()[-2:]
    assert "SimpleAuthManager" in manager
    assert lake == "ours"
    with as_deployment(env):
        assert "AIRFLOW__SECRETS__BACKEND" not in os.environ
    assert os.environ["AIRFLOW__SECRETS__BACKEND"] == backend


def test_a_process_waits_for_the_schedulers_writes(tmp_path):
    """`airflow backfill create` beside a busy scheduler: SQLite's own 5 s ended in "database is locked"."""
    url = airflow_home.environment(tmp_path, {}, "local")["AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"]
    engine = sqlalchemy.create_engine(url)
    with engine.connect() as connection:
        waits = connection.exec_driver_sql("PRAGMA busy_timeout").scalar_one()
    engine.dispose()
    assert waits == 1000 * airflow_home.DATABASE_SECONDS >= 60_000
    assert (tmp_path / "airflow.db").exists()


TURN = """
import sqlite3, sys
from airflow import settings
from sqlalchemy import text
settings.initialize()
other = sqlite3.connect(settings.engine.url.database, timeout=0, isolation_level=None)
other.execute("create table runs (id)")
session = settings.Session()
with session.begin_nested():
    session.scalar(text("select count(*) from runs"))
    try:
        other.execute("insert into runs values (1)")
    except sqlite3.OperationalError as error:
        print("the scheduler:", error)
    session.execute(text("insert into runs values (2)"))
print("until the end:", other.execute("select count(*) from runs").fetchone()[0])
session.commit()
print("after it:", other.execute("select id from runs").fetchall())
"""


def test_a_backfill_is_made_in_one_piece_while_the_scheduler_writes(tmp_path):
    """Airflow makes each run of a backfill in a savepoint: reads, then writes."""
    env = airflow_home.environment(tmp_path, {}, "local")
    done = subprocess.run([sys.executable, "-c", TURN], env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout.splitlines()[-3:] == [
        "the scheduler: database is locked",
        "until the end: 0",
        "after it: [(2,)]",
    ]


CLICK = """
import asyncio, threading, time
from airflow import settings
settings.initialize()
from airflow.models import Log
from sqlalchemy import text

Log.metadata.create_all(settings.engine, tables=[Log.__table__])
holder = settings.Session()
holder.execute(text("create table runs (id)"))
holder.execute(text("insert into runs values (1)"))

async def click():
    with settings.NonScopedSession() as session:
        session.add(Log(event="trigger_dag_run", owner="anna"))
        session.commit()

async def serve():
    begun = time.monotonic()
    commits = asyncio.create_task(asyncio.to_thread(holder.commit))  # which only the loop can begin
    await click()
    await commits
    print("waited:", time.monotonic() - begun > 5)

asyncio.run(serve())
for thread in threading.enumerate():
    if thread is not threading.current_thread() and not thread.daemon:
        thread.join()
print(settings.Session().execute(text("select event, owner from log")).fetchall())
"""


def test_a_click_waits_for_no_request_that_waits_for_it(tmp_path):
    """*Trigger*, while tasks write: nobody was answered for two minutes, the click failed, tasks did."""
    env = airflow_home.environment(tmp_path, {}, "local")
    url = env["AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"]
    env |= {"AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": url.replace(f"={airflow_home.DATABASE_SECONDS}", "=10")}
    done = subprocess.run([sys.executable, "-c", CLICK], env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout.splitlines()[-2:] == ["waited: False", "[('trigger_dag_run', 'anna')]"]


class Healthy(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b'{"metadatabase": {"status": "healthy"}, "scheduler": {"status": "healthy"}}')

    def log_message(self, *_):
        pass


def test_its_health_is_asked_for_past_a_proxy(monkeypatch):
    for name in ("HTTP_PROXY", "http_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    with HTTPServer(("127.0.0.1", 0), Healthy) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        assert airflow_home._answers(f"http://127.0.0.1:{server.server_port}/")
        server.shutdown()


def test_the_project_that_is_named_is_parsed(tmp_path, monkeypatch):
    """The DAG reads the manifest of TIDELINE_DBT_DIR, and says `make manifest` where there is none."""
    project = tmp_path / "models of ours"
    (project / "models").mkdir(parents=True)
    (project / "dbt_project.yml").write_text("name: ours\nprofile: tideline\n")
    shutil.copy(airflow_home.DBT / "profiles.yml", project)
    (project / "models" / "one.sql").write_text("select 1 as one")
    monkeypatch.setenv("TIDELINE_DBT_DIR", str(project))

    airflow_home.build_manifest(tmp_path / "dbt.log")

    assert '"model.ours.one"' in (project / "target" / "manifest.json").read_text()


def test_a_model_that_goes_or_comes_with_an_old_time_is_parsed(tmp_path, monkeypatch):
    """`mv` keeps the time of a file, and what is deleted has none."""
    project = tmp_path / "ours"
    (project / "models" / "logs").mkdir(parents=True)
    (project / "dbt_project.yml").write_text("name: ours\nprofile: tideline\n")
    (project / "models" / "one.sql").write_text("select 1 as one")
    monkeypatch.setenv("TIDELINE_DBT_DIR", str(project))

    def parse(command, env, log):
        models = [path.stem for path in sorted((project / "models").rglob("*.sql"))]
        (project / "target").mkdir(exist_ok=True)
        (project / "target" / "manifest.json").write_text(" ".join(models))
        parsed.append(models)

    parsed = []
    monkeypatch.setattr(airflow_home, "_call", parse)
    for _ in range(2):
        airflow_home.build_manifest(tmp_path / "dbt.log")
    (tmp_path / "two.sql").write_text("select 2 as two")
    os.utime(tmp_path / "two.sql", (0, 0))
    (tmp_path / "two.sql").rename(project / "models" / "logs" / "two.sql")
    airflow_home.build_manifest(tmp_path / "dbt.log")
    (project / "models" / "one.sql").unlink()
    for _ in range(2):
        airflow_home.build_manifest(tmp_path / "dbt.log")
    assert parsed == [["one"], ["two", "one"], ["two"]]


@pytest.mark.parametrize("age", [0, 60])
def test_a_manifest_that_dbt_made_is_taken_where_it_is_the_newest(tmp_path, monkeypatch, age):
    """As in the image, in which nothing can be written."""
    project = tmp_path / "ours"
    (project / "target").mkdir(parents=True)
    (project / "dbt_project.yml").write_text("name: ours\nprofile: tideline\n")
    made = (project / "dbt_project.yml").stat().st_mtime + 30 - age
    (project / "target" / "manifest.json").touch()
    os.utime(project / "target" / "manifest.json", (made, made))
    monkeypatch.setenv("TIDELINE_DBT_DIR", str(project))
    parsed = []
    monkeypatch.setattr(airflow_home, "_call", lambda *given: parsed.append(given))
    airflow_home.build_manifest(tmp_path / "dbt.log")
    assert len(parsed) == (1 if age else 0)
    assert (project / "target" / ".made-from").exists() == bool(age)


def test_no_project_is_no_manifest(tmp_path, monkeypatch):
    monkeypatch.setenv("TIDELINE_DBT_DIR", "")
    airflow_home.build_manifest(tmp_path / "dbt.log")
    assert not list(tmp_path.iterdir())
