"""What a store promises, the same on both kinds of server."""

from __future__ import annotations

import hashlib
import io
import random

import pytest

from tideline.errors import AlreadyExistsError, IntegrityError, SettingsError, StoreUnavailableError
from tideline.lake.gcs import GcsStore
from tideline.lake.s3 import S3Store
from tideline.lake.store import Root, open_store
from tideline.lake.writeonce import CHUNK_BYTES

WRITE = r"root/k$|/upload/"
LARGE = random.Random(7).randbytes(2 * CHUNK_BYTES + 12_345)


class Trickle:
    """A body that cannot seek and gives odd little pieces; fails at an offset if told to."""

    def __init__(self, body, fail_at=None, error=None):
        self.stream = io.BytesIO(body)
        self.fail_at = fail_at
        self.error = error

    def read(self, size):
        if self.fail_at is not None and self.stream.tell() >= self.fail_at:
            raise self.error
        return self.stream.read(min(size, 1_000_003))


def sha256(body):
    return hashlib.sha256(body).hexdigest()


@pytest.mark.parametrize("body", [b"", b"x", b"\x00\xff" * 5_000], ids=["empty", "one byte", "binary"])
def test_put_gives_back_what_was_put(store, body):
    written = store.put("a/b c/ü.bin", body)

    assert written.uri == f"{store.root}/a/b c/ü.bin"
    assert (written.bytes, written.sha256) == (len(body), sha256(body))
    assert store.read("a/b c/ü.bin") == body
    assert store.exists("a/b c/ü.bin")


@pytest.mark.parametrize(
    "body", [b"", b"small", LARGE, LARGE[: 2 * CHUNK_BYTES]], ids=["empty", "small", "large", "whole chunks"]
)
def test_put_file_streams_a_body_that_cannot_seek(store, body):
    written = store.put_file("part", Trickle(body))

    assert (written.bytes, written.sha256) == (len(body), sha256(body))
    assert store.read("part") == body


@pytest.mark.parametrize("first", [b"one", LARGE], ids=["small", "large"])
@pytest.mark.parametrize("second", [b"two", LARGE[:-1] + b"!"], ids=["small", "large"])
def test_an_object_is_never_replaced(store, first, second):
    store.put_file("k", io.BytesIO(first))

    with pytest.raises(AlreadyExistsError, match="other content") as refused:
        store.put_file("k", io.BytesIO(second))

    assert f"{store.root}/k" in str(refused.value)
    assert "Remedy" in str(refused.value)
    assert store.read("k") == first


@pytest.mark.parametrize("body", [b"same", LARGE], ids=["small", "large"])
def test_putting_the_same_bytes_again_is_a_success(store, body):
    first = store.put_file("k", io.BytesIO(body))

    assert store.put_file("k", io.BytesIO(body)) == first


@pytest.mark.parametrize("fail_at", [0, 100, CHUNK_BYTES + 100], ids=["start", "first chunk", "second chunk"])
@pytest.mark.parametrize("error", [OSError("disk"), ValueError("odd"), KeyboardInterrupt()], ids=repr)
def test_a_body_that_fails_leaves_nothing_visible_and_keeps_its_own_error(store, fail_at, error):
    with pytest.raises(type(error)) as raised:
        store.put_file("k", Trickle(LARGE, fail_at, error))

    assert raised.value is error
    assert not store.exists("k")
    assert list(store.list("")) == []


def test_lists_keys_below_a_prefix_in_order_over_many_pages(store):
    for key in ("b/2", "a/1", "b/1", "b/ü", "c/1", "b/10"):
        store.put(key, b"")

    assert list(store.list("b/")) == ["b/1", "b/10", "b/2", "b/ü"]
    assert len(list(store.list(""))) == 6
    assert list(store.list("nothing/")) == []


def test_what_is_not_there_cannot_be_read(store):
    assert not store.exists("k")
    with pytest.raises(IntegrityError, match="no such object") as missing:
        store.read("k")
    assert missing.value.place == f"{store.root}/k"


def test_open_reads_in_pieces(store):
    store.put_file("k", io.BytesIO(LARGE))

    with store.open("k", sha256=sha256(LARGE)) as stream:
        pieces = [stream.read(10), stream.read(CHUNK_BYTES), stream.read()]
        assert stream.read(1) == b""

    assert b"".join(pieces) == LARGE
    assert stream.closed


def test_open_compares_with_the_checksum_that_the_reader_expects(store):
    store.put("k", b"these bytes")

    with (
        store.open("k", sha256=sha256(b"other bytes")) as stream,
        pytest.raises(IntegrityError, match="SHA-256"),
    ):
        stream.read()


def test_a_read_that_stops_early_is_no_error(store):
    store.put("k", b"0123456789")

    with store.open("k", sha256="not looked at") as stream:
        assert stream.raw.read(3) == b"012"


def test_uris_and_keys_undo_each_other(store):
    uri = store.uri_of("a/b")

    assert uri == f"{store.root}/a/b"
    assert store.key_of(uri) == "a/b"


@pytest.mark.parametrize("uri", ["s3://else/a", "gs://lake/some/rootless/a", "", "/some/root/a"])
def test_a_uri_of_another_store_is_refused(store, uri):
    with pytest.raises(IntegrityError, match="does not lie in the store"):
        store.key_of(uri)


def test_a_root_itself_is_no_object(store):
    with pytest.raises(IntegrityError):
        store.key_of(store.root + "/")


def test_a_lost_reply_is_settled_by_comparing(store, store_front, naps):
    method = "POST" if isinstance(store, GcsStore) else "PUT"
    store_front.fail(method, WRITE, "lose")

    written = store.put("k", b"body")

    assert written.sha256 == sha256(b"body")
    assert naps == [0.25]
    assert store_front.count(method, WRITE) == 2


def test_a_lost_reply_does_not_hide_that_somebody_else_was_first(store, store_front):
    method = "POST" if isinstance(store, GcsStore) else "PUT"
    store.put("k", b"theirs")
    store_front.fail(method, WRITE, "refuse")

    with pytest.raises(AlreadyExistsError):
        store.put("k", b"ours")


@pytest.mark.parametrize("action", [500, 503, 429, "refuse"])
def test_a_server_that_recovers_is_tried_again(store, store_front, naps, action):
    method = "POST" if isinstance(store, GcsStore) else "PUT"
    store_front.fail(method, WRITE, action, times=3)

    store.put("k", b"body")

    assert store.read("k") == b"body"
    assert naps == [0.25, 0.5, 1.0]


@pytest.mark.parametrize("action", [503, "refuse"])
def test_a_server_that_does_not_recover_is_given_up(store, store_front, naps, action):
    method = "POST" if isinstance(store, GcsStore) else "PUT"
    store_front.fail(method, WRITE, action, times=9)

    with pytest.raises(StoreUnavailableError) as raised:
        store.put("k", b"body")

    assert raised.value.place == f"{store.root}/k"
    assert "the task retries" in raised.value.remedy
    assert len(naps) == 3


@pytest.mark.parametrize("method", ["exists", "read"])
def test_asking_is_tried_again_too(store, store_front, method):
    store.put("k", b"body")
    store_front.fail("GET" if isinstance(store, GcsStore) else "HEAD", "k", 503)

    assert getattr(store, method)("k") in (True, b"body")


def test_a_broken_read_is_taken_up_where_it_broke(store, store_front, naps):
    store.put_file("k", io.BytesIO(LARGE))
    store_front.requests.clear()
    pattern = "alt=media" if isinstance(store, GcsStore) else "root/k$"
    store_front.fail("GET", pattern, "cut", times=3)

    with store.open("k", sha256=sha256(LARGE)) as stream:
        assert stream.read() == LARGE

    assert len(naps) == 3
    assert store_front.count("GET", pattern) >= 4


def test_a_read_that_keeps_breaking_is_given_up(store, store_front):
    store.put("k", b"0123456789")
    store_front.fail("GET", "alt=media" if isinstance(store, GcsStore) else "root/k$", 503, times=9)

    with store.open("k") as stream, pytest.raises(StoreUnavailableError):
        stream.read()


@pytest.mark.parametrize("status", [401, 403, 400])
def test_a_refusal_says_what_to_do(store, store_front, naps, status):
    store_front.fail("POST" if isinstance(store, GcsStore) else "PUT", WRITE, status)

    with pytest.raises(SettingsError, match="Remedy"):
        store.put("k", b"body")

    assert naps == []


def test_a_missing_bucket_says_what_to_do(s3_client, gcs_client, gcs_front, patience):
    for store in (
        S3Store("s3://no-such-bucket", s3_client, patience=patience),
        GcsStore("gs://no-such-bucket", gcs_client, patience=patience),
    ):
        with pytest.raises(SettingsError, match="create the bucket"):
            store.put("k", b"body")
        with pytest.raises(SettingsError, match="create the bucket"):
            store.put_file("k", io.BytesIO(LARGE))
        with pytest.raises(SettingsError, match="create the bucket"):
            list(store.list(""))


def test_a_damaged_object_is_noticed(store, store_front, request):
    """One byte changed behind our back, the stored checksum as it was: 40 places, 40 alarms."""
    body = random.Random(3).randbytes(40)
    noticed = 0
    for place in range(40):
        key = f"k{place}"
        store.put(key, body)
        _corrupt(
            store, store_front, request, key, body[:place] + bytes([body[place] ^ 1]) + body[place + 1 :]
        )
        with pytest.raises(IntegrityError, match="damaged"):
            store.read(key)
        noticed += 1
    assert noticed == 40


def _corrupt(store, front, request, key, body):
    name = f"some/root/{key}"
    if isinstance(store, GcsStore):
        front.objects[name] = (front.objects[name][0], body)
        return
    client, bucket = request.getfixturevalue("s3_client"), request.getfixturevalue("bucket")
    stored = client.head_object(Bucket=bucket, Key=name)["Metadata"]
    client.put_object(Bucket=bucket, Key=name, Body=body, Metadata=stored)


@pytest.mark.parametrize(
    ("uri", "kind", "root"),
    [
        ("s3://b", S3Store, "s3://b"),
        ("s3://b/", S3Store, "s3://b"),
        ("gs://b/p/q/", GcsStore, "gs://b/p/q"),
    ],
)
def test_the_scheme_decides(uri, kind, root):
    store = open_store(uri, s3_client=lambda: pytest.fail("opened"), gcs_client=lambda: pytest.fail("opened"))

    assert isinstance(store, kind)
    assert store.root == root


@pytest.mark.parametrize("uri", ["http://b/p", "s3:/b", "s3://", "gs:///p", "", "bucket"])
def test_another_scheme_is_refused(uri):
    with pytest.raises(SettingsError, match="s3://bucket"):
        open_store(uri)


def test_a_client_is_made_when_it_is_first_needed_and_once(s3_client, gcs_client, bucket):
    made = []
    for uri, client in ((f"s3://{bucket}", s3_client), ("gs://lake", gcs_client)):
        store = open_store(
            uri,
            s3_client=lambda client=client: made.append(client) or client,
            gcs_client=lambda client=client: made.append(client) or client,
        )
        assert client not in made
        store.put("first", b"1")
        store.put("second", b"2")
        assert made.count(client) == 1


def test_roots_name_objects_with_and_without_prefix():
    plain, below = Root.parse("s3://b"), Root.parse("s3://b/p/q")

    assert (plain.name_of("k"), below.name_of("k")) == ("k", "p/q/k")
    assert (plain.key_of_name("k"), below.key_of_name("p/q/k")) == ("k", "k")
    assert (plain.uri_of("k"), below.uri_of("k")) == ("s3://b/k", "s3://b/p/q/k")
