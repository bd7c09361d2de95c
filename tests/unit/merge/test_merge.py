"""Processed manifests into tables and ledger, on the emulator."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest

from tideline.errors import IntegrityError, SchemaEvolutionError, WarehouseRefusedError
from tideline.lake import manifest as manifests
from tideline.merge import merge as merging
from tideline.merge.merge import ensure_target, merge
from tideline.warehouse import names
from tideline.warehouse.bigquery import Warehouse
from tideline.warehouse.ledger import Ledger
from tideline.window import Window


@pytest.fixture
def run(lake, warehouse):
    """Merge a refine summary."""
    return lambda dataset, refined: merge(
        dataset, refined, run_id="r", raw=lake.raw, processed=lake.processed, warehouse=warehouse
    )


@pytest.fixture
def things(kit, warehouse):
    """The rows of the usual dataset's table."""
    return lambda columns="id, note": [
        tuple(row.values()) for row in kit.rows(warehouse, f"select {columns} from @raw.things order by id")
    ]


def counts(result):
    names = ("inserted", "updated", "unchanged", "revived", "stale", "duplicates")
    return {name: value for name in names if (value := getattr(result.row, name))}


def ledger_rows(warehouse):
    return warehouse.count(names.ops_table(names.LEDGER, warehouse.settings))


def test_first_load_inserts_the_newest_row_of_each_key(kit, lake, run, things):
    rows = [
        {"id": 1, "note": "a", "updated_at": kit.hours(-2)},
        {"id": 1, "note": "b", "updated_at": kit.hours(-1)},
        {"id": 2, "note": "c", "updated_at": None},
    ]
    result = run(kit.mongo(), lake.refined(kit.mongo(), rows))
    assert things() == [(1, "b"), (2, "c")]
    assert counts(result) == {"inserted": 2, "duplicates": 1}
    assert result.row.landed == result.row.refined == 3


def test_metadata_says_where_a_row_came_from(kit, lake, run, warehouse):
    run(kit.mongo(), lake.refined(kit.mongo(), [{"id": 1, "_extra": '{"x": [1.5, "é"]}'}]))
    (row,) = kit.rows(warehouse, "select * from @raw.things")
    assert row["_extra"] == {"x": [1.5, "é"]}
    assert row["_raw_uri"].startswith("s3://raw/test/things/dt=2026-03-01/")
    assert (row["_raw_position"], row["_extracted_at"], row["_deleted_at"]) == (0, kit.T0, None)
    assert row["_window_id"] == "20260301T120000Z_from_origin"
    assert len(row["_row_hash"]) == 32
    assert row["_merged_at"] is not None


def test_later_load_updates_keeps_and_ignores(kit, lake, run, things):
    dataset = kit.mongo()
    stamps = {"updated_at": kit.hours(-3)}
    run(dataset, lake.refined(dataset, [{"id": n, "note": "old", **stamps} for n in (1, 2, 3)]))
    written = things("_merged_at")
    second = [
        {"id": 1, "note": "new", "updated_at": kit.hours(-1)},
        {"id": 2, "note": "old", **stamps},
        {"id": 3, "note": "late", "updated_at": kit.hours(-9)},
        {"id": 4, "note": "added", **stamps},
    ]
    result = run(dataset, lake.refined(dataset, second, extracted_at=kit.hours(1)))
    assert counts(result) == {"inserted": 1, "updated": 1, "unchanged": 1, "stale": 1}
    assert things() == [(1, "new"), (2, "old"), (3, "old"), (4, "added")]
    seen = [row[0] for row in things("_extracted_at")]
    assert seen == [kit.hours(1), kit.hours(1), kit.T0, kit.hours(1)]
    assert [new == old for new, old in zip(things("_merged_at"), written, strict=False)] == [
        False,
        True,
        True,
    ]


def test_ledger_row_says_what_happened(kit, lake, run):
    window = Window(kit.hours(-1), kit.T0)
    refined = lake.refined(
        kit.mongo(), [{"id": 1}], window=window, quarantined=2,
        details={
            "drift": {"new.field": {"count": 1, "example": "é"}},
            "cursor": {"min": "2026-03-01T10:00:00Z", "max": None, "null": 3, "future": 1},
            "quarantine_uri": "s3://quarantine/m", "reasons": {"bad_bool": 2}, "empty_columns": ["note"],
        },
    )  # fmt: skip
    row = run(kit.mongo(), refined).row
    assert (row.window_start, row.window_end, row.window_id) == (window.start, window.end, window.window_id)
    assert (row.landed, row.refined, row.quarantined, row.deleted) == (3, 1, 2, 0)
    assert (row.cursor_min, row.cursor_max) == (kit.hours(-2), None)
    assert (row.null_changes, row.future_changes) == (3, 1)
    assert row.drift == '[{"path": "new.field", "kind": "new_field", "count": 1, "example": "é"}]'
    assert (row.reasons, row.empty_columns) == ('{"bad_bool": 2}', '["note"]')
    assert (row.run_id, row.mode, row.land_seconds, row.refine_seconds) == ("r", "scheduled", 1.5, 2.5)
    assert (row.raw_bytes, row.processed_bytes > 0, row.merge_seconds > 0) == (7, True, True)
    assert (row.quarantine_manifest_uri, row.extracted_at) == ("s3://quarantine/m", kit.T0)
    assert row.processed_manifest_uri == refined["processed_manifest_uri"]
    assert row.committed_at is not None


def test_result_travels_as_json_and_reads_as_a_line(kit, lake, run):
    result = run(kit.mongo(), lake.refined(kit.mongo(), [{"id": 1}]))
    assert result.to_json() == {
        "load_id": "test.things:20260301T120000Z_from_origin:attempt-00001",
        "inserted": 1, "updated": 0, "unchanged": 0, "revived": 0, "stale": 0, "duplicates": 0, "deleted": 0,
        "merge_seconds": result.row.merge_seconds,
        "committed_at": result.to_json()["committed_at"], "repeated": False,
    }  # fmt: skip
    assert result.text().startswith("1 rows: 1 inserted, 0 updated")


def test_committed_load_is_not_touched_again(kit, lake, run, things, warehouse, monkeypatch):
    refined = lake.refined(kit.mongo(), [{"id": 1, "note": "a"}])
    first = run(kit.mongo(), refined)
    monkeypatch.setattr(merging, "fill", None)
    again = run(kit.mongo(), refined)
    assert (again.row, again.repeated) == (first.row, True)
    assert again.text().endswith("(committed before)")
    assert ledger_rows(warehouse) == 1


def test_empty_load_commits_a_ledger_row_and_makes_the_table(kit, lake, run, things, warehouse):
    result = run(kit.mongo(), lake.refined(kit.mongo()))
    assert counts(result) == {}
    assert things() == []
    assert ledger_rows(warehouse) == 1
    assert warehouse.tables.get(names.load_table(kit.mongo(), result.row.load_id, warehouse.settings)) is None


def test_unchanged_source_is_noted(kit, lake, run, warehouse):
    run(kit.http(), lake.refined(kit.http(), [{"id": 1}]))
    later = Window(kit.T0, kit.hours(1))
    result = run(
        kit.http(), lake.refined(kit.http(), unchanged=True, window=later, extracted_at=kit.hours(1))
    )
    assert result.row.unchanged_source
    state = Ledger(warehouse).state()["test.things"]
    assert state.high_water_mark == kit.hours(1)
    assert "attempt-00001" in state.previous_manifest_uri


def test_objects_of_a_csv_load_are_noted_even_without_rows(kit, lake, run, warehouse):
    origin = {"key": "things/a.csv", "etag": "e", "last_modified": "2026-03-01T10:00:00Z"}
    refined = lake.refined(kit.csv(), origins=[origin])
    run(kit.csv(), refined)
    run(kit.csv(), refined)
    found = list(Ledger(warehouse).landed_objects(kit.csv()))
    assert found == [("things/a.csv", "e", kit.hours(-2))]


# --- crashes ----------------------------------------------------------------------------------------------


class DiedError(Exception):
    """The process dies here."""


def dies_after(function):
    def crashing(*arguments, **options):
        function(*arguments, **options)
        raise DiedError

    return crashing


def run_dies_after(kind):
    original = Warehouse.run

    def crashing(self, sql, **options):
        job = original(self, sql, **options)
        if options["kind"] == kind:
            raise DiedError
        return job

    return crashing


CRASHES = {
    "table": (merging, "ensure_table", lambda: dies_after(merging.ensure_table)),
    "load": (merging, "fill", lambda: dies_after(merging.fill)),
    "counts": (merging, "counted", lambda: dies_after(merging.counted)),
    "merge": (Warehouse, "run", lambda: run_dies_after("merge")),
    "objects": (merging, "record_objects", lambda: dies_after(merging.record_objects)),
    "ledger": (Warehouse, "run", lambda: run_dies_after("commit")),
}


@pytest.mark.parametrize("point", CRASHES)
def test_crash_after_any_step_is_healed_by_a_retry(point, kit, lake, run, things, warehouse, monkeypatch):
    dataset = kit.csv()
    origin = {"key": "things/a.csv", "etag": "e", "last_modified": "2026-03-01T10:00:00Z"}
    old = [{"id": n, "note": "old", "updated_at": kit.hours(-3)} for n in (1, 2)]
    run(dataset, lake.refined(dataset, old))
    new = [
        {"id": 1, "note": "new", "updated_at": kit.hours(-1)},
        {"id": 3, "note": "new", "updated_at": kit.hours(-1)},
    ]
    refined = lake.refined(dataset, new[:1], new[1:], extracted_at=kit.hours(1), origins=[origin])
    owner, name, crashing = CRASHES[point]
    with monkeypatch.context() as patch:
        patch.setattr(owner, name, crashing())
        with pytest.raises(DiedError):
            run(dataset, refined)
    result = run(dataset, refined)
    assert things() == [(1, "new"), (2, "old"), (3, "new")]
    assert counts(result) == {"inserted": 1, "updated": 1}
    assert ledger_rows(warehouse) == 2
    assert len(list(Ledger(warehouse).landed_objects(dataset))) == 1


def test_table_that_was_dropped_after_a_crash_is_filled_again(kit, lake, run, things, warehouse, monkeypatch):
    """The MERGE of the first try is found by its id, but it filled another table."""
    refined = lake.refined(kit.mongo(), [{"id": 1, "note": "a"}])
    with monkeypatch.context() as patch:
        patch.setattr(Warehouse, "run", run_dies_after("merge"))
        with pytest.raises(DiedError):
            run(kit.mongo(), refined)
    target = names.raw_table(kit.mongo(), warehouse.settings)
    warehouse.client.delete_table(str(target))
    run(kit.mongo(), refined)
    assert things() == [(1, "a")]


# --- what must agree --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"records": 2}, "records 2, rows in the parts 1"),
        ({"stage": "quarantine"}, "of the quarantine stage"),
        ({"dataset": "others"}, "of test.others"),
        ({"details": {"landed": 5}}, "landed are 5, refined 1"),
    ],
    ids=["records", "stage", "dataset", "landed"],
)
def test_manifest_whose_numbers_do_not_agree_is_refused(change, complaint, kit, lake, run, warehouse):
    refined = lake.refined(kit.mongo(), [{"id": 1}])
    good = manifests.read(lake.processed, refined["processed_manifest_uri"])
    details = {**good.details, **change.get("details", {})}
    bad = replace(good, attempt_id="bad", **{**change, "details": details})
    uri = manifests.commit(lake.processed, bad)
    with pytest.raises(IntegrityError, match=complaint) as caught:
        run(kit.mongo(), {**refined, "processed_manifest_uri": uri})
    assert caught.value.place == uri
    assert warehouse.tables.get(names.raw_table(kit.mongo(), warehouse.settings)) is None


def test_counts_that_do_not_add_up_stop_the_merge(kit, lake, run, things, warehouse):
    refined = lake.refined(kit.mongo(), [{"id": 1}])
    folder = manifests.read(lake.processed, refined["processed_manifest_uri"]).folder
    lake.processed.put(folder.counts, b'{"inserted": 7}')
    with pytest.raises(IntegrityError, match="7 rows are accounted for, 1 were refined"):
        run(kit.mongo(), refined)
    assert things() == []


@pytest.mark.parametrize("body", [b"", b"[]", b'{"invented": 1}', b"\xff"], ids=str)
def test_counts_that_are_none_stop_the_merge(body, kit, lake, run):
    refined = lake.refined(kit.mongo(), [{"id": 1}])
    folder = manifests.read(lake.processed, refined["processed_manifest_uri"]).folder
    lake.processed.put(folder.counts, body)
    with pytest.raises(IntegrityError, match="not the counts of a merge"):
        run(kit.mongo(), refined)


def test_counts_of_a_quicker_twin_are_the_ones(kit, lake, run, monkeypatch):
    """Another try of the same load stores its counts between our look and our write."""
    refined = lake.refined(kit.mongo(), [{"id": 1}])
    folder = manifests.read(lake.processed, refined["processed_manifest_uri"]).folder
    monkeypatch.setattr(lake.processed, "exists", lambda key: False, raising=False)
    lake.processed.put(folder.counts, b'{"updated": 1}')
    assert counts(run(kit.mongo(), refined)) == {"updated": 1}


# --- values -----------------------------------------------------------------------------------------------

VALUES = {
    "string": ("string", "é 😀 \"'\\\n\x00"),
    "int64": ("int64", -(2**63)),
    "float64": ("float64", 5e-324),
    "numeric": ("numeric(38, 9)", Decimal("-12345678901234567890123456789.123456789")),
    "money": ("numeric(12, 2)", Decimal("9999999999.99")),
    "bignumeric": ("bignumeric(38, 18)", Decimal("12345678901234567890.123456789012345678")),
    "bool": ("bool", False),
    "date": ("date", date(1, 1, 1)),
    "timestamp": ("timestamp", datetime(9999, 12, 31, 23, 59, 59, 999999, tzinfo=UTC)),
    "bytes": ("bytes", b"\x00\xff"),
    "array": ({"type": "int64", "repeated": True}, [1, 2**53 + 1]),
    "empty": ({"type": "string", "repeated": True}, []),
}


def test_values_arrive_as_they_were_refined(kit, lake, run, things):
    kinds = {name: kind for name, (kind, _) in VALUES.items()}
    dataset = kit.mongo(columns=kit.columns(id="int64", **kinds), change_column=None)
    full = {name: value for name, (_, value) in VALUES.items()}
    empty = {name: [] if isinstance(value, list) else None for name, value in full.items()}
    run(dataset, lake.refined(dataset, [{"id": 1, **full}, {"id": 2, **empty}]))
    found = [dict(zip(VALUES, row, strict=True)) for row in things(", ".join(f"`{name}`" for name in VALUES))]
    assert found == [full, empty]


TEXTS = [
    '{"a": [1, 2.5, "x", null, {"b": true}]}',
    "null",
    '"text"',
    "17",
    '{"é": {"": []}}',
    "12345678901234567890",
]


def test_json_arrives_as_json_at_any_depth(kit, lake, run, warehouse):
    record = {"type": "record", "columns": kit.columns(j="json", s="string")}
    columns = kit.columns(
        id="int64", top="json", one=record, many={**record, "repeated": True},
        texts={"type": "json", "repeated": True},
    )  # fmt: skip
    dataset = kit.mongo(columns=columns, change_column=None)
    rows = [
        {
            "id": n,
            "top": text,
            "one": {"j": text, "s": "s"},
            "many": [{"s": "s"}, {"j": text}],
            "texts": ["1", text],
        }
        for n, text in enumerate(TEXTS)
    ]
    run(dataset, lake.refined(dataset, [*rows, {"id": 99, "many": [], "texts": []}]))
    *found, last = kit.rows(
        warehouse,
        "select to_json_string(top) t, to_json_string(one.j) o, to_json_string(many[offset(1)].j) m, "
        "to_json_string(texts[offset(1)]) x, array_length(many) n from @raw.things order by id",
    )
    wanted = [dict.fromkeys("tomx", text.replace(" ", "")) for text in TEXTS]
    assert [{name: row[name].replace(" ", "") for name in "tomx"} for row in found] == wanted
    (nothing,) = kit.rows(warehouse, "select top is null t, one is null o from @raw.things where id = 99")
    assert (last["n"], tuple(nothing.values())) == (0, (True, True))


DAY = "2026-03-01"
BY_MONTH = {"column": "day", "immutable": True, "granularity": "month"}


@pytest.mark.parametrize(
    ("shape", "rows", "options", "expected"),
    [
        ({}, 1, {}, {"day": [DAY]}),
        ({}, 0, {"partitions": []}, {}),
        ({}, 1, {"partitions": None}, None),
        ({"partition": {"column": "day"}}, 1, {}, None),
        ({"partition": None}, 1, {"partitions": None}, None),
        ({"partition": None}, 0, {"partitions": None}, {}),
        ({"change_column": None}, 1, {}, None),
        ({"change_column": None}, 0, {"partitions": []}, None),
        ({"change_column": None}, 0, {"partitions": [], "unchanged": True}, {}),
        ({"change_column": None, "deletes": "ignore"}, 1, {}, {"day": [DAY]}),
        ({}, 1, {"partitions": [DAY, None]}, {"day": [DAY, None]}),
        ({"partition": BY_MONTH}, 1, {}, {"day": ["2026-03"]}),
        ({"partition": {**BY_MONTH, "granularity": "year"}}, 1, {}, {"day": ["2026"]}),
    ],
    ids=[
        "known", "nothing", "too-many", "may-change", "none", "none-and-nothing", "whole", "whole-and-nothing",
        "not-modified", "whole-keeps", "null", "month", "year",
    ],
)  # fmt: skip
def test_the_ledger_says_which_partitions_a_load_changed(shape, rows, options, expected, kit, lake, run):
    columns = kit.columns(id="int64", note="string", day="date", updated_at="timestamp")
    dataset = kit.mongo(**{"columns": columns, "partition": {"column": "day", "immutable": True}, **shape})
    row = {"id": 1, "day": date.fromisoformat(DAY), "updated_at": kit.hours(-1)}
    refined = lake.refined(dataset, [row] * rows, **{"partitions": [DAY], **options})
    assert json.loads(run(dataset, refined).row.partitions or "null") == expected


def test_a_load_that_a_swap_brought_says_nothing_of_partitions(kit, lake, warehouse):
    """The whole table is another: any partition may have changed, also where the load has no rows."""
    dataset = kit.mongo(
        columns=kit.columns(id="int64", day="date"), change_column=None, deletes="ignore",
        partition={"column": "day", "immutable": True},
    )  # fmt: skip
    stages = {"run_id": "r", "raw": lake.raw, "processed": lake.processed, "warehouse": warehouse}
    shadow = names.TableName("local", f"{warehouse.settings.dataset_prefix}raw_test", "shadow")
    for rows in ([{"id": 1, "day": date.fromisoformat(DAY)}], []):
        refined = lake.refined(dataset, rows, partitions=[DAY] if rows else [])
        merge(dataset, refined, target=shadow, **stages)
        assert merging.record(dataset, refined, **stages).partitions is None


def test_partition_predicate_changes_no_result(kit, lake, run, things):
    columns = kit.columns(id="int64", note="string", day="date", updated_at="timestamp")
    dataset = kit.mongo(columns=columns, partition={"column": "day", "immutable": True})
    days = [date(2026, 2, 27), date(2026, 2, 28), date(2026, 3, 5), None]
    for step, note in enumerate(("old", "new")):
        rows = [
            {"id": n, "note": note, "day": day, "updated_at": kit.hours(step)} for n, day in enumerate(days)
        ]
        partitions = [None if day is None else day.isoformat() for day in days]
        refined = lake.refined(dataset, rows, extracted_at=kit.hours(step), partitions=partitions)
        result = run(dataset, refined)
    assert counts(result) == {"updated": 4}
    assert things() == [(0, "new"), (1, "new"), (2, "new"), (3, "new")]


# --- evolution --------------------------------------------------------------------------------------------


def test_table_follows_the_catalog(kit, lake, run, warehouse):
    """Columns and nested fields come in the middle, types widen, a column leaves."""
    inner = kit.columns(city="string", zip="string")
    before = kit.mongo(
        columns=kit.columns(
            id="int64", leaves="string", amount="numeric(8, 2)", tags={"type": "string", "repeated": True},
            place={"type": "record", "columns": inner},
        ),
        change_column=None,
    )  # fmt: skip
    row = {
        "id": 1,
        "leaves": "x",
        "amount": Decimal("1.25"),
        "tags": ["a"],
        "place": {"city": "Ulm", "zip": "89073"},
    }
    run(before, lake.refined(before, [row, {**row, "id": 2}]))
    inner = kit.columns(country="string", city="string")
    after = kit.mongo(
        columns=kit.columns(
            id="int64", added="json", amount="numeric(12, 4)", place={"type": "record", "columns": inner}
        ),
        change_column=None,
    )
    row = {
        "id": 1,
        "added": '{"x": 1}',
        "amount": Decimal("2.1234"),
        "place": {"country": "DE", "city": "Bonn"},
    }
    result = run(after, lake.refined(after, [row], extracted_at=kit.hours(1)))
    assert counts(result) == {"updated": 1}
    rows = kit.rows(
        warehouse,
        "select id, leaves, amount, tags, place.city, place.zip, place.country, "
        "to_json_string(added) as added from @raw.things order by id",
    )
    assert [tuple(row.values()) for row in rows] == [
        (1, None, Decimal("2.1234"), [], "Bonn", None, "DE", '{"x":1}'),
        (2, "x", Decimal("1.25"), ["a"], "Ulm", "89073", None, None),
    ]


def test_records_follow_the_catalog_in_arrays_within_arrays(kit, lake, run, warehouse):
    """Each level has JSON, and after the change a field in the middle and a wider one."""

    def dataset(first, kind, second):
        inner = {**record, "columns": kit.columns(**second, n=kind, j="json")}
        outer = {**record, "columns": kit.columns(**first, s=inner, j="json")}
        return kit.mongo(columns=kit.columns(id="int64", rs=outer), change_column=None)

    record = {"type": "record", "repeated": True}
    before = dataset({}, "int64", {})
    row = {"id": 1, "rs": [{"s": [{"n": 2, "j": "[2]"}, {"n": 1, "j": "[1]"}], "j": "{}"}, {"s": []}]}
    run(before, lake.refined(before, [row, {**row, "id": 2}]))
    after = dataset({"first": "date"}, "numeric", {"second": "string"})
    inner = [{"second": "x", "n": Decimal("2.5"), "j": "[2]"}, {"n": Decimal(1)}]
    row = {"id": 1, "rs": [{"s": []}, {"first": date(2026, 3, 1), "s": inner, "j": "{}"}]}
    result = run(after, lake.refined(after, [row], extracted_at=kit.hours(1)))
    assert counts(result) == {"updated": 1}
    sql = "select to_json_string(rs) as rs from @raw.things order by id"
    new, old = (json.loads(row["rs"]) for row in kit.rows(warehouse, sql))
    assert new == [
        {"s": [], "j": None, "first": None},
        {
            "s": [{"n": 2.5, "j": [2], "second": "x"}, {"n": 1, "j": None, "second": None}],
            "j": {},
            "first": "2026-03-01",
        },
    ]
    assert [item["n"] for item in old[0]["s"]] == [2, 1]


def test_illegal_change_stops_the_merge_and_nothing_is_loaded(kit, lake, run, things):
    run(kit.mongo(), lake.refined(kit.mongo(), [{"id": 1, "note": "a"}]))
    other = kit.mongo(columns=kit.columns(id="int64", note="int64", updated_at="timestamp"))
    with pytest.raises(SchemaEvolutionError, match="CREATE OR REPLACE TABLE"):
        run(other, lake.refined(other, [{"id": 1, "note": 5}]))
    assert things() == [(1, "a")]


def test_rows_that_were_refined_under_another_catalog_say_so(kit, lake, run, things):
    """The catalog lost a column between a run's refine and its merge."""
    run(kit.mongo(), lake.refined(kit.mongo(), [{"id": 1, "note": "a"}]))
    refined = lake.refined(kit.mongo(), [{"id": 1, "note": "b"}])
    less = kit.mongo(columns=kit.columns(id="int64", updated_at="timestamp"))
    with pytest.raises(WarehouseRefusedError, match=r"changed since these rows were refined.*clear refine"):
        run(less, refined)
    assert things() == [(1, "a")]


def test_what_was_read_by_a_clock_that_is_ahead_is_refused(kit, lake, run, things):
    """It would win over everything that is read until that clock is true."""
    run(kit.mongo(), lake.refined(kit.mongo(), [{"id": 1, "note": "a"}]))
    now = datetime.now(UTC)
    with pytest.raises(
        IntegrityError, match=r"later than .*, the warehouse's clock after it.*set that machine's clock"
    ):
        run(
            kit.mongo(),
            lake.refined(kit.mongo(), [{"id": 1, "note": "b"}], extracted_at=now + timedelta(hours=5)),
        )
    assert things() == [(1, "a")]
    run(
        kit.mongo(),
        lake.refined(kit.mongo(), [{"id": 1, "note": "c"}], extracted_at=now + timedelta(minutes=1)),
    )
    assert things() == [(1, "c")]


def test_column_that_is_promoted_from_extra_is_filled_by_refining_again(kit, lake, run, things):
    raw_uri = "s3://raw/the-same-record"
    before = kit.mongo()
    row = {"id": 1, "note": "a"}
    run(before, lake.refined(before, [{**row, "_extra": '{"colour": "red"}'}], raw_uri=raw_uri))
    columns = kit.columns(id="int64", note="string", updated_at="timestamp", colour="string")
    after = kit.mongo(columns=columns)
    result = run(after, lake.refined(after, [{**row, "colour": "red"}], raw_uri=raw_uri))
    assert counts(result) == {"updated": 1}
    assert things("id, colour, _extra") == [(1, "red", None)]


def test_target_can_be_made_without_a_load(kit, warehouse):
    ensured = ensure_target(kit.mongo(), warehouse)
    assert [field.name for field in ensured.fields][:3] == ["id", "note", "updated_at"]


@pytest.mark.parametrize(
    "key",
    [
        {
            "a": ("string", "é"),
            "b": ("int64", 2**62),
            "c": ("numeric(20, 0)", Decimal(10**19)),
            "d": ("bool", True),
        },
        {
            "a": ("date", date(1, 1, 1)),
            "b": ("timestamp", datetime(9999, 12, 31, 23, 59, 59, 999999, tzinfo=UTC)),
        },
    ],
    ids=lambda key: "-".join(kind for kind, _ in key.values()),
)
def test_keys_of_every_type_find_their_row(key, kit, lake, run):
    columns = kit.columns(**{name: kind for name, (kind, _) in key.items()})
    dataset = kit.mongo(columns=columns, key=list(key), change_column=None)
    row = {name: value for name, (_, value) in key.items()}
    run(dataset, lake.refined(dataset, [row]))
    assert counts(run(dataset, lake.refined(dataset, [row], extracted_at=kit.hours(1)))) == {"unchanged": 1}


def test_hostile_column_names_are_only_names(kit, lake, run, warehouse):
    columns = kit.columns(
        select="int64", order="timestamp", s="string", t="string", _extracted="string", l="string"
    )
    dataset = kit.mongo(columns=columns, key=["select"], change_column="order")
    row = {"select": 1, "order": kit.T0, "s": "s", "t": "t", "_extracted": "e", "l": "l"}
    run(dataset, lake.refined(dataset, [row]))
    result = run(dataset, lake.refined(dataset, [{**row, "t": "u"}], extracted_at=kit.hours(1)))
    assert counts(result) == {"updated": 1}
    (found,) = kit.rows(warehouse, "select `select`, `order`, s, t, l from @raw.things")
    assert tuple(found.values()) == (1, kit.T0, "s", "u", "l")


def test_a_range_is_no_load_by_itself(kit, lake, run):
    dataset = kit.mongo()
    part = {
        "split_id": "s",
        "number": 1,
        "of": 3,
        "lower": 1,
        "upper": 2,
        "planned_at": "2026-03-01T12:00:00Z",
    }
    rows = [{"id": 1, "note": "n", "updated_at": kit.hours(-1)}]
    with pytest.raises(IntegrityError, match="range 2 of 3 of a load, which is merged with the others"):
        run(dataset, lake.refined(dataset, rows, details={"range": part}))


def test_what_is_said_of_a_load_is_in_its_ledger_row(kit, lake, run, warehouse):
    dataset = kit.mongo()
    rows = [{"id": 1, "note": "n", "updated_at": kit.hours(-1)}]
    refined = lake.refined(
        dataset,
        rows,
        raw_details={"source": {"kind": "exact", "count": 1}, "ranges": ["s3://raw/a", "s3://raw/b"]},
    )
    row = run(dataset, {**refined, "notes": "suspicious"}).row
    assert (row.source_count, row.ranges, row.notes) == (1, 2, "suspicious")
    assert row.raw_manifest_uris == ("s3://raw/a", "s3://raw/b")
