"""The S3 stand-in: each correction to moto is here with a test that fails without it."""

from __future__ import annotations

import io
import tempfile
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError

from devstack import foreground, s3_server
from devstack.s3_server import OneWriter, S3Server
from devstack.servers import s3

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from mypy_boto3_s3 import S3Client

WRITERS = 16


@pytest.fixture(scope="module")
def server() -> Iterator[S3Server]:
    with S3Server() as server:
        yield server


@pytest.fixture
def client(server: S3Server) -> Iterator[S3Client]:
    port = int(server.url.rpartition(":")[2])
    client = s3.client(port)
    there = {bucket["Name"] for bucket in client.list_buckets()["Buckets"]}
    s3.make_buckets(port, [name for name in ("lake", "lake", "drops") if name not in there])
    yield client
    client.close()


def status_of(call: Any) -> int:
    with pytest.raises(ClientError) as error:
        call()
    status: int = error.value.response["ResponseMetadata"]["HTTPStatusCode"]
    return status


def test_objects_come_back_byte_for_byte_whatever_their_size(client: S3Client) -> None:
    for size in (0, 1, s3_server.MEMORY_BYTES, s3_server.MEMORY_BYTES + 1, 6_000_000):
        body = bytes(range(256)) * (size // 256 + 1)
        client.put_object(Bucket="lake", Key=f"of {size}/é&?", Body=body[:size])
        assert client.get_object(Bucket="lake", Key=f"of {size}/é&?")["Body"].read() == body[:size]


def test_large_objects_are_kept_off_the_heap(client: S3Client) -> None:
    from moto.s3.models import s3_backends

    for name, size in (("small", s3_server.MEMORY_BYTES), ("large", s3_server.MEMORY_BYTES + 1)):
        client.put_object(Bucket="lake", Key=name, Body=b"x" * size)
    keys = s3_backends["123456789012"]["aws"].buckets["lake"].keys
    assert {name: keys[name]._value_buffer._rolled for name in ("small", "large")} == {
        "small": False, "large": True,
    }  # fmt: skip


def test_of_racing_conditional_writers_one_wins(client: S3Client, monkeypatch: pytest.MonkeyPatch) -> None:
    from moto.s3.responses import S3Response

    look_at_checksum = S3Response._get_checksum

    def dawdle(*arguments: Any) -> Any:
        """Moto asks for the checksum between its look for the key and its write."""
        threading.Event().wait(0.01)
        return look_at_checksum(*arguments)

    barrier = threading.Barrier(WRITERS)

    def write(number: int) -> str:
        barrier.wait()
        try:
            client.put_object(Bucket="lake", Key="race", Body=str(number).encode(), IfNoneMatch="*")
        except ClientError as error:
            return error.response["Error"]["Code"]
        return "won"

    monkeypatch.setattr(S3Response, "_get_checksum", dawdle)
    with ThreadPoolExecutor(WRITERS) as pool:
        outcomes = Counter(pool.map(write, range(WRITERS)))
    assert outcomes == {"won": 1, "PreconditionFailed": WRITERS - 1}


def test_writing_requests_are_served_one_at_a_time_and_with_their_bodies_read() -> None:
    inside = threading.Semaphore(1)

    def application(environ: dict[str, Any], _: Any) -> list[bytes]:
        assert inside.acquire(blocking=False)
        body = environ["wsgi.input"].read()
        inside.release()
        return [body]

    def send(number: int) -> bytes:
        sent = io.BytesIO(b"x" * number + b"the next request")
        environ = {"REQUEST_METHOD": "PUT", "CONTENT_LENGTH": str(number), "wsgi.input": sent}
        return b"".join(served(environ, None))  # type: ignore[arg-type]

    served = OneWriter(application)
    with ThreadPoolExecutor(8) as pool:
        assert [len(body) for body in pool.map(send, range(200))] == list(range(200))


def test_bodies_without_length_are_read_where_their_end_is_marked() -> None:
    def application(environ: dict[str, Any], _: Any) -> list[bytes]:
        return [environ["wsgi.input"].read()]

    def send(**marks: object) -> list[bytes]:
        environ = {"REQUEST_METHOD": "POST", "wsgi.input": io.BytesIO(b"abc"), **marks}
        return list(OneWriter(application)(environ, None))  # type: ignore[arg-type]

    assert send(**{"wsgi.input_terminated": True}) == [b"abc"]
    assert send() == [b""]


def test_a_multipart_upload_can_be_conditional_too(client: S3Client) -> None:
    def upload() -> None:
        made = client.create_multipart_upload(Bucket="lake", Key="parts")
        part = client.upload_part(
            Bucket="lake", Key="parts", UploadId=made["UploadId"], PartNumber=1, Body=b"z" * 5_300_000
        )
        client.complete_multipart_upload(
            Bucket="lake",
            Key="parts",
            UploadId=made["UploadId"],
            MultipartUpload={"Parts": [{"PartNumber": 1, "ETag": part["ETag"]}]},
            IfNoneMatch="*",
        )

    upload()
    assert status_of(upload) == 412


def test_reads_can_insist_on_a_version(client: S3Client) -> None:
    first = client.put_object(Bucket="drops", Key="a.csv", Body=b"1")["ETag"]
    assert client.get_object(Bucket="drops", Key="a.csv", IfMatch=first)["Body"].read() == b"1"
    client.put_object(Bucket="drops", Key="a.csv", Body=b"2")
    assert status_of(lambda: client.get_object(Bucket="drops", Key="a.csv", IfMatch=first)) == 412


def test_listings_are_paged(client: S3Client) -> None:
    for number in range(25):
        client.put_object(Bucket="drops", Key=f"many/{number:03d}", Body=b"")
    pages = client.get_paginator("list_objects_v2").paginate(
        Bucket="drops", Prefix="many/", PaginationConfig={"PageSize": 10}
    )
    assert [len(page["Contents"]) for page in pages] == [10, 10, 5]


def test_what_is_missing_is_named(client: S3Client) -> None:
    assert status_of(lambda: client.get_object(Bucket="no-such-bucket", Key="x")) == 404
    assert status_of(lambda: client.get_object(Bucket="lake", Key="no such key")) == 404


def test_the_command_line_serves(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    listed: list[int] = []

    def look() -> None:
        client = s3.client(int(capsys.readouterr().out.rpartition(":")[2]))
        listed.append(client.list_buckets()["ResponseMetadata"]["HTTPStatusCode"])
        client.close()

    monkeypatch.setattr(foreground, "_wait", look)
    monkeypatch.setattr(tempfile, "tempdir", tempfile.tempdir)
    s3_server.main(["--directory", str(tmp_path / "objects")])
    assert listed == [200]
    assert (tmp_path / "objects").is_dir()
