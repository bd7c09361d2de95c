"""Which server is chosen, and the command line that it gets."""

from __future__ import annotations

import http.server
import json
import stat
import sys
import threading
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from devstack.process import StackError, free_port, start
from devstack.servers import api, gcs, mongodb, s3

if TYPE_CHECKING:
    from collections.abc import Iterator


def executable(path: Path, text: str = "#!/bin/sh\n") -> Path:
    path.write_text(text)
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path


def test_our_mongodb_server_is_the_default(tmp_path: Path) -> None:
    program = mongodb.program(tmp_path / "data", {})
    assert program.name == "mongodb"
    assert program.command(5)[-4:] == ["-m", "devstack.mongo_server", "--port", "5"]
    assert not (tmp_path / "data").exists()


def test_a_mongod_on_path_is_used(tmp_path: Path) -> None:
    mongod = executable(tmp_path / "mongod")
    program = mongodb.program(tmp_path / "data", {"PATH": str(tmp_path)}, 27017)
    assert program.command(27017) == [
        str(mongod), "--port", "27017", "--dbpath", str(tmp_path / "data"), "--bind_ip", "127.0.0.1",
        "--nounixsocket", "--quiet",
    ]  # fmt: skip
    assert (tmp_path / "data").is_dir()
    assert program.port == 27017


def test_named_jars_come_first(tmp_path: Path) -> None:
    executable(tmp_path / "mongod")
    java = executable(tmp_path / "java")
    (tmp_path / "mongo-java-server-1.47.0.jar").write_text("")
    program = mongodb.program(tmp_path, {"PATH": str(tmp_path), mongodb.JARS: str(tmp_path)})
    command = program.command(9)
    assert (command[0], command[-1]) == (str(java), "9")
    assert f"{tmp_path}/*" in command
    assert Path(command[-2]).read_text().startswith("// A MongoDB-protocol server")


@pytest.mark.parametrize(
    ("has_java", "message"), [(True, "holds no mongo-java-server jar"), (False, "no java on PATH")]
)
def test_jars_that_cannot_run_are_refused(tmp_path: Path, has_java: bool, message: str) -> None:
    if has_java:
        executable(tmp_path / "java")
    with pytest.raises(StackError, match=f"TIDELINE_MONGO_JAVA is set, but .*{message}"):
        mongodb.program(tmp_path, {"PATH": str(tmp_path), mongodb.JARS: str(tmp_path)})


def test_moto_is_the_default_s3_server(tmp_path: Path) -> None:
    program = s3.program(tmp_path / "objects", {})
    assert program.command(7)[-5:] == [
        "devstack.s3_server",
        "--port",
        "7",
        "--directory",
        str(tmp_path / "objects"),
    ]


@pytest.mark.parametrize("is_named", [True, False])
def test_a_minio_that_is_named_or_on_path_is_used(tmp_path: Path, is_named: bool) -> None:
    minio = executable(tmp_path / "minio")
    environ = {s3.MINIO: str(minio)} if is_named else {"PATH": str(tmp_path)}
    program = s3.program(tmp_path / "objects", environ)
    command = program.command(9000)
    assert command[:5] == [str(minio), "server", str(tmp_path / "objects"), "--address", "127.0.0.1:9000"]
    assert command[5] == "--console-address"
    assert program.environment["MINIO_ROOT_USER"] == s3.USER
    assert program.environment["HOME"] == str(tmp_path / "objects")


@pytest.mark.parametrize(("module", "variable"), [(s3, s3.MINIO), (gcs, gcs.BINARY)])
def test_a_binary_that_is_not_there_is_refused(tmp_path: Path, module: object, variable: str) -> None:
    with pytest.raises(StackError, match=f"{variable} names /nowhere, which is no file"):
        module.program(tmp_path, {variable: "/nowhere"})  # type: ignore[attr-defined]


def test_a_gcs_server_runs_only_where_it_is_named(tmp_path: Path) -> None:
    assert gcs.program(tmp_path, {}) is None
    binary = executable(tmp_path / "fake-gcs-server")
    program = gcs.program(tmp_path / "buckets", {gcs.BINARY: str(binary)}, 4443)
    assert program is not None
    command = " ".join(program.command(4443))
    assert "-host 127.0.0.1 -port 4443 -backend filesystem" in command
    assert "-external-url http://127.0.0.1:4443 -public-host 127.0.0.1:4443" in command


def test_our_api_answers_with_the_items_of_its_seed(tmp_path: Path) -> None:
    server = start(api.program(seed=9), tmp_path)
    assert api.answers(f"http://127.0.0.1:{server.port}")
    server.stop()


@contextmanager
def answering(status: int, body: bytes) -> Iterator[str]:
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with http.server.HTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.mark.parametrize(
    ("status", "body", "expected"),
    [
        (200, json.dumps({"id": 1}).encode(), True),
        (200, b"<html>a proxy's page</html>", False),
        (200, b"[]", False),
        (200, b'{"id": 2}', False),
        (503, b'{"id": 1}', False),
    ],
)
def test_only_the_real_answer_counts_as_the_public_api(status: int, body: bytes, expected: bool) -> None:
    with answering(status, body) as url:
        assert api.answers(url, patience_seconds=5) is expected


def test_an_api_that_does_not_answer_is_not_waited_for() -> None:
    assert not api.answers(f"http://127.0.0.1:{free_port()}", patience_seconds=5)
    assert not api.answers("http://127.0.0.1:9", patience_seconds=0)


def test_servers_that_are_not_ready_are_told_from_those_that_are(tmp_path: Path) -> None:
    server = start(mongodb.program(tmp_path, {}), tmp_path)
    assert mongodb._answers(server.port)
    server.stop()
    assert sys.executable in server.process.args[0]  # type: ignore[index]
