"""Events about keys: checked, given their lineage, never refused."""

from __future__ import annotations

import io
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tideline.catalog.model import MongoDataset
from tideline.errors import IntegrityError, OtherKeyError
from tideline.lake import manifest as manifests  # noqa: TC001
from tideline.refine.events import raw_schema
from tideline.refine.refine import refine

GONE = datetime(2026, 1, 31, 13, 30, tzinfo=UTC)


def dataset(**types: Any) -> MongoDataset:
    types = types or {"region": "string", "id": "int64"}
    columns = [{"name": name, "type": kind} for name, kind in types.items()]
    return MongoDataset.model_validate(
        {
            "name": "things", "source": "shop", "database": "d", "collection": "c", "key": list(types),
            "columns": [*columns, {"name": "note", "type": "string"}],
        }
    )  # fmt: skip


def events(*rows: tuple[Any, ...], of: MongoDataset, **replaced: Any) -> bytes:
    schema = raw_schema(of)
    columns = [
        pa.array(values, field.type) for values, field in zip(zip(*rows, strict=True), schema, strict=True)
    ]
    table = pa.Table.from_arrays(columns, schema=schema)
    for name, column in replaced.items():
        table = table.set_column(table.schema.get_field_index(name), name, column)
    body = io.BytesIO()
    pq.write_table(table, body)
    return body.getvalue()


def run(lake: Any, declared: MongoDataset, *bodies: bytes, counts: list[int]) -> manifests.Manifest:
    uri = lake.land(
        declared,
        *bodies,
        part_records=counts,
        records=sum(counts),
        details={"kind": "events", "mode": "reconcile"},
    )
    stores = {"raw": lake.raw, "processed": lake.processed, "quarantine": lake.quarantine}
    return refine(declared, uri, **stores, run_id="r")[0]


def test_events_pass_with_their_lineage(lake: Any) -> None:
    of = dataset()
    first = events(("north", 1, "deleted", GONE), ("south", 2, "superseded", GONE), of=of)
    manifest = run(lake, of, first, events(("east", 3, "deleted", GONE), of=of), counts=[2, 1])
    assert manifest.records == 3
    assert {k: manifest.details[k] for k in ("kind", "landed", "refined", "quarantined", "partitions")} == {
        "kind": "events", "landed": 3, "refined": 3, "quarantined": 0, "partitions": None,
    }  # fmt: skip
    (part,) = manifest.parts
    rows = pq.read_table(io.BytesIO(lake.processed.read(lake.processed.key_of(part.uri)))).to_pylist()
    assert [(r["region"], r["id"], r["_event"], r["_observed_at"]) for r in rows] == [
        ("north", 1, "deleted", GONE), ("south", 2, "superseded", GONE), ("east", 3, "deleted", GONE),
    ]  # fmt: skip
    assert [r["_raw_uri"].rpartition("/")[2] for r in rows] == [
        "part-00000.csv",
        "part-00000.csv",
        "part-00001.csv",
    ]
    assert [r["_raw_position"] for r in rows] == [0, 1, 0]


def test_a_key_that_was_widened_since_is_cast(lake: Any) -> None:
    body = events((1, "deleted", GONE), of=dataset(id="int64"))
    manifest = run(lake, dataset(id="numeric"), body, counts=[1])
    assert manifest.records == 1


def test_a_key_of_another_type_is_said(lake: Any) -> None:
    body = events(("x", "deleted", GONE), of=dataset(id="string"))
    with pytest.raises(OtherKeyError, match="the key id is int64 in the catalog, and string in events"):
        run(lake, dataset(id="int64"), body, counts=[1])


def test_a_key_in_another_case_is_the_same(lake: Any) -> None:
    body = events((1, "deleted", GONE), of=dataset(id="int64"))
    manifest = run(lake, dataset(ID="int64"), body, counts=[1])
    (part,) = manifest.parts
    (row,) = pq.read_table(io.BytesIO(lake.processed.read(lake.processed.key_of(part.uri)))).to_pylist()
    assert (row["ID"], row["_event"]) == (1, "deleted")


@pytest.mark.parametrize("now", [{"id": "int64"}, {"region": "string", "number": "int64"}], ids=", ".join)
def test_events_of_another_key_say_nothing_of_this_one(lake: Any, now: dict[str, str]) -> None:
    """Of a key with fewer columns, too: another row may have the rest."""
    body = events(("north", 1, "deleted", GONE), of=dataset())
    with pytest.raises(OtherKeyError, match=f"key is {', '.join(now)}, these events are about region, id"):
        run(lake, dataset(**now), body, counts=[1])
    assert lake.processed.objects == {}


@pytest.mark.parametrize(
    ("name", "column", "finding"),
    [
        ("id", pa.array([None], pa.int64()), "id is NULL in 1 events"),
        ("_event", pa.array(["gone"]), "none of deleted, superseded"),
    ],
    ids=["null-key", "unknown-event"],
)
def test_what_is_no_event_is_refused(lake: Any, name: str, column: pa.Array, finding: str) -> None:
    of = dataset(id="int64")
    body = events((1, "deleted", GONE), of=of, **{name: column})
    with pytest.raises(IntegrityError, match=finding):
        run(lake, of, body, counts=[1])
    assert lake.processed.objects == {}


def test_parquet_of_something_else_is_refused(lake: Any) -> None:
    body = io.BytesIO()
    pq.write_table(pa.table({"id": [1], "_event": ["deleted"]}), body)
    with pytest.raises(IntegrityError, match="not Parquet of events: there is no _observed_at"):
        run(lake, dataset(id="int64"), body.getvalue(), counts=[1])


def test_what_is_no_parquet_is_refused(lake: Any) -> None:
    with pytest.raises(IntegrityError, match="not Parquet of events"):
        run(lake, dataset(id="int64"), b"no Parquet", counts=[1])


def test_a_part_with_other_events_than_its_manifest_says(lake: Any) -> None:
    of = dataset(id="int64")
    with pytest.raises(IntegrityError, match="it holds 1 events, its manifest says 2"):
        run(lake, of, events((1, "deleted", GONE), of=of), counts=[2])
