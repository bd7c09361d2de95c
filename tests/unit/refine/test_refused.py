"""Keys of records that were refused: they are there, whatever else is wrong with them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import bson
import pytest

from tideline.catalog.model import HttpDataset, MongoDataset
from tideline.refine import refused
from tideline.refine.contract import Reject
from tideline.refine.refine import refine
from tideline.refine.refused import RefusedKeys, body_key_decoder

COLUMNS = [
    {"name": "id", "type": "int64"},
    {"name": "at", "type": "timestamp"},
    {"name": "note", "type": "string"},
]


def endpoint(**fields: Any) -> HttpDataset:
    given = {"name": "things", "source": "api", "path": "/things", "key": ["id"], "columns": COLUMNS}
    return HttpDataset.model_validate({**given, **fields})


def collection(**fields: Any) -> MongoDataset:
    given = {
        "name": "things",
        "source": "api",
        "database": "d",
        "collection": "c",
        "key": ["id"],
        "columns": COLUMNS,
    }
    return MongoDataset.model_validate({**given, **fields})


def keys_of(dataset: Any, *raws: bytes) -> Any:
    found = RefusedKeys(dataset)
    found.add([Reject(0, "type_mismatch", raw=raw) for raw in raws])
    return found.details().get("refused_keys", "not said")


def test_keys_are_texts_that_sql_casts() -> None:
    assert keys_of(endpoint(), b'{"id": 7, "note": 5}', b'{"note": {}, "id": 8}') == [["7"], ["8"]]
    assert keys_of(collection(), bson.encode({"id": 7, "note": 5})) == [["7"]]
    stamped = collection(key=["id", "at"])
    instant = datetime(2026, 1, 31, 14, 0, 5, 120_000, tzinfo=UTC)
    assert keys_of(stamped, bson.encode({"at": instant, "id": 7})) == [["7", "2026-01-31 14:00:05.120000Z"]]


@pytest.mark.parametrize(
    "raw", [b"null", b'{"note": 5}', b'{"id": "7"}', b"\xff", b"", b'{"id": 1}, {"id": 2}'],
    ids=["null", "no-key", "key-mistyped", "no-text", "nothing", "two"],
)  # fmt: skip
def test_one_key_that_cannot_be_read_makes_nothing_known(raw: bytes) -> None:
    assert keys_of(endpoint(), b'{"id": 1}', raw, b'{"id": 2}') is None


def test_more_keys_than_are_listed_are_not_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(refused, "MOST_REFUSED_KEYS", 2)
    assert keys_of(endpoint(), b'{"id": 1}', b'{"id": 2}') == [["1"], ["2"]]
    assert keys_of(endpoint(), b'{"id": 1}', b'{"id": 2}', b'{"id": 3}') is None


@pytest.mark.parametrize(
    "dataset", [endpoint(deletes="ignore"), collection(change_column="at")], ids=["ignored", "windows"]
)
def test_only_whole_reads_say_which_keys_were_refused(dataset: Any) -> None:
    assert keys_of(dataset, b"{}") == "not said"


def test_the_processed_manifest_has_them(lake: Any) -> None:
    dataset = endpoint(quarantine_threshold=1)
    uri = lake.land(dataset, b'[{"id": 1, "note": 5}, {"id": 2, "note": "a"}]', records=2, part_records=[2])
    stores = {"raw": lake.raw, "processed": lake.processed, "quarantine": lake.quarantine}
    manifest, _ = refine(dataset, uri, **stores, run_id="r")
    assert manifest.details["refused_keys"] == [["1"]]


def test_rows_that_were_picked_out_have_no_threshold(lake: Any) -> None:
    dataset = endpoint(quarantine_threshold=0)
    uri = lake.land(
        dataset, b'[{"id": 1, "note": 5}]', records=1, part_records=[1], details={"partial": True}
    )
    stores = {"raw": lake.raw, "processed": lake.processed, "quarantine": lake.quarantine}
    manifest, _ = refine(dataset, uri, **stores, run_id="r")
    assert manifest.details["quarantined"] == 1


def test_keys_of_a_body_are_read_whatever_else_is_in_it() -> None:
    decode = body_key_decoder(endpoint(records_at=["items"]))
    batches = list(decode(b'{"items": [{"id": 1, "note": 5}, {"id": "x"}, {"id": 2}]}'))
    assert [row["id"] for batch in batches for row in batch.to_pylist()] == [1, 2]
