"""Damaged CSV objects, from the bucket to Parquet: every good row arrives, every bad one is in quarantine with
its line, its reason and its bytes, and an object that is damaged as a whole is not half taken.
"""

from __future__ import annotations

import gzip
import io
import json
import zlib

import pyarrow.parquet as pq
import pytest
from arena import SOURCE_BUCKET, s3_client
from memory_lake import Lake
from survival import harvest

from tideline.catalog.model import CsvDataset
from tideline.errors import ContractError, FatalError
from tideline.lake import manifest as manifests
from tideline.refine.refine import refine

KIND = "s3_csv"
HEADER = b"id,note,amount,updated_at"
STAMP = b"2026-03-01T10:30:00Z"
GOOD = [b"%d,note %d,%d.50,%s" % (n, n, n, STAMP) for n in range(1, 41)]


def rows_of(numbers):
    return {n: f"note {n}" for n in numbers}


def put(lane, body, name="a.csv"):
    s3_client(lane.servers.s3).put_object(Bucket=SOURCE_BUCKET, Key=f"{lane.name}/{name}", Body=body)


def evidence(deployment):
    """The refused records of the lane: line → (reason, column, bytes)."""
    store = deployment.quarantine
    found = {}
    for key in store.list(""):
        if key.endswith("/_manifest.json"):
            for part in manifests.read(store, store.uri_of(key)).parts:
                table = pq.read_table(io.BytesIO(store.read(store.key_of(part.uri))))
                found |= {
                    row["line"]: (row["reason"], row["column"], row["raw"]) for row in table.to_pylist()
                }
    return found


BAD_RECORDS = {
    "too few fields": (b"99,x", "field_count", ""),
    "one field": (b"99", "field_count", ""),
    "too many fields": (b"99,x,1,%s,more" % STAMP, "field_count", ""),
    "a delimiter at the end": (b"99,x,1,%s," % STAMP, "field_count", ""),
    "a blank": (b" ", "field_count", ""),
    "a quote that never closes": (b'99,"x,1,%s' % STAMP, "unterminated_quote", ""),
    "a quote inside a field": (b'99,5" pipe,1,%s' % STAMP, "stray_quote", ""),
    "a text after a closing quote": (b'99,"x"y,1,%s' % STAMP, "stray_quote", ""),
    "a blank before a quote": (b'99, "x",1,%s' % STAMP, "stray_quote", ""),
    "NUL in a text": (b"99,x\0y,1,%s" % STAMP, "bad_utf8", ""),
    "NUL alone": (b"\0,x,1,%s" % STAMP, "bad_utf8", ""),
    "a lone continuation byte": (b"99,\x80,1,%s" % STAMP, "bad_utf8", ""),
    "an overlong byte": (b"99,\xc0\xaf,1,%s" % STAMP, "bad_utf8", ""),
    "a surrogate": (b"99,\xed\xa0\x80,1,%s" % STAMP, "bad_utf8", ""),
    "beyond Unicode": (b"99,\xf5\x80\x80\x80,1,%s" % STAMP, "bad_utf8", ""),
    "cut in a character": (b"99,\xe2\x82,1,%s" % STAMP, "bad_utf8", ""),
    "a mark in the middle": (b"\xef\xbb\xbf99,x,1,%s" % STAMP, "bad_number", "id"),
    "no key": (b",x,1,%s" % STAMP, "null_required", "id"),
    "a key of blanks": (b"  ,x,1,%s" % STAMP, "null_required", "id"),
    "a key beyond 64 bits": (b"9223372036854775808,x,1,%s" % STAMP, "out_of_range", "id"),
    "a key with a point": (b"99.0,x,1,%s" % STAMP, "not_integral", "id"),
    "a key in hexadecimal": (b"0x63,x,1,%s" % STAMP, "bad_number", "id"),
    "an amount of three places": (b"99,x,1.005,%s" % STAMP, "decimal_scale", "amount"),
    "an amount too large": (b"99,x,10000000000,%s" % STAMP, "decimal_overflow", "amount"),
    "an amount that is none": (b"99,x,NaN,%s" % STAMP, "not_finite", "amount"),
    "an amount with a comma": (b'99,x,"1,5",%s' % STAMP, "bad_number", "amount"),
    "30 February": (b"99,x,1,2026-02-30", "bad_timestamp", "updated_at"),
    "year 0": (b"99,x,1,0000-01-01", "out_of_range", "updated_at"),
    "year 10000": (b"99,x,1,10000-01-01", "out_of_range", "updated_at"),
    "hour 24": (b"99,x,1,2026-02-03T24:00:00", "bad_timestamp", "updated_at"),
    "a nanosecond": (b"99,x,1,2026-02-03T04:05:06.000000001", "inexact", "updated_at"),
    "a header again": (HEADER, "bad_number", "id"),
}


@pytest.mark.parametrize("name", BAD_RECORDS)
def test_a_bad_record_costs_itself_and_is_in_quarantine(faults, arena, name):
    record, reason, column = BAD_RECORDS[name]
    lane = arena.lane()
    put(lane, b"\n".join([HEADER, *GOOD[:20], record, *GOOD[20:]]) + b"\n")
    with lane.deployment() as deployment:
        crop = harvest(deployment, lane.request(KIND))
        assert {row["id"]: row["note"] for row in crop.rows} == rows_of(range(1, 41))
        assert evidence(deployment) == {22: (reason, column, record)}
    faults.quarantined(found=crop.refused, injected=1)
    faults.tried()


LINES = [HEADER, *GOOD]
TAKEN = {
    "a byte order mark": b"\xef\xbb\xbf" + b"\n".join(LINES) + b"\n",
    "CR LF": b"\r\n".join(LINES) + b"\r\n",
    "CR": b"\r".join(LINES) + b"\r",
    "all ends mixed": b"".join(
        line + end for line, end in zip(LINES, [b"\n", b"\r\n", b"\r"] * 14, strict=False)
    ),
    "no end at the end": b"\n".join(LINES),
    "empty lines": b"\n\n\r\n".join(LINES) + b"\n\n\n",
    "everything quoted": b"\n".join(b",".join(b'"%s"' % cell for cell in line.split(b",")) for line in LINES),
    "columns in another order": b"\n".join(b",".join(reversed(line.split(b","))) for line in LINES),
    "gzip": gzip.compress(b"\n".join(LINES)),
    "gzip in two members": gzip.compress(b"\n".join(LINES[:9]) + b"\n")
    + gzip.compress(b"\n".join(LINES[9:])),
    "a column more": b"\n".join(b"%s,%s" % (line, b"extra" if line == HEADER else b"x") for line in LINES),
}


@pytest.mark.parametrize("name", TAKEN)
def test_what_looks_odd_but_is_sound_is_taken_whole(faults, arena, name):
    lane = arena.lane()
    put(lane, TAKEN[name])
    with lane.deployment() as deployment:
        crop = harvest(deployment, lane.request(KIND))
    assert {row["id"]: row["note"] for row in crop.rows} == rows_of(range(1, 41))
    faults.quarantined(found=crop.refused, injected=0)
    faults.tried()


REFUSED = {
    "a column twice": (b"id,note,note,amount,updated_at", "more than once"),
    "a column without a name": (b"id,note,,amount,updated_at", "has no name"),
    "a delimiter at the end": (HEADER + b",", "has no name"),
    "no key": (b"note,amount,updated_at", "lacks declared columns: 'id'"),
    "another case": (b"ID,note,amount,updated_at", "spells 'id' as 'ID'"),
    "a blank": (b"id, note,amount,updated_at", "spells 'note' as ' note'"),
    "another delimiter": (HEADER.replace(b",", b";"), "delimiter"),
    "no header": (GOOD[0], "is a header"),
    "a quote that never closes": (b'"' + HEADER, "cannot be read"),
    "not UTF-8": (HEADER + b",\xff", "bad_utf8"),
    "NUL": (HEADER + b",\0", "bad_utf8"),
    "UTF-16": (HEADER.decode().encode("utf-16"), "UTF-16"),
    "zip": (b"PK\x03\x04" + HEADER, "a zip archive"),
    "gzip in gzip": (gzip.compress(gzip.compress(HEADER)), "gzip inside gzip"),
    "a longer one than is held": (b"x" * (33 << 20), "too_large"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_an_object_that_does_not_fit_as_a_whole_is_not_half_taken(faults, arena, name):
    """Another object that is fine waits with it; once the object is written anew, both arrive."""
    header, said = REFUSED[name]
    lane = arena.lane()
    put(lane, b"\n".join([HEADER, *GOOD[:10]]) + b"\n", "a.csv")
    body = (
        header
        if len(header) > 1 << 20 or header.startswith(b"\x1f")
        else b"\n".join([header, *GOOD[10:]]) + b"\n"
    )
    put(lane, body, "b.csv")
    with lane.deployment() as deployment:
        with pytest.raises(ContractError, match=r"b\.csv") as raised:
            harvest(deployment, lane.request(KIND))
        assert said in str(raised.value)
        assert list(deployment.processed.list("")) == []
        put(lane, b"\n".join([HEADER, *GOOD[10:]]) + b"\n", "b.csv")
        crop = harvest(deployment, lane.request(KIND))
    assert {row["id"]: row["note"] for row in crop.rows} == rows_of(range(1, 41))
    faults.tried()


def test_a_field_that_is_longer_than_is_held_costs_its_line(faults, arena):
    lane = arena.lane()
    long = b"99," + b"x" * (34 << 20) + b",1," + STAMP
    put(lane, gzip.compress(b"\n".join([HEADER, *GOOD[:20], long, *GOOD[20:]]), 1), "a.csv.gz")
    with lane.deployment() as deployment:
        crop = harvest(deployment, lane.request(KIND))
        ((line, (reason, _, raw)),) = evidence(deployment).items()
    assert {row["id"] for row in crop.rows} == set(range(1, 41))
    assert (line, reason, raw) == (22, "too_large", long[: 1 << 20])
    faults.quarantined(found=crop.refused, injected=1)
    faults.tried()


@pytest.mark.parametrize(("bad", "passes"), [(39, True), (40, True), (41, False), (60, False)])
def test_more_bad_records_than_the_threshold_stop_after_the_evidence(faults, arena, bad, passes):
    lane = arena.lane()
    put(lane, b"\n".join([HEADER, *GOOD, *(b"x,y" for _ in range(bad))]) + b"\n")
    with lane.deployment() as deployment:
        if passes:
            assert harvest(deployment, lane.request(KIND)).refused == bad
        else:
            with pytest.raises(ContractError, match="quarantine_threshold"):
                harvest(deployment, lane.request(KIND))
            assert list(deployment.processed.list("")) == []
        assert len(evidence(deployment)) == bad
    faults.tried()


# --- gzip --------------------------------------------------------------------------------------------------


def dataset():
    columns = [{"name": "id", "type": "int64"}, {"name": "note", "type": "string"}]
    return CsvDataset(
        source="shop", name="items", bucket="drops", prefix="items/", key=("id",), columns=columns
    )


PLAIN = b"id,note\n" + b"".join(b"%d,note %d\n" % (n, n * 7919) for n in range(30_000))
PACKED = gzip.compress(PLAIN, 6)


@pytest.mark.parametrize("sixtyfourth", range(64))
def test_a_gzip_cut_at_any_64th_is_not_half_taken(faults, sixtyfourth):
    lake = Lake()
    cut = PACKED[: len(PACKED) * sixtyfourth // 64]
    with pytest.raises(ContractError, match="cut short"):
        refine(dataset(), lake.landed(dataset(), cut, key="items/0.csv.gz"), **lake.stores, run_id="fault")
    assert lake.committed == 0
    refine(dataset(), lake.landed(dataset(), PACKED), **lake.stores, run_id="fault")
    assert len(lake.rows()) == 30_000
    faults.tried()


@pytest.mark.parametrize("place", range(32))
def test_a_flipped_byte_of_a_gzip_is_not_half_taken(faults, place):
    """Also where the store's own checksum was made after the damage: gzip has one."""
    lake = Lake()
    at = 10 + (len(PACKED) - 10) * place // 32
    flipped = PACKED[:at] + bytes([PACKED[at] ^ 16]) + PACKED[at + 1 :]
    with pytest.raises(FatalError):
        refine(dataset(), lake.landed(dataset(), flipped), **lake.stores, run_id="fault")
    assert lake.committed == 0
    faults.tried()


BOMBS = {
    "nothing but zeros": gzip.compress(b"\0" * (150 << 20), 9),
    "one row for ever": gzip.compress(b"id,note\n" + b"1,x\n" * 4_000_000, 9),
    "one field for ever": gzip.compress(b"id,note\n1," + b"x" * (64 << 20), 9),
    "members for ever": gzip.compress(b"id,note\n" + b"1,x\n" * 100_000, 9) * 20,
}


@pytest.mark.parametrize("name", BOMBS)
def test_a_bomb_is_stopped_at_the_cap(faults, name):
    lake = Lake()
    uri = lake.landed(dataset(), BOMBS[name], key="items/bomb.csv.gz")
    with pytest.raises(
        ContractError, match=r"too_large: \d+ compressed bytes inflate to \d+ bytes"
    ) as raised:
        refine(dataset(), uri, **lake.stores, run_id="fault", object_bytes=4 << 20)
    assert "items/bomb.csv.gz" in str(raised.value.place)
    assert "TIDELINE_OBJECT_BYTES" in str(raised.value.remedy)
    assert lake.committed == 0
    faults.tried()


def test_a_bomb_is_stopped_by_its_ratio_whatever_the_cap(faults):
    lake = Lake()
    uri = lake.landed(dataset(), BOMBS["nothing but zeros"], key="items/bomb.csv.gz")
    with pytest.raises(ContractError, match="too_large"):
        refine(dataset(), uri, **lake.stores, run_id="fault")
    assert lake.committed == 0
    faults.tried()


def test_the_cap_is_the_deployments(faults, arena):
    lane = arena.lane()
    put(lane, gzip.compress(b"\n".join(LINES)), "a.csv.gz")
    with lane.deployment() as deployment:
        from dataclasses import replace

        small = replace(deployment, settings=replace(deployment.settings, object_bytes=100))
        with pytest.raises(ContractError, match="TIDELINE_OBJECT_BYTES"):
            harvest(small, lane.request(KIND))
        assert len(harvest(deployment, lane.request(KIND)).rows) == 40
    faults.tried()


def test_columns_that_an_older_object_lacks_are_null_and_told(faults, arena):
    """The catalog gained `amount` after the first drop; replaying it must not fail."""
    lane = arena.lane()
    old = [b",".join(cells[:2] + cells[3:]) for cells in (line.split(b",") for line in LINES[:11])]
    put(lane, b"\n".join(old), "a.csv")
    put(lane, b"\n".join([HEADER, *GOOD[10:]]), "b.csv")
    with lane.deployment() as deployment:
        crop = harvest(deployment, lane.request(KIND))
        (key,) = [k for k in deployment.processed.list("") if k.endswith("/_manifest.json")]
        drift = json.loads(deployment.processed.read(key))["details"]["drift"]
    assert {row["id"] for row in crop.rows if row["amount"] is None} == set(range(1, 11))
    assert len(crop.rows) == 40
    assert drift["(missing column) amount"]["count"] == 10
    faults.tried()


def test_a_deflate_stream_is_no_csv(faults):
    lake = Lake()
    with pytest.raises(FatalError):
        refine(dataset(), lake.landed(dataset(), zlib.compress(PLAIN)), **lake.stores, run_id="fault")
    assert lake.committed == 0
    faults.tried()
