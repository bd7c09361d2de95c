"""The stack: what is missing is started, what is set is left alone, and nothing remains."""

from __future__ import annotations

import json
import os
import socket
import stat
import sys
from collections import namedtuple
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from pymongo import MongoClient

from devstack import environment
from devstack import stack as stack_module
from devstack.bigquery import server as bigquery
from devstack.environment import API, CONNECTIONS, LAKE, MONGODB, S3_SOURCE, WAREHOUSE
from devstack.process import StackError, free_port
from devstack.servers import api, gcs, mongodb, s3
from devstack.stack import Stack
from devstack.statelock import holder

if TYPE_CHECKING:
    from conftest import Leftovers

ENVIRON = {"PATH": ""}
"""No minio or mongod of the machine's: the stand-ins themselves are under test."""


def test_everything_is_started_and_nothing_is_left(tmp_path: Path, leftovers: Leftovers) -> None:
    with Stack(tmp_path, offline=True, environ=ENVIRON, without={WAREHOUSE}) as stack:
        leftovers.watch_children()
        for url in (stack.mongo_uri, stack.s3_url, stack.api_url):
            leftovers.watch_port(int(str(url).rpartition(":")[2]))
        assert environment.read_file(tmp_path / "tideline.env") == stack.environment
        assert set(stack.environment) == {MONGODB, S3_SOURCE, LAKE, API, *environment.STAGES}
        assert holder(tmp_path) == os.getpid()
        with stack.targets() as targets:
            assert targets.mongo is not None
            assert targets.s3 is not None
            assert targets.api_url == stack.api_url
            assert targets.mongo.admin.command("ping")["ok"] == 1
            assert {bucket["Name"] for bucket in targets.s3.list_buckets()["Buckets"]} == {
                "shop-drops", "tideline-raw", "tideline-processed", "tideline-quarantine",
            }  # fmt: skip
    leftovers.assert_gone(5)
    assert not (tmp_path / "tideline.env").exists()
    assert holder(tmp_path) is None
    stack.stop()


def test_its_file_says_the_settings_that_it_was_started_with(tmp_path: Path) -> None:
    """Else `tideline status`, or the dashboard, in another shell looks at another deployment: nothing was loaded."""
    environ = {
        **os.environ,
        **dict.fromkeys(environment.CONNECTIONS, "{}"),
        "TIDELINE_DATASET_PREFIX": "dev_",
    }
    with Stack(tmp_path, environ=environ) as stack:
        assert environment.read_file(tmp_path / "tideline.env")["TIDELINE_DATASET_PREFIX"] == "dev_"
        assert "TIDELINE_DATASET_PREFIX" not in stack.environment


def test_connections_that_are_set_are_left_alone(tmp_path: Path) -> None:
    environ = {
        **ENVIRON,
        **dict.fromkeys(CONNECTIONS, '{"conn_type": "mine"}'),
        "TIDELINE_RAW_URI": "gs://mine",
    }
    with Stack(tmp_path, offline=True, environ=environ) as stack, stack.targets() as targets:
        assert stack.environment == {}
        assert (targets.mongo, targets.s3, targets.api_url) == (None, None, None)
    assert not (tmp_path / "logs").exists()


@pytest.mark.parametrize("own", [S3_SOURCE, LAKE])
def test_source_and_lake_are_set_apart(tmp_path: Path, own: str) -> None:
    with (
        Stack(tmp_path, environ={**ENVIRON, own: "{}"}, without={MONGODB, WAREHOUSE, API}) as stack,
        stack.targets() as targets,
    ):
        assert own not in stack.environment
        assert (targets.s3 is None) is (own == S3_SOURCE)
        assert ("TIDELINE_RAW_URI" in stack.environment) is (own == S3_SOURCE)
        client = s3.client(int(str(stack.s3_url).rpartition(":")[2]))
        buckets = {bucket["Name"] for bucket in client.list_buckets()["Buckets"]}
        client.close()
    assert buckets == (set(environment.STAGES.values()) if own == S3_SOURCE else {"shop-drops"})


@pytest.mark.parametrize(
    ("offline", "environ", "answers", "host"),
    [
        (None, {}, True, "jsonplaceholder.typicode.com"),
        (None, {}, False, "127.0.0.1"),
        (True, {}, True, "127.0.0.1"),
        (None, {"TIDELINE_OFFLINE": "1"}, True, "127.0.0.1"),
    ],
)
def test_the_public_api_is_read_where_it_answers(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    offline: bool | None,
    environ: dict[str, str],
    answers: bool,
    host: str,
) -> None:
    monkeypatch.setattr(api, "answers", lambda: answers)
    others = {MONGODB, S3_SOURCE, LAKE, WAREHOUSE}
    with Stack(tmp_path, offline=offline, environ={**ENVIRON, **environ}, without=others) as stack:
        assert json.loads(stack.environment[API])["host"] == host
        assert (stack.api_url is None) is (host != "127.0.0.1")


def test_every_start_is_a_fresh_world(tmp_path: Path) -> None:
    left = tmp_path / "servers" / "s3" / "left over"
    left.mkdir(parents=True)
    (tmp_path / "servers.txt").write_text("mine")
    with Stack(tmp_path, environ=ENVIRON, without=set(CONNECTIONS) - {MONGODB}):
        assert not left.exists()
    assert (tmp_path / "servers.txt").exists()


def test_a_second_stack_in_the_same_folder_is_refused(tmp_path: Path) -> None:
    with Stack(tmp_path, environ=ENVIRON, without=set(CONNECTIONS)):
        with pytest.raises(StackError, match="a stack runs already"):
            Stack(tmp_path, environ=ENVIRON, without=set(CONNECTIONS)).start()
        assert (tmp_path / "tideline.env").exists()


def test_a_busy_port_is_one_line_and_leaves_nothing(tmp_path: Path, leftovers: Leftovers) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        environ = {**ENVIRON, mongodb.PORT: str(port)}
        with pytest.raises(StackError) as error:
            Stack(tmp_path, offline=True, environ=environ, without={WAREHOUSE}).start()
    assert str(error.value).startswith(f"port {port}, wanted for mongodb, is busy")
    assert "\n" not in str(error.value)
    leftovers.watch_children()
    leftovers.assert_gone(5)
    assert holder(tmp_path) is None


def test_wanted_ports_are_used(tmp_path: Path) -> None:
    port = free_port()
    environ = {**ENVIRON, mongodb.PORT: str(port)}
    with Stack(tmp_path, environ=environ, without=set(CONNECTIONS) - {MONGODB}) as stack:
        assert stack.mongo_uri == f"mongodb://127.0.0.1:{port}"


@pytest.mark.parametrize("text", ["x", "0", "65536", "-1"])
def test_a_port_that_is_none_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(StackError, match="TIDELINE_GCS_PORT is"):
        Stack(tmp_path, environ={**ENVIRON, gcs.PORT: text}, without=set(CONNECTIONS)).start()


def test_a_full_disk_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = namedtuple("usage", "total used free")(1, 1, 5 << 20)
    monkeypatch.setattr(stack_module.shutil, "disk_usage", lambda _: usage)
    with pytest.raises(
        StackError, match=r"5 MB are free where .* is, 1024 MB are needed Remedy: free some space"
    ):
        Stack(tmp_path, environ=ENVIRON).start()


def test_a_folder_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StackError, match="cannot be written: Not a directory"):
        Stack(tmp_path / "file" / "state", environ=ENVIRON).start()


def test_a_missing_emulator_environment_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(StackError, match="nowhere does not exist; make the emulator's environment") as error:
        Stack(
            tmp_path, environ=ENVIRON, without=set(CONNECTIONS) - {WAREHOUSE}, python=tmp_path / "nowhere"
        ).start()
    assert "\n" not in str(error.value)


class FakeEmulator:
    url = "http://127.0.0.1:9050"
    stopped = 0

    def stop(self) -> None:
        self.stopped += 1


def test_the_warehouse_is_started_tied_to_this_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: dict[str, Any] = {}
    emulator, port = FakeEmulator(), free_port()

    def start(directory: Path, wanted: int, **fields: Any) -> FakeEmulator:
        given.update(fields, directory=directory, port=wanted)
        return emulator

    monkeypatch.setattr(bigquery, "start", start)
    environ = {**ENVIRON, stack_module.WAREHOUSE_PORT: str(port)}
    with Stack(
        tmp_path, environ=environ, without=set(CONNECTIONS) - {WAREHOUSE}, python=Path(sys.executable)
    ) as stack:
        assert stack.environment == environment.warehouse(emulator.url, {})
        assert stack.warehouse_url == emulator.url
    assert emulator.stopped == 1
    assert given == {
        "directory": tmp_path / "servers" / "bigquery", "port": port, "python": Path(sys.executable),
        "gcs_root": None, "tied": True,
    }  # fmt: skip


FAKE_GCS = """#!{python}
import http.server, sys
port = int(sys.argv[sys.argv.index("-port") + 1])
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self): self.send_response(200); self.end_headers()
    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(409 if b"refused" in body else 200); self.end_headers()
http.server.HTTPServer(("127.0.0.1", port), Handler).serve_forever()
"""


@pytest.fixture
def fake_gcs(tmp_path: Path) -> str:
    binary = tmp_path / "fake-gcs-server"
    binary.write_text(FAKE_GCS.format(python=sys.executable))
    binary.chmod(binary.stat().st_mode | stat.S_IXUSR)
    return str(binary)


def test_a_named_gcs_server_is_the_lake_and_the_warehouse_reads_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fake_gcs: str
) -> None:
    given: dict[str, Any] = {}
    monkeypatch.setattr(bigquery, "start", lambda *_, **fields: given.update(fields) or FakeEmulator())
    environ = {**ENVIRON, gcs.BINARY: fake_gcs}
    with Stack(tmp_path / "state", environ=environ, without={MONGODB, API, S3_SOURCE}) as stack:
        assert stack.environment["TIDELINE_RAW_URI"] == "gs://tideline-raw"
        assert stack.environment["STORAGE_EMULATOR_HOST"].startswith("http://127.0.0.1:")
        assert stack.s3_url is None
    assert given["gcs_root"] == tmp_path / "state" / "servers" / "gcs"


def test_a_bucket_that_the_gcs_server_refuses_stops_the_start(tmp_path: Path, fake_gcs: str) -> None:
    environ = {**ENVIRON, gcs.BINARY: fake_gcs, "TIDELINE_RAW_URI": "gs://refused"}
    with pytest.raises(StackError, match="fake-gcs-server answers 409 to making the bucket 'refused'"):
        Stack(tmp_path / "state", environ=environ, without={MONGODB, API, S3_SOURCE, WAREHOUSE}).start()


@pytest.mark.integration
@pytest.mark.skipif(
    not bigquery.default_python().exists(), reason="the BigQuery emulator's environment is not made"
)
def test_the_whole_stack_comes_up_and_goes(tmp_path: Path, leftovers: Leftovers) -> None:
    with Stack(tmp_path, offline=True, environ=ENVIRON) as stack:
        leftovers.watch_children()
        leftovers.watch_port(int(stack.environment["BIGQUERY_EMULATOR_HOST"].rpartition(":")[2]))
        assert set(CONNECTIONS) <= set(stack.environment)
        with MongoClient[dict[str, Any]](stack.mongo_uri) as client:
            assert client.admin.command("ping")["ok"] == 1
    leftovers.assert_gone(5)
