"""Every object is landed once per version, byte for byte, whatever happens between listing and reading."""

from __future__ import annotations

import gzip
import io
import logging
import random
import threading
import weakref
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import boto3
import pytest
from botocore.awsrequest import AWSResponse
from botocore.config import Config
from hypothesis import given, settings
from hypothesis import strategies as st
from moto.core import DEFAULT_ACCOUNT_ID
from moto.s3.models import s3_backends

from tideline.catalog.model import CsvDataset
from tideline.errors import (
    IntegrityError,
    SettingsError,
    SourceChangedError,
    SourceRefusedError,
    SourceUnavailableError,
)
from tideline.lake import manifest as manifests
from tideline.lake.writeonce import CHUNK_BYTES
from tideline.land import s3_listing
from tideline.land.s3_csv import ObjectIdentity, land
from tideline.land.s3_listing import Found, LandedBefore, select
from tideline.window import parse_instant

NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)


def products(bucket, **changes):
    declared = {
        "name": "products",
        "source": "shop_s3",
        "key": ["id"],
        "columns": [{"name": "id", "type": "string"}],
        "bucket": bucket,
        "prefix": "products/",
    }
    return CsvDataset.model_validate({**declared, **changes})


def identities(manifest):
    """What the ledger would hold of a committed load, ordered by key."""
    rows = [
        ObjectIdentity(part.origin["key"], part.origin["etag"], parse_instant(part.origin["last_modified"]))
        for part in manifest.parts
    ]
    return sorted(rows)


def bodies(store, manifest):
    return {part.origin["key"]: store.read(store.key_of(part.uri)) for part in manifest.parts}


@pytest.fixture
def drop(s3, bucket):
    """Puts an object into the source bucket."""

    def put(key, body=b"id\n1\n"):
        s3.put_object(Bucket=bucket, Key=key, Body=body)

    return put


@pytest.fixture
def landing(s3, bucket, store, request_for, patience):
    """Lands the products of the bucket."""

    def run(landed=(), *, client=None, dataset=None, **options):
        request = request_for(dataset or products(bucket), **options)
        return land(request, client or s3, store, landed, patience=patience)

    return run


@pytest.fixture
def faulty(s3):
    """A client of the same server whose GETs can be intercepted; hooks get the request, and may answer it."""
    url = s3.meta.endpoint_url
    config = Config(retries={"total_max_attempts": 1}, max_pool_connections=16)
    client = boto3.client(
        "s3",
        endpoint_url=url,
        region_name="us-east-1",
        aws_access_key_id="key",
        aws_secret_access_key="secret",
        config=config,
    )

    def intercept(hook, operation="GetObject"):
        client.meta.events.register(f"before-send.s3.{operation}", lambda request, **_: hook(request))

    client.intercept = intercept
    return client


class Raw(io.BytesIO):
    """What botocore takes for a connection's body."""

    def stream(self, amount=65536, decode_content=None):
        while chunk := self.read(amount):
            yield chunk


def answer(status, body=b"", **headers):
    fields = {"Content-Length": str(len(body)), **{k.replace("_", "-"): v for k, v in headers.items()}}
    return AWSResponse("http://s3", status, fields, Raw(body))


def test_plain_and_gzip_land_byte_for_byte(landing, drop, store):
    files = {
        "products/a.csv": b"id\r\n1\r\n\xff\x00",
        "products/2026/b.csv.gz": gzip.compress(b"id\n1\n"),
        "products/c d+ü%2F&.csv": b"",
        "products/large.csv": random.Random(1).randbytes(2 * CHUNK_BYTES + 7),
    }
    for key, body in files.items():
        drop(key, body)

    manifest, uri = landing()

    assert bodies(store, manifest) == files
    assert manifests.read(store, uri) == manifest
    assert manifest.records is None
    for part in manifest.parts:
        assert part.uri.endswith(".csv.gz" if part.origin["key"].endswith(".gz") else ".csv")
        assert part.records is None


def test_parts_say_where_they_came_from(landing, drop, s3, bucket):
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    drop("products/a.csv", b"12345")
    head = s3.head_object(Bucket=bucket, Key="products/a.csv")

    manifest, _ = landing(now=lambda: datetime.now(UTC))

    assert manifest.parts[0].origin == {
        "bucket": bucket,
        "key": "products/a.csv",
        "etag": head["ETag"].strip('"'),
        "version_id": head["VersionId"],
        "last_modified": head["LastModified"].strftime("%Y-%m-%dT%H:%M:%SZ"),
        "size": 5,
    }


@pytest.mark.parametrize(
    ("ahead", "seen"),
    [
        (timedelta(minutes=15), timedelta(minutes=15)),
        (timedelta(minutes=16), timedelta(0)),
        (timedelta(days=3650), timedelta(0)),
        (timedelta(days=-1), timedelta(days=-1)),
    ],
    ids=["skew", "more than any skew", "ten years", "the past"],
)
def test_a_time_of_writing_that_has_not_come_is_not_believed(landing, drop, bucket, ahead, seen):
    """As servers have it that give files their own times; rows written until then would come too late for it."""
    drop("products/a.csv")
    clock = NOON + timedelta(minutes=5)
    written_at = clock + ahead
    s3_backends[DEFAULT_ACCOUNT_ID]["aws"].buckets[bucket].keys["products/a.csv"].last_modified = written_at

    manifest, _ = landing(now=lambda: clock)

    (part,) = manifest.parts
    assert parse_instant(part.origin["last_modified"]) == written_at  # it is known by that
    assert manifest.seen_at(part) == clock + seen
    assert landing(identities(manifest), now=lambda: clock)[0].parts == ()


def test_what_was_landed_is_not_landed_again(landing, drop):
    drop("products/a.csv")
    first, _ = landing()
    drop("products/b.csv")

    second, _ = landing(identities(first))

    assert [part.origin["key"] for part in second.parts] == ["products/b.csv"]
    counts = {name: second.details[name] for name in ("listed", "selected", "landed_before")}
    assert counts == {"listed": 2, "selected": 1, "landed_before": 1}


def test_an_overwritten_object_is_landed_again(landing, drop, store):
    drop("products/a.csv", b"id\n1\n")
    first, _ = landing()
    drop("products/a.csv", b"id\n2\n")

    second, _ = landing(identities(first))
    third, _ = landing(sorted(identities(first) + identities(second)))

    assert bodies(store, second) == {"products/a.csv": b"id\n2\n"}
    assert third.parts == ()
    assert third.records == 0


def test_the_same_bytes_under_a_new_time_are_a_new_version(landing, drop):
    drop("products/a.csv")
    first, _ = landing()
    older = [row._replace(last_modified=row.last_modified - timedelta(days=1)) for row in identities(first)]

    second, _ = landing(older)

    assert len(second.parts) == 1


def test_a_named_interval_is_landed_again_with_what_is_new(landing, drop):
    drop("products/a.csv")
    first, _ = landing()
    drop("products/b.csv")
    now = datetime.now(UTC)

    inside, _ = landing(
        identities(first), mode="exact", start=now - timedelta(hours=1), end=now + timedelta(hours=1)
    )
    outside, _ = landing(
        identities(first), mode="exact", start=now - timedelta(hours=3), end=now - timedelta(hours=2)
    )
    scheduled, _ = landing(identities(first), start=now - timedelta(hours=1), end=now + timedelta(hours=1))

    assert len(inside.parts) == 2
    assert len(outside.parts) == 1
    assert len(scheduled.parts) == 1


def test_more_objects_than_a_page_holds(landing, s3, bucket, store):
    """The listing has 2,101 objects on three pages; all but those of page two were landed before."""
    keys = sorted(f"products/{n:05d}.csv" for n in range(2101))
    backend = s3_backends[DEFAULT_ACCOUNT_ID]["aws"]
    for key in keys:
        backend.put_object(bucket, key, key.encode())
    listed = {}
    for page in s3.get_paginator("list_objects_v2").paginate(Bucket=bucket):
        listed |= {e["Key"]: ObjectIdentity(e["Key"], e["ETag"], e["LastModified"]) for e in page["Contents"]}
    before = [listed[key] for key in keys if not 1000 <= keys.index(key) < 1100]

    manifest, _ = landing(iter(before))

    assert manifest.details["listed"] == 2101
    assert manifest.details["landed_before"] == 2001
    assert bodies(store, manifest) == {key: key.encode() for key in keys[1000:1100]}


def test_other_suffixes_are_counted_and_named(landing, drop, caplog):
    for n in range(7):
        drop(f"products/{n}.parquet")
    drop("products/", b"")
    drop("products/UPPER.CSV")
    drop("products/not-empty/", b"x")

    with caplog.at_level(logging.WARNING):
        manifest, _ = landing()

    assert [part.origin["key"] for part in manifest.parts] == ["products/UPPER.CSV"]
    assert manifest.details["ignored"] == 8
    assert manifest.details["ignored_examples"] == [f"products/{n}.parquet" for n in range(5)]
    assert "ignored 8 objects" in caplog.text


def test_only_the_prefix_is_looked_at(landing, drop):
    drop("products-old/a.csv")
    drop("order_items/a.csv")

    assert landing()[0].parts == ()


def test_a_family_that_never_was_is_an_empty_window_with_a_warning(landing, caplog):
    with caplog.at_level(logging.WARNING):
        manifest, _ = landing()

    assert (manifest.parts, manifest.records) == ((), 0)
    assert "never was" in caplog.text


def test_a_family_that_was_is_no_reason_to_warn(landing, caplog):
    with caplog.at_level(logging.WARNING):
        landing([ObjectIdentity("products/gone.csv", "e", NOON)])

    assert caplog.text == ""


def test_parts_are_numbered_in_the_order_in_which_they_should_win(landing, drop, s3, bucket, monkeypatch):
    for key in "cab":
        drop(f"products/{key}.csv")
    backend_times = {
        "products/c.csv": NOON,
        "products/a.csv": NOON,
        "products/b.csv": NOON - timedelta(days=1),
    }
    listing = s3.list_objects_v2

    def with_times(**arguments):
        page = listing(**arguments)
        for entry in page["Contents"]:
            entry["LastModified"] = backend_times[entry["Key"]]
        return page

    monkeypatch.setattr(s3, "list_objects_v2", with_times)

    manifest, _ = landing()

    assert [part.origin["key"][-5:] for part in manifest.parts] == ["b.csv", "a.csv", "c.csv"]
    assert [part.uri[-9:] for part in manifest.parts] == ["00000.csv", "00001.csv", "00002.csv"]


def test_a_missing_bucket_is_refused(landing, assert_nothing_committed):
    with pytest.raises(SourceRefusedError, match="no such bucket") as refused:
        landing(dataset=products("no-such-bucket"))

    assert refused.value.place == "s3://no-such-bucket/products/"
    assert refused.value.source == "shop_s3"
    assert_nothing_committed()


@pytest.mark.parametrize(
    ("reply", "expected"),
    [
        (answer(403, b"<Error><Code>AccessDenied</Code></Error>"), SourceRefusedError),
        (answer(403, b"<Error><Code>InvalidAccessKeyId</Code></Error>"), SourceRefusedError),
        (answer(403, b"<Error><Code>InvalidObjectState</Code></Error>"), SourceRefusedError),
        (answer(400, b"<Error><Code>Odd</Code></Error>"), SourceRefusedError),
        (answer(503, b"<Error><Code>SlowDown</Code></Error>"), SourceUnavailableError),
        (answer(500), SourceUnavailableError),
    ],
    ids=["denied", "bad key", "archived", "odd", "slow down", "broken"],
)
@pytest.mark.parametrize("operation", ["ListObjectsV2", "GetObject"])
def test_a_source_that_refuses_commits_nothing(
    landing, drop, faulty, reply, expected, operation, assert_nothing_committed
):
    drop("products/a.csv")
    faulty.intercept(lambda request: answer(reply.status_code, reply.raw.getvalue()), operation)

    with pytest.raises(expected, match="Remedy") as raised:
        landing(client=faulty)

    assert "products/" in raised.value.place
    assert_nothing_committed()


def test_a_client_without_credentials_is_a_setting(landing, monkeypatch, tmp_path, s3):
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    anonymous = boto3.client("s3", endpoint_url=s3.meta.endpoint_url, region_name="us-east-1")

    with pytest.raises(SettingsError, match="credentials"):
        landing(client=anonymous)


def test_a_read_that_fails_is_tried_again(landing, drop, faulty, store, naps):
    drop("products/a.csv")
    faults = [answer(503), answer(500), None]
    faulty.intercept(lambda request: faults.pop(0))

    manifest, _ = landing(client=faulty)

    assert bodies(store, manifest) == {"products/a.csv": b"id\n1\n"}
    assert naps == [0.25, 0.5]


def test_a_listing_that_never_ends_is_given_up_at_the_deadline(
    landing, drop, faulty, assert_nothing_committed
):
    """Byte for byte in time for any time-out between bytes: boto comes back when it has what it wants."""
    drop("products/a.csv")
    released = threading.Event()

    class Endless(Raw):
        def read(self, size=-1):
            released.wait(30)
            return b""

    faulty.intercept(lambda request: AWSResponse("http://s3", 200, {}, Endless()), "ListObjectsV2")
    with pytest.raises(SourceUnavailableError, match=r"gave nothing for 0\.2 s"):
        landing(client=faulty, deadline_seconds=0.2)
    released.set()
    assert_nothing_committed()


def test_a_body_cut_at_any_byte_is_never_landed(
    landing, drop, faulty, s3, bucket, store, assert_nothing_committed
):
    """64 cuts of one object: whether the length is claimed in full or not, no part of it is committed."""
    body = gzip.compress(random.Random(2).randbytes(4096), mtime=0)
    drop("products/a.csv.gz", body)
    etag = s3.head_object(Bucket=bucket, Key="products/a.csv.gz")["ETag"]
    cut = [0]
    faulty.intercept(lambda request: answer(200, body[: cut[0]], ETag=etag))
    refused = 0
    for cut[0] in range(0, len(body), -(-len(body) // 64)):
        with pytest.raises(SourceUnavailableError, match="bytes too few"):
            landing(client=faulty)
        refused += 1

    assert refused >= 60
    assert_nothing_committed()


@pytest.mark.parametrize(
    ("body", "found"), [(b"id\n1\nX", "1 bytes too many"), (b"id\n2\n", "MD5")], ids=["longer", "other bytes"]
)
def test_other_bytes_than_promised_are_not_landed(
    landing, drop, faulty, body, found, assert_nothing_committed
):
    drop("products/a.csv", b"id\n1\n")
    faulty.intercept(lambda request: answer(200, body))

    with pytest.raises(SourceUnavailableError, match=found):
        landing(client=faulty)

    assert_nothing_committed()


@pytest.mark.parametrize(
    "headers",
    [
        {"x_amz_server_side_encryption": "aws:kms"},
        {"x_amz_server_side_encryption_customer_algorithm": "AES256"},
    ],
    ids=["KMS", "customer key"],
)
def test_the_etag_of_an_encrypted_object_is_no_md5(landing, drop, faulty, headers):
    drop("products/a.csv", b"id\n1\n")
    faulty.intercept(lambda request: answer(200, b"id\n2\n", **headers))

    assert len(landing(client=faulty)[0].parts) == 1


def test_the_etag_of_a_multipart_upload_is_no_md5(landing, s3, bucket, store):
    upload = s3.create_multipart_upload(Bucket=bucket, Key="products/a.csv")["UploadId"]
    at = {"Bucket": bucket, "Key": "products/a.csv", "UploadId": upload}
    etag = s3.upload_part(**at, PartNumber=1, Body=b"id\n1\n")["ETag"]
    s3.complete_multipart_upload(**at, MultipartUpload={"Parts": [{"PartNumber": 1, "ETag": etag}]})

    manifest, _ = landing()

    assert manifest.parts[0].origin["etag"].endswith("-1")
    assert bodies(store, manifest) == {"products/a.csv": b"id\n1\n"}


def test_an_object_overwritten_before_it_is_read_lands_as_what_it_is_now(landing, drop, faulty, store):
    drop("products/a.csv", b"old")
    drop("products/b.csv", b"other")
    news = {"products/a.csv": [b"newer", b"newest"]}

    def overwrite(request):
        key = request.url.partition("/products/")[2]
        pending = news.get(f"products/{key}", [])
        if pending:
            drop(f"products/{key}", pending.pop(0))

    faulty.intercept(overwrite)

    manifest, _ = landing(client=faulty)

    assert bodies(store, manifest) == {"products/a.csv": b"newest", "products/b.csv": b"other"}
    assert manifest.details["replaced"] == 2
    by_key = {part.origin["key"]: part.uri[-9:] for part in manifest.parts}
    assert by_key == {"products/b.csv": "00001.csv", "products/a.csv": "00003.csv"}
    again, _ = landing(identities(manifest))
    assert again.parts == ()


def test_an_object_that_never_rests_is_given_up(landing, drop, faulty, assert_nothing_committed):
    drop("products/a.csv", b"0")
    count = iter(range(1, 1000))
    faulty.intercept(lambda request: drop("products/a.csv", str(next(count)).encode()))

    with pytest.raises(SourceChangedError, match=r"products/a\.csv"):
        landing(client=faulty)

    assert_nothing_committed()


@pytest.mark.parametrize("lookalike", [None, "products/a.csv.gz"], ids=["nothing", "a longer key"])
def test_an_object_that_vanished_is_counted_and_the_others_land(
    landing, drop, faulty, s3, bucket, store, lookalike
):
    drop("products/a.csv")
    drop("products/b.csv", b"b")
    if lookalike:
        drop(lookalike, b"c")
    gone = []

    def vanish(request):
        if not gone:
            gone.append(s3.delete_object(Bucket=bucket, Key="products/a.csv"))

    faulty.intercept(vanish)

    manifest, _ = landing(client=faulty)

    expected = {"products/b.csv": b"b"} | ({lookalike: b"c"} if lookalike else {})
    assert bodies(store, manifest) == expected
    assert manifest.details["vanished"] == 1


@pytest.mark.parametrize("times", [1, 100])
def test_an_object_that_is_listed_has_not_vanished(
    landing, drop, faulty, store, times, assert_nothing_committed
):
    """A gateway that does not find it says so too; taken for gone it would be left out for ever, all green."""
    drop("products/a.csv", b"a")
    drop("products/b.csv", b"b")
    answers = iter([answer(404, b"<Error><Code>NoSuchKey</Code></Error>")] * times)
    faulty.intercept(lambda request: next(answers, None) if request.url.endswith("a.csv") else None)

    if times == 1:
        manifest, _ = landing(client=faulty)
        assert bodies(store, manifest) == {"products/a.csv": b"a", "products/b.csv": b"b"}
    else:
        with pytest.raises(SourceUnavailableError, match="lists the object and says that there is none"):
            landing(client=faulty)
        assert_nothing_committed()


def test_an_object_that_was_deleted_and_written_again_is_landed(landing, drop, faulty, s3, bucket, store):
    drop("products/a.csv", b"old")
    again = iter([b"new"])

    def rewrite(request):
        s3.delete_object(Bucket=bucket, Key="products/a.csv")
        for body in again:
            drop("products/a.csv", body)
            return answer(404, b"<Error><Code>NoSuchKey</Code></Error>")
        drop("products/a.csv", b"new")
        return None

    faulty.intercept(rewrite)

    manifest, _ = landing(client=faulty)

    assert bodies(store, manifest) == {"products/a.csv": b"new"}


def test_an_object_that_vanished_after_it_changed_is_counted(landing, drop, faulty, s3, bucket):
    drop("products/a.csv", b"old")

    def hook(request):
        s3.delete_object(Bucket=bucket, Key="products/a.csv")
        return answer(412, b"<Error><Code>PreconditionFailed</Code></Error>")

    faulty.intercept(hook)

    manifest, _ = landing(client=faulty)

    assert (manifest.parts, manifest.details["vanished"]) == ((), 1)


def test_a_failure_calls_off_what_has_not_begun(landing, drop, faulty):
    for n in range(60):
        drop(f"products/{n:02d}.csv")
    asked = []

    def refuse(request):
        asked.append(request.url)
        return answer(403, b"<Error><Code>AccessDenied</Code></Error>")

    faulty.intercept(refuse)

    with pytest.raises(SourceRefusedError):
        landing(client=faulty)

    assert len(asked) < 60


def found(key, etag="e", seconds=0, size=1):
    return Found(key, etag, NOON + timedelta(seconds=seconds), size)


KEYS = st.text(st.sampled_from("ab/é\U0001f600"), min_size=1, max_size=3)
ENTRIES = st.builds(found, KEYS.map(lambda key: key + ".csv"), st.sampled_from("ef"), st.integers(0, 1))


@settings(deadline=None)
@given(listed=st.lists(ENTRIES, unique_by=lambda entry: entry.key), landed=st.lists(ENTRIES))
def test_the_joined_streams_agree_with_sets(listed, landed):
    rows = sorted((entry.identity for entry in landed), key=lambda row: row.key.encode())

    selection = select(
        sorted(listed, key=lambda entry: entry.key.encode()),
        LandedBefore(rows, "here"),
        suffixes=(".csv",),
        again=lambda entry: False,
    )

    before = {entry.identity for entry in landed}
    assert {entry.identity for entry in selection.wanted} == {e.identity for e in listed} - before
    assert selection.known + len(selection.wanted) == selection.listed == len(listed)


def test_more_objects_than_a_load_takes_are_landed_by_several_loads_oldest_first(
    landing, drop, monkeypatch, caplog
):
    monkeypatch.setattr(s3_listing, "MOST_OBJECTS", 3)
    for number in range(8):
        drop(f"products/{number}.csv")
    landed, taken = [], []
    for left in (5, 2, 0):
        caplog.clear()
        manifest, _ = landing(sorted(landed))
        landed += identities(manifest)
        taken.append([part.origin["key"] for part in manifest.parts])
        assert manifest.details.get("left", 0) == left
        assert ("the runs that follow" in caplog.text) == (left > 0)
    assert [len(keys) for keys in taken] == [3, 3, 2]
    assert sorted(identity.key for identity in landed) == [f"products/{number}.csv" for number in range(8)]
    assert [identity.last_modified for identity in landed] == sorted(i.last_modified for i in landed)


def test_a_named_interval_with_more_objects_than_a_load_takes_is_refused(
    landing, drop, monkeypatch, assert_nothing_committed
):
    """Whatever of it was left, no later load would land again."""
    monkeypatch.setattr(s3_listing, "MOST_OBJECTS", 3)
    for number in range(4):
        drop(f"products/{number}.csv")
    with pytest.raises(SourceRefusedError, match=r"4 objects .* takes 3.*shorter intervals"):
        landing(mode="exact")
    assert_nothing_committed()


def test_what_is_held_of_any_number_of_objects_is_bounded(monkeypatch):
    monkeypatch.setattr(s3_listing, "MOST_OBJECTS", 100)
    alive = weakref.WeakSet()
    most = 0

    class Watched(Found):
        __slots__ = ("__weakref__",)

    def listed():
        nonlocal most
        for number in range(5_000):
            entry = Watched(f"{number:07d}.csv", "e", NOON + timedelta(seconds=number * 7919 % 100_003), 1)
            alive.add(entry)
            yield entry
            del entry
            most = max(most, len(alive))

    selection = select(listed(), LandedBefore([], "here"), suffixes=(".csv",), again=lambda _: False)
    oldest = sorted(number * 7919 % 100_003 for number in range(5_000))[:100]
    assert [entry.last_modified for entry in selection.wanted] == [
        NOON + timedelta(seconds=s) for s in oldest
    ]
    assert (selection.listed, selection.left) == (5_000, 4_900)
    assert most < 300


def test_rows_of_the_ledger_may_come_quoted_and_in_any_zone():
    row = SimpleNamespace(key="a.csv", etag='"e"', last_modified=NOON.replace(tzinfo=None))

    selection = select(
        [found("a.csv")], LandedBefore([row], "here"), suffixes=(".csv",), again=lambda entry: False
    )

    assert selection.wanted == []


def test_landed_rows_out_of_order_are_noticed():
    rows = [found(key).identity for key in ("b.csv", "a.csv")]

    with pytest.raises(IntegrityError, match="not ordered"):
        select([found("c.csv")], LandedBefore(rows, "here"), suffixes=(".csv",), again=lambda entry: False)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<ListBucketResult><Contents><Key>products/a.csv</Key></Contents><IsTruncated>false</IsTruncated>"
        b"</ListBucketResult>",
    ],
    ids=["nothing", "an entry without its ETag"],
)
def test_a_listing_that_is_cut_is_asked_for_again(landing, drop, faulty, body):
    drop("products/a.csv", b"id\n1\n")
    answers = [answer(200, body)]
    faulty.intercept(lambda request: answers.pop() if answers else None, "ListObjectsV2")

    manifest, _ = landing(client=faulty)

    assert len(manifest.parts) == 1


def test_a_listing_that_goes_on_and_does_not_say_where_is_not_the_whole(
    landing, faulty, assert_nothing_committed
):
    body = b"<ListBucketResult><IsTruncated>true</IsTruncated><NextMarker>products/a.csv</NextMarker></ListBucketResult>"
    faulty.intercept(lambda request: answer(200, body), "ListObjectsV2")

    with pytest.raises(SourceUnavailableError, match="version 2 of ListObjects"):
        landing(client=faulty)
    assert_nothing_committed()


@pytest.mark.parametrize("entries", [b"", b"<Contents><Key>products/a.csv</Key><ETag>e</ETag><Size>1</Size>"
    b"<LastModified>2026-01-31T00:00:00Z</LastModified></Contents>"], ids=["empty", "an object"])  # fmt: skip
def test_a_listing_that_goes_on_where_it_was_ends(landing, faulty, entries, assert_nothing_committed):
    """As a cache before the bucket has it: one page again and again."""
    more = b"<IsTruncated>true</IsTruncated><NextContinuationToken>more</NextContinuationToken>"
    body = b"<ListBucketResult>" + entries + more + b"</ListBucketResult>"
    faulty.intercept(lambda request: answer(200, body), "ListObjectsV2")

    with pytest.raises(SourceUnavailableError, match="goes on where it was"):
        landing(client=faulty)
    assert_nothing_committed()


def test_a_listing_out_of_order_is_noticed(landing, faulty):
    entry = "<Contents><Key>products/{}.csv</Key><ETag>e</ETag><Size>1</Size>"
    entry += "<LastModified>2026-01-31T00:00:00Z</LastModified></Contents>"
    body = f"<ListBucketResult>{entry.format('b')}{entry.format('a')}<IsTruncated>false</IsTruncated></ListBucketResult>".encode()
    faulty.intercept(lambda request: answer(200, body), "ListObjectsV2")

    with pytest.raises(IntegrityError, match="directory buckets"):
        landing(client=faulty)
