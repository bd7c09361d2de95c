"""What is particular about S3: multipart uploads, boto's exceptions, and the client that boto3 makes."""

from __future__ import annotations

import io
import logging
import random
import socketserver
import ssl
import threading
from contextlib import closing
from http.client import IncompleteRead

import boto3
import pytest
from botocore import exceptions as boto
from botocore.config import Config
from botocore.exceptions import ClientError
from certificates import self_signed
from urllib3.exceptions import ProtocolError

from tideline.errors import AlreadyExistsError, IntegrityError, SettingsError, StoreUnavailableError
from tideline.lake.boto_errors import Trouble, trouble_of
from tideline.lake.s3 import S3Store, part_bytes
from tideline.lake.stream import Measured
from tideline.lake.writeonce import CHUNK_BYTES

LARGE = random.Random(7).randbytes(CHUNK_BYTES + 999)


def uploads_left(client, bucket):
    return client.list_multipart_uploads(Bucket=bucket).get("Uploads", [])


def test_a_body_is_sent_without_asking_for_leave(s3_store, s3_client):
    """botocore never comes back from an answer that is cut: it reads the end of the connection for ever."""
    asked = []

    def look(request, **_):
        asked.append((request.method, "Expect" in request.headers))

    s3_client.meta.events.register("before-send.s3", look)
    try:
        s3_store.put("small", b"body")
        s3_store.put("empty", b"")
        s3_store.put_file("large", io.BytesIO(LARGE))
    finally:
        s3_client.meta.events.unregister("before-send.s3", look)
    assert [method for method, _ in asked].count("PUT") == 4
    assert not any(has_asked for _, has_asked in asked)


@pytest.mark.parametrize("action", [503, "refuse", "lose"])
@pytest.mark.parametrize(
    ("method", "pattern"),
    [("POST", r"\?uploads"), ("PUT", "partNumber=2"), ("POST", "uploadId=")],
    ids=["begin", "chunk", "complete"],
)
def test_every_step_of_a_large_upload_is_tried_again(s3_store, front, naps, method, pattern, action):
    front.fail(method, pattern, action)

    s3_store.put_file("k", io.BytesIO(LARGE))

    assert s3_store.read("k") == LARGE
    assert naps == [0.25]


@pytest.mark.parametrize(
    ("method", "pattern"), [("PUT", "partNumber=2"), ("POST", "uploadId=")], ids=["chunk", "complete"]
)
def test_a_large_upload_that_fails_is_taken_back(s3_store, s3_client, bucket, front, method, pattern):
    front.fail(method, pattern, 503, times=9)

    with pytest.raises(StoreUnavailableError):
        s3_store.put_file("k", io.BytesIO(LARGE))

    front.faults.clear()
    assert not s3_store.exists("k")
    assert uploads_left(s3_client, bucket) == []


def test_an_upload_that_cannot_be_taken_back_does_not_hide_the_failure(s3_store, front, caplog):
    front.fail("PUT", "partNumber=1", 403)
    front.fail("DELETE", "uploadId", 403)

    with caplog.at_level(logging.WARNING), pytest.raises(SettingsError, match="UploadPart"):
        s3_store.put_file("k", io.BytesIO(LARGE))

    assert "unfinished upload" in caplog.text


@pytest.mark.parametrize("there", [None, LARGE, LARGE[:-1] + b"?"], ids=["nothing", "ours", "theirs"])
def test_an_upload_that_vanished_counts_as_finished_only_if_our_bytes_are_there(
    s3_store, s3_client, bucket, front, there
):
    if there is not None:
        s3_client.put_object(Bucket=bucket, Key="some/root/k", Body=there)
    gone = b"<Error><Code>NoSuchUpload</Code></Error>"
    front.fail("POST", "uploadId=", 404, body=gone)

    if there == LARGE:
        assert s3_store.put_file("k", io.BytesIO(LARGE)).bytes == len(LARGE)
        return
    expected = StoreUnavailableError if there is None else AlreadyExistsError
    with pytest.raises(expected):
        s3_store.put_file("k", io.BytesIO(LARGE))


def test_chunks_grow_so_that_ten_thousand_of_them_hold_half_a_terabyte():
    assert [part_bytes(n) >> 20 for n in (0, 999, 1000, 2000, 3000, 9999)] == [8, 8, 16, 32, 64, 64]
    assert sum(map(part_bytes, range(10_000))) > 490 << 30


def test_a_listing_of_several_pages_is_read_to_its_end(s3_store, front):
    page = "<Contents><Key>some/root/{}</Key><Size>1</Size></Contents>"
    first = (
        page.format("a")
        + "<NextContinuationToken>t+/=</NextContinuationToken><IsTruncated>true</IsTruncated>"
    )
    for body in (first, page.format("b") + "<IsTruncated>false</IsTruncated>"):
        front.fail("GET", "list-type=2", 200, body=f"<ListBucketResult>{body}</ListBucketResult>".encode())

    assert list(s3_store.list("")) == ["a", "b"]
    assert "continuation-token=t%2B%2F%3D" in front.requests[-1][1]


@pytest.mark.parametrize(
    "body", [b"", b"<ListBucketResult/>", b"<ListBucketResult><IsTrunc", b"<html>no</html>"]
)
def test_a_listing_without_its_end_is_no_empty_bucket(s3_store, front, naps, body):
    s3_store.put("a", b"")
    front.fail("GET", "list-type=2", 200, body=body)

    assert list(s3_store.list("")) == ["a"]
    assert naps == [0.25]


def test_a_listing_that_fails_is_tried_again(s3_store, front, naps):
    s3_store.put("a", b"")
    front.fail("GET", "list-type=2", 503)

    assert list(s3_store.list("")) == ["a"]
    assert naps == [0.25]


def test_a_lake_without_conditional_writes_is_told_and_not_asked_again(s3_store, front, naps):
    front.fail("PUT", "some/root/k", 501, body=b"<Error><Code>NotImplemented</Code></Error>")

    with pytest.raises(SettingsError, match="NotImplemented") as refused:
        s3_store.put("k", b"body")

    assert "If-None-Match" in refused.value.remedy
    assert naps == []


def test_a_refused_question_is_not_taken_for_absence(s3_store, front):
    front.fail("HEAD", "k", 403)

    with pytest.raises(SettingsError, match="may not do this"):
        s3_store.exists("k")


def test_a_conflict_with_a_concurrent_write_is_tried_again(s3_store, front, naps):
    conflict = b"<Error><Code>ConditionalRequestConflict</Code></Error>"
    front.fail("PUT", "k$", 409, body=conflict)

    s3_store.put("k", b"body")

    assert naps == [0.25]


def test_a_checksum_that_boto_finds_wrong_is_damage(s3_store, front):
    s3_store.put("k", b"body")
    front.fail("GET", "k$", 200, body=b"body", headers={"x-amz-checksum-crc32": "AAAAAA=="})

    with pytest.raises(IntegrityError, match="damaged"):
        s3_store.read("k")


def test_without_credentials_it_says_so(monkeypatch, tmp_path):
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")

    with pytest.raises(SettingsError, match="credentials"):
        S3Store("s3://some-bucket").put("k", b"body")


def test_a_profile_that_is_not_there_is_named(monkeypatch, tmp_path):
    monkeypatch.setenv("AWS_PROFILE", "no-such-profile")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))

    with pytest.raises(SettingsError, match="no-such-profile"):
        S3Store("s3://some-bucket").exists("k")


def reply(code, status=400):
    return ClientError({"Error": {"Code": code}, "ResponseMetadata": {"HTTPStatusCode": status}}, "Op")


@pytest.mark.parametrize(
    ("error", "trouble"),
    [
        (reply("PreconditionFailed", 412), Trouble.PRECONDITION),
        (reply("404", 404), Trouble.NO_OBJECT),
        (reply("NoSuchBucket", 404), Trouble.NO_BUCKET),
        (reply("AccessDenied", 403), Trouble.DENIED),
        (reply("InvalidObjectState", 403), Trouble.DENIED),
        (reply("SignatureDoesNotMatch", 403), Trouble.SETTINGS),
        (reply("SlowDown", 503), Trouble.UNAVAILABLE),
        (reply("RequestTimeout", 400), Trouble.UNAVAILABLE),
        (reply("NobodyKnows", 599), Trouble.UNAVAILABLE),
        (reply("NobodyKnows", 429), Trouble.UNAVAILABLE),
        (reply("NobodyKnows", 400), Trouble.REFUSED),
        (reply("NotImplemented", 501), Trouble.REFUSED),
        (ClientError({}, "Op"), Trouble.REFUSED),
        (boto.EndpointConnectionError(endpoint_url="u"), Trouble.UNAVAILABLE),
        (boto.ReadTimeoutError(endpoint_url="u"), Trouble.UNAVAILABLE),
        (boto.SSLError(endpoint_url="u", error="[SSL: CERTIFICATE_VERIFY_FAILED] x"), Trouble.SETTINGS),
        (boto.SSLError(endpoint_url="u", error="[SSL: WRONG_VERSION_NUMBER] x"), Trouble.SETTINGS),
        (boto.SSLError(endpoint_url="u", error="EOF occurred in violation of protocol"), Trouble.UNAVAILABLE),
        (boto.NoCredentialsError(), Trouble.SETTINGS),
        (boto.ParamValidationError(report="bad bucket"), Trouble.SETTINGS),
        (ProtocolError("reset"), Trouble.UNAVAILABLE),
        (IncompleteRead(b""), Trouble.UNAVAILABLE),
        (ConnectionResetError(), Trouble.UNAVAILABLE),
    ],
    ids=lambda value: value.name if isinstance(value, Trouble) else type(value).__name__,
)
def test_what_botos_exceptions_mean(error, trouble):
    assert trouble_of(error) is trouble


@pytest.fixture
def cutting(tmp_path):
    """The URL of a TLS server that closes each connection within the request, and its certificate's file."""
    certificate = tmp_path / "server.pem"
    certificate.write_bytes(self_signed())
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)

    class Cut(socketserver.BaseRequestHandler):
        def handle(self):
            with context.wrap_socket(self.request, server_side=True) as connection:
                connection.recv(1 << 10)

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Cut) as server:
        server.handle_error = lambda *_: None
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        yield f"https://127.0.0.1:{server.server_address[1]}", str(certificate)
        server.shutdown()


@pytest.mark.parametrize("body", [b"small", LARGE[:CHUNK_BYTES]], ids=["small", "large"])
def test_a_connection_that_is_cut_is_asked_again_under_tls_too(cutting, patience, naps, body):
    url, certificate = cutting
    config = Config(retries={"total_max_attempts": 1}, proxies={}, s3={"addressing_style": "path"})
    keys = {"aws_access_key_id": "key", "aws_secret_access_key": "secret", "region_name": "us-east-1"}
    client = boto3.client("s3", endpoint_url=url, verify=certificate, config=config, **keys)

    with closing(client), pytest.raises(StoreUnavailableError):
        S3Store("s3://bucket", client, patience=patience).put("k", body)
    assert len(naps) == 3


def test_a_measured_body_gives_whole_chunks_and_counts_them():
    body = Measured(b"abc", io.BytesIO(b"defgh"))

    assert [body.read(2), body.read(4), body.tell(), body.read(9), body.read(9)] == [
        b"ab",
        b"cdef",
        6,
        b"gh",
        b"",
    ]
