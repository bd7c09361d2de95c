"""What every suite may use: one BigQuery emulator a session, started when the first test asks for it."""

from __future__ import annotations

import atexit
import fcntl
import gc
import os
import shutil
import tempfile
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import uuid4

import hypothesis
import pytest

# Airflow reads its environment when it is first imported and writes into its home: never the user's own.
_HOME = tempfile.mkdtemp(prefix="tideline-tests-")
atexit.register(shutil.rmtree, _HOME, ignore_errors=True)
for _name in [
    name
    for name in os.environ
    if name.startswith(("AIRFLOW", "TIDELINE_RAW", "TIDELINE_PRO", "TIDELINE_Q")) and name != "AIRFLOW_CHART"
]:
    del os.environ[_name]
os.environ |= {
    "AIRFLOW_HOME": _HOME,
    "AIRFLOW__CORE__DAGS_FOLDER": str(Path(__file__).parents[1] / "dags"),
    "AIRFLOW__CORE__PLUGINS_FOLDER": str(Path(__file__).parents[1] / "plugins"),
    "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
    "AIRFLOW__CORE__UNIT_TEST_MODE": "False",
    "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{_HOME}/airflow.db",
    "AIRFLOW__USAGE_DATA_COLLECTION__ENABLED": "False",
    "AIRFLOW__COSMOS__ENABLE_TELEMETRY": "False",
    "AIRFLOW__COSMOS__CACHE_DIR": _HOME,
    "AIRFLOW__COSMOS__ENABLE_CACHE": "False",
    "DBT_SEND_ANONYMOUS_USAGE_STATS": "false",
    "TIDELINE_OFFLINE": "1",
}

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from google.cloud import bigquery

    from devstack.bigquery.server import Emulator
    from tideline.settings import Settings


LONGEST = (
    "test_real_servers.py",
    "test_big_loads.py",
    "test_odd_catalog.py",
    "test_spark.py",
    "test_replay.py",
    "test_marts_on_emulator.py",
    "test_health_page.py",
    "test_reconcile.py",
    "test_replay_dag.py",
    "test_three_hours.py",
    "test_marts_tell_the_truth.py",
    "test_app.py",
    "test_semantics.py",
    "test_status.py",
    "test_bigquery_shim.py",
    "test_cli.py",
)
"""Files by the time they take, as `--durations` prints it."""

# How long an example takes says something about the machine, not about the code.
hypothesis.settings.register_profile("tideline", deadline=None)
hypothesis.settings.load_profile("tideline")


STATEMENTS = Path(__file__).parents[1] / ".tideline" / "statements"
_read = pytest.StashKey[str]()


def pytest_configure(config: pytest.Config) -> None:
    """With TIDELINE_TEST_GOOGLESQL every emulator of the session writes down what it is asked."""
    if os.environ.get("TIDELINE_TEST_GOOGLESQL") and not hasattr(config, "workerinput"):
        shutil.rmtree(STATEMENTS, ignore_errors=True)
        os.environ["TIDELINE_SHIM_RECORD"] = str(STATEMENTS)


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """What was written down is read by the analyzer of GoogleSQL; the session fails where it refuses any."""
    if not os.environ.get("TIDELINE_TEST_GOOGLESQL") or hasattr(session.config, "workerinput"):
        return
    import googlesql

    number, refused = googlesql.judge(STATEMENTS)
    lines = [f"{each.why}\n{each.sql}\n" for each in refused]
    lines.append(f"GoogleSQL read {number} statements and refused {len(refused)}")
    session.config.stash[_read] = "\n".join(lines)
    if refused or not number:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """What the analyzer said."""
    if text := config.stash.get(_read, None):
        terminalreporter.section("what BigQuery would take")
        terminalreporter.write_line(text)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The files that take minutes come first: started last, they would be waited for alone.

    The real scheduler comes last of all: its runs are watched against a clock, and are slow beside everything else.
    """
    rank = {name: number for number, name in enumerate(LONGEST)} | {"test_scheduler.py": len(LONGEST) + 1}
    items.sort(key=lambda item: rank.get(item.path.name, len(LONGEST)))


def pytest_collection_finish() -> None:
    """Thirteen thousand tests, and all that they import, are looked through for garbage no more."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(10_000, 20, 20)


@pytest.fixture(scope="session", autouse=True)
def parsed_once() -> Iterator[None]:
    """botocore parses a megabyte of JSON for every session, a fifth of the integration tests' own work."""
    from botocore.loaders import JSONFileLoader

    load = JSONFileLoader._load_file
    once = lru_cache(maxsize=None)(lambda path, opener: load(JSONFileLoader(), path, opener))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(JSONFileLoader, "_load_file", lambda _, path, opener: once(path, opener))
        yield


@pytest.fixture(scope="session")
def manifest() -> Path:
    """The dbt manifest that the DAG is made from, parsed where it is missing or old."""
    from devstack import airflow_home

    with (Path(tempfile.gettempdir()) / "tideline-manifest.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        airflow_home.build_manifest(Path(_HOME) / "dbt.log")
    return airflow_home.DBT / "target" / "manifest.json"


@pytest.fixture(scope="session")
def gcs_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of `<bucket>/<key>` files that the emulator reads `gs://` URIs from."""
    return tmp_path_factory.mktemp("gcs")


@pytest.fixture(scope="session")
def bigquery_emulator(tmp_path_factory: pytest.TempPathFactory, gcs_root: Path) -> Iterator[Emulator]:
    """The emulator with all corrections; its environment is named by TIDELINE_BQEMULATOR_PYTHON."""
    from devstack.bigquery import server

    with server.start(tmp_path_factory.mktemp("bigquery"), gcs_root=gcs_root, tied=True) as emulator:
        yield emulator


@pytest.fixture(scope="session")
def bigquery_client(bigquery_emulator: Emulator) -> Iterator[bigquery.Client]:
    """A client of the emulator, in project `local`."""
    client = client_of(bigquery_emulator.url)
    yield client
    client.close()


@pytest.fixture(scope="session")
def own_settings() -> Callable[..., Settings]:
    """Settings whose BigQuery datasets no other test has; takes further fields."""
    from tideline.settings import Settings

    def make(**fields: object) -> Settings:
        given = {
            "project": "local",
            "dataset_prefix": f"t{uuid4().hex[:8]}_",
            "deadline_seconds": 30.0,
            **fields,
        }
        return Settings(**given)

    return make


def client_of(url: str) -> bigquery.Client:
    from google.api_core.client_options import ClientOptions
    from google.auth.credentials import AnonymousCredentials
    from google.cloud import bigquery

    return bigquery.Client(
        project="local",
        credentials=AnonymousCredentials(),
        client_options=ClientOptions(api_endpoint=url),
    )
