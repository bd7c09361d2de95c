"""Airflow on a laptop: environment, database, one DAG run, and `standalone` in a process group of its own.

Knows Airflow's switches. Does not know the stand-ins (`devstack.stack`) nor the shop.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
import urllib.error
import urllib.request
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import uuid4

import psutil  # which Airflow itself needs

from devstack.process import free_port, require_free, run
from tideline.catalog.models import manifest_path
from tideline.errors import SettingsError
from tideline.settings import from_environment
from tideline.window import format_instant

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from datetime import datetime

ROOT = Path(__file__).resolve().parents[2]
DBT = ROOT / "dbt"
LOCAL_SETTINGS = ROOT / "include" / "devstack" / "airflow_local_settings.py"
OUR_RULES = ("--warn-error-options", '{"error": ["Deprecations"]}')
"""What `dbt parse` is stricter about in the project that ships than dbt itself."""
BIN = Path(sys.executable).parent
UI_PORT = "TIDELINE_UI_PORT"
START_SECONDS = 180
STOP_SECONDS = 30
DATABASE_SECONDS = 120
"""How long a process waits for another's write to the metadata database."""
MARK = "TIDELINE_STANDALONE"
"""In the environment of one `airflow standalone` and of all that it starts, with a value of its own."""


def environment(home: Path, connections: Mapping[str, str], dbt_mode: str) -> dict[str, str]:
    """The environment of every Airflow process: this one, the connections, and what a laptop needs.

    What a person's shell says of another Airflow is left out: its secrets backend would come before the
    stand-ins' connections, and its file has other bundles, users and keys.
    """
    home.mkdir(parents=True, exist_ok=True)
    others = {n for n in os.environ if n.startswith("AIRFLOW__") or n == "AIRFLOW_CONFIG"}
    env = {
        **{name: value for name, value in os.environ.items() if name not in others},
        **connections,
        "PATH": f"{BIN}{os.pathsep}{os.environ.get('PATH', os.defpath)}",
        "AIRFLOW_HOME": str(home),
        "AIRFLOW__CORE__DAGS_FOLDER": str(ROOT / "dags"),
        "AIRFLOW__CORE__PLUGINS_FOLDER": str(ROOT / "plugins"),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__EXECUTOR": "LocalExecutor",
        "AIRFLOW__CORE__PARALLELISM": str(max(4, os.cpu_count() or 4)),
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": _database(home),
        "AIRFLOW__SCHEDULER__SCHEDULER_IDLE_SLEEP_TIME": "0.1",
        "AIRFLOW__SCHEDULER__ORPHANED_TASKS_CHECK_INTERVAL": "30",
        "AIRFLOW__LOGGING__BASE_LOG_FOLDER": str(home / "logs"),
        "AIRFLOW__USAGE_DATA_COLLECTION__ENABLED": "False",
        "AIRFLOW__COSMOS__ENABLE_TELEMETRY": "False",
        "AIRFLOW__COSMOS__CACHE_DIR": str(home / "cosmos"),
        "DBT_SEND_ANONYMOUS_USAGE_STATS": "false",
        "TIDELINE_DBT_MODE": os.environ.get("TIDELINE_DBT_MODE", dbt_mode),
        "PYTHONUNBUFFERED": "1",
    }
    env.setdefault("TIDELINE_DBT_DIR", str(DBT))
    for folder in ("cosmos", "config"):
        (home / folder).mkdir(exist_ok=True)
    if not (local := home / "config" / LOCAL_SETTINGS.name).exists():  # a running Airflow reads it
        shutil.copy(LOCAL_SETTINGS, local)
    return env


def _database(home: Path) -> str:
    """Four slashes: an absolute path. SQLite waits 5 s by default, less than a busy scheduler writes."""
    return f"sqlite:////{str(home / 'airflow.db').lstrip('/')}?timeout={DATABASE_SECONDS}"


def migrate(env: Mapping[str, str], log: Path) -> None:
    """Make or upgrade the metadata database."""
    _call([str(BIN / "airflow"), "db", "migrate"], env, log)


def test_run(env: Mapping[str, str], logical_date: datetime, conf: Mapping[str, object], log: Path) -> bool:
    """One run of the hourly DAG in one process (`airflow dags test`); whether it succeeded."""
    command = [
        str(BIN / "airflow"), "dags", "test", "tideline_hourly", format_instant(logical_date),
        "--conf", json.dumps(conf),
    ]  # fmt: skip
    return run(command, env, log) == 0 and _run_state(Path(env["AIRFLOW_HOME"]), logical_date) == "success"


def _run_state(home: Path, logical_date: datetime) -> str:
    """Read off the metadata database, since asking the command line costs four seconds of imports."""
    query = "select state from dag_run where dag_id = 'tideline_hourly' and logical_date like ?"
    with closing(sqlite3.connect(home / "airflow.db")) as database:
        row = database.execute(query, (f"{logical_date:%Y-%m-%d %H:%M:%S}%",)).fetchone()
    return str(row[0]) if row else "unknown"


def build_manifest(log: Path) -> None:
    """`dbt parse` of the project of TIDELINE_DBT_DIR, unless its manifest was made from just these files.

    One that dbt made, as in the image, is taken for that where it is newer than all of them.

    Raises:
        SettingsError: dbt refuses the project.
    """
    project = from_environment().dbt_dir
    if project is None:
        return
    manifest = manifest_path(project)
    stamp, files = manifest.with_name(".made-from"), _files_of(project)
    made_from = _digest(files)
    if manifest.exists():
        is_newest = manifest.stat().st_mtime > max(path.stat().st_mtime for path in files)
        if stamp.read_text() == made_from if stamp.exists() else is_newest:
            return
    command = [
        str(BIN / "dbt"), "parse", "--project-dir", str(project), "--profiles-dir", str(project),
        "--target-path", str(manifest.parent), *(OUR_RULES if project == DBT else ()),
    ]  # fmt: skip
    env = {
        "BIGQUERY_EMULATOR_HOST": "http://127.0.0.1:9",
        **os.environ,
        "DBT_SEND_ANONYMOUS_USAGE_STATS": "false",
    }
    _call(command, env, log)
    stamp.write_text(made_from)


def _files_of(project: Path) -> list[Path]:
    files = (p for p in project.rglob("*") if p.relative_to(project).parts[0] not in ("target", "logs"))
    return sorted(path for path in files if path.is_file())


def _digest(files: list[Path]) -> str:
    """Of what a manifest is made from: other too where a file went, or came with an old time."""
    known = [(str(path), path.stat().st_mtime_ns, path.stat().st_size) for path in files]
    return hashlib.sha256(repr(known).encode()).hexdigest()


@dataclass(frozen=True)
class Standalone:
    """A running `airflow standalone`."""

    process: subprocess.Popen[bytes]
    mark: str
    url: str
    user: str
    password: str

    def stop(self) -> None:
        """End the whole group: standalone by itself leaves scheduler, API server and triggerer behind."""
        stop_group(self.process, self.mark)


def start_standalone(env: Mapping[str, str], home: Path, port: int) -> Standalone:
    """Scheduler, API server, triggerer and DAG processor on loopback; returns when the API answers.

    Raises:
        SettingsError: The port is taken, or Airflow does not come up; says where its log is.
    """
    require_free(port, "the Airflow UI", UI_PORT)
    url = f"http://127.0.0.1:{port}"
    log = home / "standalone.log"
    mark = uuid4().hex
    ports = {
        MARK: mark,
        "AIRFLOW__API__HOST": "127.0.0.1",
        "AIRFLOW__API__PORT": str(port),
        "AIRFLOW__API__BASE_URL": url,
        "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"{url}/execution/",
        "AIRFLOW__LOGGING__WORKER_LOG_SERVER_PORT": str(free_port()),
        "AIRFLOW__LOGGING__TRIGGER_LOG_SERVER_PORT": str(free_port()),
        "AIRFLOW__SCHEDULER__ENABLE_HEALTH_CHECK": "False",
    }
    with log.open("ab") as output:
        process = subprocess.Popen(
            [str(BIN / "airflow"), "standalone"],
            env={**env, **ports},
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    passwords = home / "simple_auth_manager_passwords.json.generated"
    try:
        _wait_for(process, url, passwords, log)
    except BaseException:
        stop_group(process, mark)
        raise
    user, password = next(iter(json.loads(passwords.read_text()).items()))
    return Standalone(process, mark, url, user, password)


def _wait_for(process: subprocess.Popen[bytes], url: str, passwords: Path, log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        if process.poll() is not None:
            break
        if passwords.exists() and passwords.read_text() and _answers(f"{url}/api/v2/monitor/health"):
            return
        time.sleep(0.3)
    raise SettingsError("Airflow did not come up", place=str(log), remedy="read the end of its log")


def _answers(url: str) -> bool:
    past_proxies = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # it is on loopback
    try:
        with past_proxies.open(url, timeout=3) as reply:
            state = json.load(reply)
    except (OSError, ValueError, urllib.error.URLError):
        return False
    return all((state.get(part) or {}).get("status") == "healthy" for part in ("metadatabase", "scheduler"))


def stop_group(process: subprocess.Popen[bytes], mark: str) -> None:
    """SIGTERM to the process group, SIGKILL to what is left of it, and to tasks, in groups of their own."""
    for number, seconds in ((signal.SIGTERM, STOP_SECONDS), (signal.SIGKILL, STOP_SECONDS)):
        try:
            os.killpg(process.pid, number)
        except ProcessLookupError:
            break
        if _group_ends(process, seconds):
            break
    process.wait()
    ends = time.monotonic() + STOP_SECONDS
    while (tasks := list(_marked(mark))) and time.monotonic() < ends:  # one may begin meanwhile
        for task in tasks:
            with suppress(psutil.NoSuchProcess):
                task.kill()
        psutil.wait_procs(tasks, timeout=STOP_SECONDS)


def _marked(mark: str) -> Iterator[psutil.Process]:
    for process in psutil.process_iter():
        with suppress(psutil.Error, OSError):
            if process.environ().get(MARK) == mark and process.status() != psutil.STATUS_ZOMBIE:
                yield process


def _group_ends(process: subprocess.Popen[bytes], seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        process.poll()
        try:
            os.killpg(process.pid, 0)
        except ProcessLookupError:
            return True
        time.sleep(0.1)
    return False


def _call(command: list[str], env: Mapping[str, str], log: Path) -> None:
    if run(command, env, log):
        tail = "\n".join(log.read_text(errors="replace").splitlines()[-15:])
        raise SettingsError(f"`{Path(command[0]).name} {command[1]}` failed:\n{tail}", place=str(log))
