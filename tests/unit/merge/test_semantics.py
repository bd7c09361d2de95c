"""What the MERGE does to rows, on the emulator, against an oracle that knows nothing of SQL.

Every case is a key of its own, so that hundreds of them share one table and a handful of merges.
"""

from __future__ import annotations

import io
from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import permutations
from random import Random
from typing import Any
from uuid import uuid4

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from tideline.merge.sql import Merge, counts_sql, merge_sql
from tideline.refine.contract import processed_schema
from tideline.warehouse.bigquery import Warehouse
from tideline.warehouse.names import load_table, raw_table
from tideline.warehouse.schema import Layout, load_fields, raw_layout
from tideline.warehouse.tables import ensure_table

T0 = datetime(2026, 3, 1, tzinfo=UTC)
OLDEST = datetime(1, 1, 1, tzinfo=UTC)


# --- the oracle -------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Version:
    """One row of one key in one load. Stamps are hours after T0."""

    note: str
    stamp: float | None
    read: float
    uri: str = "a"
    position: int = 0

    @property
    def order(self) -> tuple[Any, ...]:
        read = T0 + timedelta(hours=self.read)
        at = OLDEST if self.stamp is None else min(T0 + timedelta(hours=self.stamp), read)
        return at, read, self.uri, self.position


@dataclass(frozen=True)
class Truth:
    version: Version
    deleted: float | None = None


def apply(truth: Truth | None, load: list[Version]) -> tuple[Truth | None, str | None]:
    """What one load makes of a key, and what it counts as."""
    if not load:
        return truth, None
    new = max(load, key=lambda version: version.order)
    if truth is None:
        return Truth(new), "inserted"
    if truth.deleted is not None and new.read > truth.deleted:
        return Truth(new), "revived"
    if new.order < truth.version.order:
        return truth, "stale"
    same = (new.note, new.stamp) == (truth.version.note, truth.version.stamp)
    return Truth(new, truth.deleted), "unchanged" if same else "updated"


# --- the table --------------------------------------------------------------------------------------------


class Table:
    """One target table on the emulator."""

    def __init__(self, kit, client, make_settings) -> None:
        self.dataset = kit.mongo(name=f"t{uuid4().hex[:10]}")
        self.warehouse = Warehouse(client, make_settings())
        self.name = raw_table(self.dataset, self.warehouse.settings)
        self.fields = ensure_table(self.warehouse, self.name, raw_layout(self.dataset)).fields

    def merge(self, rows: dict[int, list[Version]]) -> Counter[str]:
        """Merge one load of rows by key; what the counting query foretold."""
        load = load_table(self.dataset, uuid4().hex, self.warehouse.settings)
        self.warehouse.tables.create(load, Layout(load_fields(self.dataset)))
        self.warehouse.load_file(
            load, self._parquet(rows), load_fields(self.dataset), key=uuid4().hex, truncate=True
        )
        step = Merge(self.dataset, self.name, self.fields, load, "w")
        (foretold,) = self.warehouse.rows(counts_sql(step), kind="counts")
        self.warehouse.run(merge_sql(step), kind="merge", key=uuid4().hex)
        return Counter({name: count for name, count in foretold.items() if count})

    def _parquet(self, rows: dict[int, list[Version]]) -> io.BytesIO:
        body = io.BytesIO()
        listed = [
            {
                "id": key, "note": v.note, "_raw_uri": v.uri, "_raw_position": v.position,
                "updated_at": None if v.stamp is None else T0 + timedelta(hours=v.stamp),
                "_extracted_at": T0 + timedelta(hours=v.read),
            }
            for key, versions in rows.items() for v in versions
        ]  # fmt: skip
        pq.write_table(pa.Table.from_pylist(listed, schema=processed_schema(self.dataset)), body)
        body.seek(0)
        return body

    def delete(self, keys: list[int], at: float) -> None:
        """Tombstones, as reconciliation makes them: only of rows last seen before."""
        instant = f"TIMESTAMP '{(T0 + timedelta(hours=at)).isoformat()}'"
        self.warehouse.run(
            f"UPDATE {self.name.sql} SET _deleted_at = {instant} WHERE _extracted_at < {instant} "
            f"AND (_deleted_at IS NULL OR _deleted_at < {instant}) AND id IN UNNEST({keys})",
            kind="delete", key=uuid4().hex,
        )  # fmt: skip

    def rows(self) -> dict[int, tuple[Any, ...]]:
        found = self.warehouse.rows(f"SELECT * FROM {self.name.sql}", kind="test")
        return {
            row["id"]: (row["note"], row["updated_at"], row["_extracted_at"], row["_raw_uri"],
                        row["_raw_position"], row["_deleted_at"])
            for row in found
        }  # fmt: skip


def expected(truths: dict[int, Truth | None]) -> dict[int, tuple[Any, ...]]:
    return {
        key: (
            truth.version.note,
            None if truth.version.stamp is None else T0 + timedelta(hours=truth.version.stamp),
            T0 + timedelta(hours=truth.version.read),
            truth.version.uri,
            truth.version.position,
            None if truth.deleted is None else T0 + timedelta(hours=truth.deleted),
        )
        for key, truth in truths.items()
        if truth is not None
    }


@pytest.fixture(scope="session")
def make_table(kit, bigquery_client, own_settings):
    return lambda: Table(kit, bigquery_client, own_settings)


def play(table: Table, script: dict[int, list[list[Version]]], deletions: dict[int, set[int]] | None = None):
    """Merge step after step, and compare counts and rows with the oracle's after each."""
    truths: dict[int, Truth | None] = dict.fromkeys(script)
    for step in range(max(map(len, script.values()))):
        load = {key: steps[step] for key, steps in script.items() if step < len(steps)}
        outcomes: Counter[str] = Counter()
        for key, versions in load.items():
            truths[key], outcome = apply(truths[key], versions)
            outcomes.update({outcome: 1, "duplicates": len(versions) - 1} if outcome else {})
        assert table.merge(load) == +outcomes, f"counts of step {step}"
        gone = [key for key, steps in (deletions or {}).items() if step in steps and truths[key]]
        at = 10.5 + step
        for key in gone:
            truth = truths[key]
            if truth.version.read < at and (truth.deleted is None or truth.deleted < at):
                truths[key] = Truth(truth.version, at)
        if gone:
            table.delete(gone, at)
        assert table.rows() == expected(truths), f"rows after step {step}"
    return truths


# --- cases ------------------------------------------------------------------------------------------------

many = settings(max_examples=2, deadline=None, phases=[Phase.explicit, Phase.generate])
"""Each example is a table of a hundred keys. Nothing is shrunk: the key that differs is named."""


def random_steps(dice: Random) -> list[list[Version]]:
    """Four loads of one key; some are empty, and what one version says it says wherever it appears."""
    said: dict[tuple[Any, ...], Version] = {}
    steps = []
    for _ in range(4):
        load: dict[tuple[Any, ...], Version] = {}
        for _ in range(dice.choice([0, 1, 1, 2, 3])):
            version = Version(
                note=dice.choice("AB"),
                stamp=dice.choice([None, *map(float, range(17))]),
                read=float(dice.randint(8, 16)),
                uri=dice.choice("ab"),
                position=dice.randint(0, 2),
            )
            load[version.order] = said.setdefault(version.order, version)
        steps.append(list(load.values()))
    return steps


@many
@given(seed=st.integers(0, 2**32))
def test_random_loads_leave_the_newest_version(make_table, seed):
    dice = Random(seed)
    script = {key: random_steps(dice) for key in range(100)}
    truths = play(make_table(), script)
    for key, steps in script.items():
        everything = [version for load in steps for version in load]
        newest = max(everything, key=lambda version: version.order, default=None)
        assert (truths[key].version if truths[key] else None) == newest


@many
@given(seed=st.integers(0, 2**32))
def test_random_loads_between_deletions(make_table, seed):
    dice = Random(seed)
    script = {key: random_steps(dice) for key in range(100)}
    deletions = {key: {step for step in range(4) if dice.random() < 0.3} for key in script}
    play(make_table(), script, deletions)


def test_every_order_of_five_versions_ends_in_the_newest(make_table):
    five = [
        Version("null stamp", None, 9.0),
        Version("old", 1.0, 12.0),
        Version("new", 5.0, 8.0),
        Version("new, read later", 5.0, 10.0),
        Version("stamped in the future, read at nine", 99.0, 9.0),
    ]
    newest = max(five, key=lambda version: version.order)
    assert newest.note == "stamped in the future, read at nine"
    script = {key: [[version] for version in order] for key, order in enumerate(permutations(five))}
    truths = play(make_table(), script)
    assert {truth.version for truth in truths.values()} == {newest}
    assert len(truths) == 120


def test_repeated_loads_change_nothing(make_table):
    table = make_table()
    loads = [{key: [Version("AB"[(key + n) % 2], float(n), 8.0 + n)] for key in range(10)} for n in range(3)]
    for load in loads:
        table.merge(load)
    before = table.rows()
    assert [table.merge(load) for load in (loads[1], loads[0], loads[2], loads[1])] == [
        {"stale": 10}, {"stale": 10}, {"unchanged": 10}, {"stale": 10},
    ]  # fmt: skip
    assert table.rows() == before


def test_a_b_a_merged_as_one_three_two_ends_as_a(make_table):
    reads = [Version("A", None, 8.0), Version("B", None, 9.0), Version("A", None, 10.0)]
    table = make_table()
    counts = [table.merge({1: [reads[n]]}) for n in (0, 2, 1)]
    assert counts == [{"inserted": 1}, {"unchanged": 1}, {"stale": 1}]
    assert table.rows()[1][0] == "A"


def test_future_stamp_does_not_block_later_updates(make_table):
    table = make_table()
    table.merge({1: [Version("from the future", 1000.0, 8.0)]})
    assert table.merge({1: [Version("later", 9.0, 9.5)]}) == {"updated": 1}
    assert table.rows()[1][0] == "later"


def test_record_refined_anew_is_updated_once(make_table):
    """The catalog got a column: the same raw records come with other content."""
    table = make_table()
    table.merge({1: [Version("without", 1.0, 8.0)]})
    assert table.merge({1: [Version("with", 1.0, 8.0)]}) == {"updated": 1}
    assert table.merge({1: [Version("with", 1.0, 8.0)]}) == {"unchanged": 1}
    assert table.rows()[1][0] == "with"


@pytest.mark.parametrize(
    ("after", "outcome", "note", "is_deleted"),
    [
        (Version("A", 1.0, 11.0), "revived", "A", False),
        (Version("older stamp", 0.0, 11.0), "revived", "older stamp", False),
        (Version("newer, read before", 2.0, 9.0), "updated", "newer, read before", True),
        (Version("A", 1.0, 9.0), "unchanged", "A", True),
        (Version("older, read before", 0.0, 9.0), "stale", "A", True),
    ],
    ids=["same-content", "older-stamp", "newer-before", "same-before", "older-before"],
)
def test_tombstone(make_table, after, outcome, note, is_deleted):
    table = make_table()
    table.merge({1: [Version("A", 1.0, 8.0)]})
    table.delete([1], 10.0)
    assert table.merge({1: [after]}) == {outcome: 1}
    found = table.rows()[1]
    assert (found[0], found[-1] is not None) == (note, is_deleted)


def test_tombstone_of_a_key_never_merged(make_table):
    """Nothing is known of it but its key and when it was gone."""
    table = make_table()
    gone = "TIMESTAMP '2026-03-01 10:00:00+00'"
    insert = f"INSERT INTO {table.name.sql} (id, _deleted_at) VALUES (1, {gone}), (2, {gone})"
    table.warehouse.run(insert, kind="delete", key=uuid4().hex)
    assert table.merge({1: [Version("A", None, 8.0)], 2: [Version("B", 1.0, 11.0)]}) == {
        "updated": 1,
        "revived": 1,
    }
    assert [(row[0], row[-1] is not None) for _, row in sorted(table.rows().items())] == [
        ("A", True),
        ("B", False),
    ]
