"""Sixteen writers race for one key: one wins, fifteen are told. On moto, and on MinIO and fake-gcs-server."""

from __future__ import annotations

import io
import os
import shutil
import socket
import subprocess
import threading
from collections import Counter
from contextlib import closing, contextmanager
from itertools import count

import boto3
import pytest
import requests
from botocore.config import Config
from google.auth.credentials import AnonymousCredentials
from google.cloud import storage
from urllib3.util import Retry

from devstack.s3_server import S3Server
from tideline.errors import AlreadyExistsError
from tideline.lake.gcs import GcsStore
from tideline.lake.s3 import S3Store
from tideline.lake.writeonce import CHUNK_BYTES

pytestmark = pytest.mark.integration

WRITERS = 16
_buckets = count(1)


def free_port():
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def binary(variable, name):
    path = os.environ.get(variable) or shutil.which(name)
    if not path:
        pytest.skip(f"{name} is neither on PATH nor named by {variable}")
    return path


@contextmanager
def running(command, ready, **environment):
    """A server as a process, from the moment it answers until the end of the tests."""
    process = subprocess.Popen(
        command, env={**os.environ, **environment}, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        session = requests.Session()
        session.mount("http://", requests.adapters.HTTPAdapter(max_retries=Retry(12, backoff_factor=0.05)))
        session.trust_env = False
        with session:
            session.get(ready, timeout=10).raise_for_status()
        yield
    finally:
        process.terminate()
        process.wait(timeout=20)


def s3_client(url):
    return boto3.client(
        "s3",
        endpoint_url=url,
        region_name="us-east-1",
        aws_access_key_id="tideline-test",
        aws_secret_access_key="tideline-test",
        config=Config(retries={"total_max_attempts": 1}, max_pool_connections=WRITERS),
    )


@pytest.fixture(scope="module")
def moto():
    """As the devstack runs it: moto alone looks whether a key exists, and then writes."""
    with S3Server() as server:
        yield s3_client(server.url)


@pytest.fixture(scope="module")
def minio(tmp_path_factory):
    path, port = binary("TIDELINE_MINIO", "minio"), free_port()
    command = [path, "server", str(tmp_path_factory.mktemp("minio")), "--address", f"127.0.0.1:{port}"]
    command += ["--console-address", f"127.0.0.1:{free_port()}"]
    with running(
        command,
        f"http://127.0.0.1:{port}/minio/health/ready",
        MINIO_ROOT_USER="tideline-test",
        MINIO_ROOT_PASSWORD="tideline-test",
        MINIO_BROWSER="off",
        MINIO_CI_CD="1",
    ):
        yield s3_client(f"http://127.0.0.1:{port}")


@pytest.fixture(scope="module")
def fake_gcs(tmp_path_factory):
    path, port = binary("TIDELINE_FAKE_GCS", "fake-gcs-server"), free_port()
    url = f"http://127.0.0.1:{port}"
    command = [path, "-scheme", "http", "-host", "127.0.0.1", "-port", str(port), "-backend", "filesystem"]
    command += ["-filesystem-root", str(tmp_path_factory.mktemp("gcs"))]
    command += ["-external-url", url, "-public-host", f"127.0.0.1:{port}"]
    with running(command, f"{url}/storage/v1/b?project=p"):
        client = storage.Client(
            project="p", credentials=AnonymousCredentials(), client_options={"api_endpoint": url}
        )
        yield client
        client.close()


@pytest.fixture(
    params=[
        "moto",
        pytest.param("minio", marks=pytest.mark.real_servers),
        pytest.param("fake_gcs", marks=pytest.mark.real_servers),
    ]
)
def store(request):
    client = request.getfixturevalue(request.param)
    bucket = f"tideline-{next(_buckets)}"
    if request.param == "fake_gcs":
        client.create_bucket(bucket)
        return GcsStore(f"gs://{bucket}/root", client)
    client.create_bucket(Bucket=bucket)
    return S3Store(f"s3://{bucket}/root", client)


def race(write):
    """Let sixteen threads begin at once; what each came to."""
    outcomes: list[str] = []
    start = threading.Barrier(WRITERS)

    def run(number):
        start.wait()
        try:
            write(number)
            outcomes.append("won")
        except AlreadyExistsError:
            outcomes.append("told")

    threads = [threading.Thread(target=run, args=(number,)) for number in range(WRITERS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return Counter(outcomes)


def small(number):
    return f"writer {number:02d}".encode() * 100


def large(number):
    return small(number) * (CHUNK_BYTES // 900 + 1)


@pytest.mark.parametrize("round_number", range(5))
def test_one_of_sixteen_writers_wins_and_the_others_are_told(store, round_number):
    key = f"races/{round_number}"

    outcome = race(lambda number: store.put(key, small(number)))

    assert outcome == {"won": 1, "told": WRITERS - 1}
    assert store.read(key) in {small(number) for number in range(WRITERS)}


def test_large_bodies_race_by_the_same_rule(store):
    outcome = race(lambda number: store.put_file("races/large", io.BytesIO(large(number))))

    assert outcome == {"won": 1, "told": WRITERS - 1}
    assert store.read("races/large")[:900] in {small(number) for number in range(WRITERS)}


def test_sixteen_writers_of_the_same_bytes_all_succeed(store):
    assert race(lambda _: store.put("races/same", b"same")) == {"won": WRITERS}
    assert race(lambda _: store.put_file("races/same-large", io.BytesIO(large(0)))) == {"won": WRITERS}


def test_what_was_written_is_read_and_listed(store):
    written = store.put_file("a/ü b", io.BytesIO(large(1)))
    store.put("a/c", b"")

    assert store.read("a/ü b") == large(1)
    with store.open("a/ü b", sha256=written.sha256) as stream:
        assert len(stream.read()) == written.bytes
    assert list(store.list("a/")) == ["a/c", "a/ü b"]
    assert not store.exists("a/d")


def test_a_body_that_breaks_off_leaves_nothing(store):
    class Broken(io.BytesIO):
        def read(self, size=-1):
            if self.tell() > CHUNK_BYTES:
                raise OSError("gone")
            return super().read(size)

    with pytest.raises(OSError, match="gone"):
        store.put_file("broken", Broken(large(2) * 3))

    assert not store.exists("broken")
    assert list(store.list("")) == []
