"""Damaged JSON and paging that lies: a snapshot is whole or it is not committed."""

from __future__ import annotations

import gzip
import json
import zlib
from dataclasses import replace

import pytest
from memory_lake import Lake
from proxy import status, then
from survival import check_crop, harvest, survive

from tideline.catalog.model import HttpDataset
from tideline.errors import ContractError, RetriableError, SourceChangedError, TidelineError
from tideline.refine.refine import refine

KIND = "rest_api"
JSON = {"Content-Type": "application/json"}
ITEMS = [{"id": n, "note": f"ü{n}", "amount": f"{n}.50", "nested": {"a": [n, None]}} for n in range(1, 7)]
BODY = json.dumps(ITEMS, ensure_ascii=False).encode()


def dataset(**declared):
    columns = [{"name": "id", "type": "int64"}, {"name": "note", "type": "string"}]
    return HttpDataset(source="api", name="things", path="/things", key=("id",), columns=columns, **declared)


def test_a_page_cut_at_any_byte_is_never_a_shorter_page(faults):
    """In the lake, where its checksum was made after the damage: as many bytes, so many errors."""
    for length in range(len(BODY)):
        lake = Lake()
        uri = lake.landed(dataset(), BODY[:length])
        with pytest.raises(ContractError):
            refine(dataset(), uri, **lake.stores, run_id="fault")
        assert lake.committed == 0
        faults.tried()
    assert len(BODY) > 300


def test_an_envelope_cut_at_any_byte_is_never_a_shorter_page(faults):
    body = json.dumps({"total": 6, "data": {"items": ITEMS}, "next": None}).encode()
    declared = dataset(records_at=("data", "items"))
    for length in range(0, len(body), 3):
        lake = Lake()
        with pytest.raises(ContractError):
            refine(declared, lake.landed(declared, body[:length]), **lake.stores, run_id="fault")
        assert lake.committed == 0
        faults.tried()


DAMAGED = {
    "a bare word": b'[{"id":1},{"id":tru}]',
    "a comma too much": b'[{"id":1},]',
    "a comma too few": b'[{"id":1}{"id":2}]',
    "single quotes": b"[{'id':1}]",
    "two bodies": b'[{"id":1}][{"id":2}]',
    "a line break in a text": b'[{"id":1,"note":"a\nb"}]',
    "an array that closes as an object": b'[{"id":1}}',
    "a number with a zero before it": b'[{"id":01}]',
    "brackets without end": b"[" * 50_000,
    "objects without end": b'{"a":' * 50_000,
    "an object": b'{"id":1}',
    "a number": b"7",
    "a text": b'"[]"',
    "HTML": b"<html><body>[]</body></html>",
    "nothing": b"",
    "NUL": b"\0",
    "UTF-16": '[{"id":1}]'.encode("utf-16"),
    "UTF-32": '[{"id":1}]'.encode("utf-32"),
    "gzip": gzip.compress(b'[{"id":1}]'),
}


@pytest.mark.parametrize("name", DAMAGED)
def test_a_body_that_is_no_array_of_objects_commits_nothing(faults, proxies, arena, name):
    """Neither where it is landed nor, should it come to the lake some other way, where it is refined."""
    lake = Lake()
    with pytest.raises(TidelineError):
        refine(dataset(), lake.landed(dataset(), DAMAGED[name]), **lake.stores, run_id="fault")
    assert lake.stores["processed"].objects == {}
    lane = arena.lane()
    lane.change(KIND, *range(1, 9))
    with proxies.before("api", lane) as line:
        line.proxy.fail("page=2", status(200, JSON, DAMAGED[name]), times=99)
        survive(faults, line, lane, KIND, fails=(RetriableError, ContractError), met=None)


REFUSED_ITEMS = {
    "no key": ({"note": "x"}, "missing_required"),
    "a null key": ({"id": None}, "null_required"),
    "a key that is a text": ({"id": "x"}, "type_mismatch"),
    "a key with a fraction": ({"id": 1.5}, "type_mismatch"),
    "a key beyond 64 bits": ({"id": 1 << 63}, "out_of_range"),
    "a key that is NaN": ({"id": float("nan")}, "bad_json"),
    "Infinity in a field that is not declared": ({"id": 9, "x": float("inf")}, "bad_json"),
    "a number in place of a text": ({"id": 9, "note": 7}, "type_mismatch"),
    "an array in place of a text": ({"id": 9, "note": ["x"]}, "type_mismatch"),
    "a number in place of an object": (7, "not_an_object"),
    "null in place of an object": (None, "not_an_object"),
    "too deep": ({"id": 9, "deep": json.loads("[" * 200 + "]" * 200)}, "too_deep"),
}


@pytest.mark.parametrize("name", REFUSED_ITEMS)
def test_a_bad_item_costs_itself_and_is_in_quarantine(faults, name):
    item, reason = REFUSED_ITEMS[name]
    lake = Lake()
    declared = dataset(quarantine_threshold=0.5)
    body = json.dumps([*ITEMS[:3], item, *ITEMS[3:]]).encode()
    refine(declared, lake.landed(declared, body), **lake.stores, run_id="fault")
    (refused,) = lake.rows("quarantine")
    assert sorted(row["id"] for row in lake.rows()) == list(range(1, 7))
    assert (refused["position"], refused["reason"]) == (3, reason), refused
    assert json.dumps(json.loads(refused["raw"])) == json.dumps(item)
    faults.quarantined(found=1, injected=1)
    faults.tried()


# --- paging ------------------------------------------------------------------------------------------------


def page(*numbers, **headers):
    items = [{"id": n, "note": f"n{n}", "amount": "1", "updated_at": "2026-03-01T10:00:00Z"} for n in numbers]
    headers = {name.replace("_", "-"): value for name, value in headers.items()}
    return status(200, {**JSON, **headers}, json.dumps(items).encode())


LIES = {
    "A B A by body": ([page(1, 2, 3), page(4, 5, 6), page(1, 2, 3)], ContractError),
    "the same page for ever": ([page(1, 2, 3)] * 3, ContractError),
    "A B A by link": (
        [page(1, 2, 3, Link='<?page=2>; rel="next"'), page(4, 5, 6, Link='<?page=1&limit=3>; rel="next"')]
        * 2,
        ContractError,
    ),
    "a link to itself": ([page(1, 2, 3, Link='<?page=1&limit=3>; rel="next"')] * 3, ContractError),
    "a total that shrinks": (
        [page(1, 2, 3, X_Total_Count="9"), page(4, 5, 6, X_Total_Count="6")],
        SourceChangedError,
    ),
    "a total that grows": (
        [page(1, 2, 3, X_Total_Count="6"), page(4, 5, 6, X_Total_Count="9")],
        SourceChangedError,
    ),
    "fewer items than the total": (
        [page(1, 2, 3, X_Total_Count="9"), page(4), page(), page()],
        SourceChangedError,
    ),
    "more items than the total": ([page(1, 2, 3, X_Total_Count="4"), page(4, 5, 6)], SourceChangedError),
}


@pytest.mark.parametrize("name", LIES)
def test_paging_that_lies_is_told_and_nothing_committed(faults, proxies, arena, name):
    pages, fails = LIES[name]
    lane = arena.lane()
    lane.change(KIND, *range(1, 9))
    with proxies.before("api", lane) as line:
        for fault in pages:
            line.proxy.fail("page=", fault)
        survive(faults, line, lane, KIND, fails=fails, met=None)


@pytest.mark.parametrize("after", [1, 2, 3])
def test_rows_that_vanish_while_pages_are_walked_are_at_worst_seen_twice_or_next_time(
    faults, proxies, arena, after
):
    """Without a total the server does not say that the listing moved: rows of the next page move up into this one.

    What is promised: never a row twice, and the next snapshot has all (`docs/guarantees.md`).
    """
    lane = arena.lane()
    lane.change(KIND, *range(1, 13))
    with proxies.before("api", lane) as line:

        def remove():
            del lane.sources[KIND].rows[1]
            lane._write(KIND, (1,), lane.sources[KIND].rows)

        line.proxy.fail(f"page={after + 1}&", then(remove))
        crop = harvest(line.deployment, lane.request(KIND))
        assert len({row["id"] for row in crop.rows}) == len(crop.rows) >= 11
        check_crop(faults, harvest(line.deployment, lane.request(KIND)), lane.truth(KIND))
        faults.tried()


# --- decompression bombs -----------------------------------------------------------------------------------


ZEROS = b"[" + b" " * (64 << 20) + b"]"
ENCODED = {
    "gzip": gzip.compress(ZEROS, 9),
    "deflate": zlib.compress(ZEROS, 9),
    "gzip, gzip": gzip.compress(gzip.compress(ZEROS, 9), 9),
}


@pytest.mark.parametrize("encoding", ENCODED)
def test_a_bomb_is_stopped_at_the_cap(faults, proxies, arena, encoding):
    from tideline.land.http import HttpSession

    lane = arena.lane()
    with proxies.before("api", lane) as line:
        line.proxy.fail(
            "bomb", status(200, {**JSON, "Content-Encoding": encoding}, ENCODED[encoding]), times=9
        )
        session = HttpSession(line.proxy.url, proxies={}, body_limit_bytes=1 << 20)
        with pytest.raises(ContractError, match="the body is larger than 1048576 bytes") as raised:
            session.get(session.url_of("/bomb"))
        session.close()
        assert "/bomb" in str(raised.value.place)
        assert "TIDELINE_BODY_BYTES" in str(raised.value.remedy)
        assert line.proxy.failed == ["GET /bomb"]
    faults.tried()


@pytest.mark.parametrize("encoding", ["gzip", "deflate"])
@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_an_encoded_body_that_is_cut_is_asked_again(faults, proxies, arena, encoding, share):
    lane = arena.lane()
    lane.change(KIND, 1, 2)
    whole = {"gzip": gzip.compress, "deflate": zlib.compress}[encoding](BODY)
    with proxies.before("api", lane) as line:
        line.proxy.fail(
            "page=1", status(200, {**JSON, "Content-Encoding": encoding}, whole[: int(len(whole) * share)])
        )
        survive(faults, line, lane, KIND)


def test_the_cap_is_the_deployments(monkeypatch, faults):
    from tideline import connections
    from tideline.settings import Settings

    monkeypatch.setenv(
        "AIRFLOW_CONN_TIDELINE_JSONPLACEHOLDER", '{"conn_type": "http", "host": "http://127.0.0.1:1"}'
    )
    with connections.open_deployment(replace(Settings(), body_bytes=77)) as deployment:
        session = deployment.open_source(
            deployment.catalog.source_of(deployment.catalog.dataset("jsonplaceholder.users"))
        )
        assert session._body_limit_bytes == 77
    faults.tried()
