"""What the MERGE does to rows, on the emulator, against an oracle that knows nothing of SQL.

Every case is a key of its own, so that hundreds of them share one table and a handful of merges.
"""

from __future__ import annotations

import io
import json
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

from tideline.merge.absences import Absences, vanishing
from tideline.merge.deletes import DELETED, SUPERSEDED, Events, event_counts_sql, event_fields, events_sql
from tideline.merge.sql import Merge, counts_sql, merge_sql
from tideline.refine.contract import processed_schema
from tideline.warehouse.bigquery import NDJSON, Warehouse
from tideline.warehouse.names import load_table, raw_table
from tideline.warehouse.schema import Layout, load_fields, raw_layout
from tideline.warehouse.tables import ensure_table

T0 = datetime(2026, 3, 1, tzinfo=UTC)
OLDEST = datetime(1, 1, 1, tzinfo=UTC)
CREATED = (
    None,
    datetime(2026, 2, 28, 23, 59, 59, 999_999, tzinfo=UTC),
    T0,
    T0 + timedelta(hours=23.5),
    datetime(2026, 4, 1, tzinfo=UTC),
    datetime(2025, 12, 31, 12, tzinfo=UTC),
    datetime(1969, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC),
)
"""When a key was made, by its number: the edges of days and months, the same day twice, and not known."""


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
    """What the table must say of one key: its newest version, when it went, and up to when reads are void."""

    version: Version
    deleted: float | None = None
    floor: float = 0.0

    @property
    def counts(self) -> bool:
        return self.version.read > self.floor


def apply(truth: Truth | None, load: list[Version]) -> tuple[Truth | None, str | None]:
    """What one load makes of a key, and what it counts as."""
    if not load:
        return truth, None
    new = max(load, key=lambda version: version.order)
    if truth is None:
        return Truth(new), "inserted"
    if truth.deleted is not None and new.read > truth.deleted:
        return Truth(new, None, truth.floor), "revived"
    if truth.deleted is None and (new.read > truth.floor) != truth.counts:
        wins = not truth.counts
    else:
        wins = new.order >= truth.version.order
    if not wins:
        return truth, "stale"
    same = (new.note, new.stamp) == (truth.version.note, truth.version.stamp)
    return Truth(new, truth.deleted, truth.floor), "unchanged" if same else "updated"


def observe(truth: Truth, kind: str, at: float) -> Truth:
    """What one event makes of a key that is known."""
    gone = kind == DELETED and truth.version.read <= at
    deleted = max(truth.deleted or 0.0, at) if gone else truth.deleted
    return Truth(truth.version, deleted, max(truth.floor, at))


def converged(reads: list[Version], events: list[tuple[str, float]]) -> tuple[Any, ...]:
    """What is true of a key in the end, whatever the order: (is it there, what does it say)."""
    gone = max((at for kind, at in events if kind == DELETED), default=0.0)
    floor = max((at for _, at in events), default=0.0)
    newest = max(reads, key=lambda v: (v.read > floor, v.read > gone, v.order), default=None)
    return newest is not None and max(v.read for v in reads) > gone, newest and newest.note


# --- the table --------------------------------------------------------------------------------------------


class Table:
    """One target table on the emulator; `partitioned` by the unit of a stamp that a key keeps, or lacks.

    What is read `whole` has no stamps unless it is `stamped`.
    """

    def __init__(self, kit, client, make_settings, *, whole=False, stamped=False, partitioned=None) -> None:
        make = kit.http if whole else kit.mongo
        shape = {}
        if stamped:
            shape["columns"] = kit.columns(id="int64", note="string", updated_at="timestamp")
            shape["change_column"] = "updated_at"
        if partitioned:
            types = {"id": "int64", "note": "string", "created_at": "timestamp", "updated_at": "timestamp"}
            shape["columns"] = kit.columns(**types)
            shape["partition"] = {"column": "created_at", "granularity": partitioned, "immutable": True}
        self.dataset = make(name=f"t{uuid4().hex[:10]}", **shape)
        self.warehouse = Warehouse(client, make_settings())
        self.name = raw_table(self.dataset, self.warehouse.settings)
        self.fields = ensure_table(self.warehouse, self.name, raw_layout(self.dataset)).fields

    def merge(self, rows: dict[int, list[Version]], absences: Absences | None = None) -> Counter[str]:
        """Merge one load of rows by key; what the counting queries foretold."""
        load = load_table(self.dataset, uuid4().hex, self.warehouse.settings)
        self.warehouse.tables.create(load, Layout(load_fields(self.dataset)))
        self.warehouse.load_file(
            load, self._parquet(rows), load_fields(self.dataset), key=uuid4().hex, truncate=True
        )
        partitions = self._partitions(rows)
        step = Merge(self.dataset, self.name, self.fields, load, "w", partitions, absences)
        assert bool(step.pruned) == bool(partitions)
        (foretold,) = self.warehouse.rows(counts_sql(step), kind="counts")
        deleted = vanishing(step, self.warehouse).count if absences else 0
        self.warehouse.run(merge_sql(step), kind="merge", key=uuid4().hex)
        return Counter({name: count for name, count in [*foretold.items(), ("deleted", deleted)] if count})

    def _partitions(self, rows: dict[int, list[Version]]) -> tuple[str | None, ...] | None:
        """What the manifest of the load would say, reckoned by the calendar."""
        if self.dataset.partition is None:
            return None
        whole = {"day": {}, "month": {"day": 1}}[self.dataset.partition.granularity]
        created = [CREATED[key % len(CREATED)] for key, versions in rows.items() if versions]
        starts = {at and at.replace(hour=0, minute=0, second=0, microsecond=0, **whole) for at in created}
        return tuple(at and f"{at:%Y-%m-%dT%H:%M:%SZ}" for at in starts)

    def _parquet(self, rows: dict[int, list[Version]]) -> io.BytesIO:
        body = io.BytesIO()
        listed = [
            {
                "id": key, "note": v.note, "_raw_uri": v.uri, "_raw_position": v.position,
                "updated_at": None if v.stamp is None else T0 + timedelta(hours=v.stamp),
                "_extracted_at": T0 + timedelta(hours=v.read),
                **({"created_at": CREATED[key % len(CREATED)]} if self.dataset.partition else {}),
            }
            for key, versions in rows.items() for v in versions
        ]  # fmt: skip
        pq.write_table(pa.Table.from_pylist(listed, schema=processed_schema(self.dataset)), body)
        body.seek(0)
        return body

    def observe(self, events: list[tuple[int, str, float]]) -> Counter[str]:
        """Merge one load of events (key, kind, hours after T0); what the counting query foretold."""
        load = load_table(self.dataset, uuid4().hex, self.warehouse.settings)
        fields = event_fields(self.dataset)
        self.warehouse.tables.create(load, Layout(fields))
        body = "".join(
            json.dumps({"id": key, "_event": kind, "_observed_at": (T0 + timedelta(hours=at)).isoformat()})
            + "\n"
            for key, kind, at in events
        )
        self.warehouse.load_file(
            load, io.BytesIO(body.encode()), fields, key=uuid4().hex, truncate=True, source_format=NDJSON
        )
        step = Events(self.dataset, self.name, load)
        (foretold,) = self.warehouse.rows(event_counts_sql(step), kind="counts")
        self.warehouse.run(events_sql(step), kind="events", key=uuid4().hex)
        assert sum(foretold.values()) == len(events)
        return Counter({name: count for name, count in foretold.items() if count})

    def delete(self, keys: list[int], at: float) -> Counter[str]:
        return self.observe([(key, DELETED, at) for key in keys])

    def rows(self) -> dict[int, tuple[Any, ...]]:
        found = list(self.warehouse.rows(f"SELECT * FROM {self.name.sql}", kind="test"))
        assert len({row["id"] for row in found}) == len(found), "a key has two rows"
        return {
            row["id"]: (row["note"], row.get("updated_at"), row["_extracted_at"], row["_raw_uri"],
                        row["_raw_position"], row["_superseded_at"], row["_deleted_at"])
            for row in found
        }  # fmt: skip

    def said(self) -> dict[int, tuple[Any, ...]]:
        """Key → (is it there, what does it say), as `converged` has it."""
        return {key: (row[-1] is None, row[0]) for key, row in self.rows().items()}


def expected(truths: dict[int, Truth | None]) -> dict[int, tuple[Any, ...]]:
    return {
        key: (
            truth.version.note,
            None if truth.version.stamp is None else T0 + timedelta(hours=truth.version.stamp),
            T0 + timedelta(hours=truth.version.read),
            truth.version.uri,
            truth.version.position,
            T0 + timedelta(hours=truth.floor) if truth.floor else None,
            None if truth.deleted is None else T0 + timedelta(hours=truth.deleted),
        )
        for key, truth in truths.items()
        if truth is not None
    }


@pytest.fixture(scope="session")
def make_table(kit, bigquery_client, own_settings):
    return lambda **shape: Table(kit, bigquery_client, own_settings, **shape)


def play(
    table: Table, script: dict[int, list[list[Version]]], events: dict[int, dict[int, str]] | None = None
):
    """Merge step after step, and compare counts and rows with the oracle's after each."""
    truths: dict[int, Truth | None] = dict.fromkeys(script)
    for step in range(max(map(len, script.values()))):
        load = {key: steps[step] for key, steps in script.items() if step < len(steps)}
        outcomes: Counter[str] = Counter()
        for key, versions in load.items():
            truths[key], outcome = apply(truths[key], versions)
            outcomes.update({outcome: 1, "duplicates": len(versions) - 1} if outcome else {})
        assert table.merge(load) == +outcomes, f"counts of step {step}"
        observed = [(key, kinds[step], 10.5 + step) for key, kinds in (events or {}).items() if step in kinds]
        observed = [event for event in observed if truths[event[0]]]
        for key, kind, at in observed:
            truths[key] = observe(truths[key], kind, at)
        if observed:
            table.observe(observed)
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


@pytest.mark.parametrize("partitioned", [None, "day", "month"])
@many
@given(seed=st.integers(0, 2**32))
def test_random_loads_between_events(make_table, partitioned, seed):
    dice = Random(seed)
    script = {key: random_steps(dice) for key in range(100)}
    kinds = (DELETED, DELETED, SUPERSEDED)
    events = {key: {n: dice.choice(kinds) for n in range(4) if dice.random() < 0.4} for key in script}
    play(make_table(partitioned=partitioned), script, events)


def random_life(dice: Random) -> tuple[list[Version], list[tuple[str, float]]]:
    """What was seen of a key: its stamps grow, but after an event they may begin anew, as after a restore.

    Who sees that a stamp went backwards reads the row again: that read is part of it.
    """
    reads: list[Version] = []
    events: list[tuple[str, float]] = []
    at, stamp = 8.0, float(dice.randint(0, 3))
    for number in range(dice.randint(1, 6)):
        at += 1.0
        kind = dice.choice((DELETED, DELETED, SUPERSEDED)) if dice.random() < 0.4 else None
        if kind:
            events.append((kind, at))
            stamp = dice.choice([stamp, float(dice.randint(0, 3))])
        if kind != DELETED:
            stamp += dice.choice([0.0, 0.25])
            reads.append(Version(f"{number}", stamp, at + 0.5))
    return reads, events


def shuffled(dice: Random, reads: list[Version], events: list[tuple[str, float]]) -> list[Any]:
    """Any order, with repetitions; but an event comes before what it outdates if the stamps went backwards.

    Otherwise the older read, which its stamp calls newer, has taken the newer one's place before anything
    says that it is void: what is lost then, the next reconciliation finds.
    """
    order = [*reads, *events, *dice.sample(reads, dice.randint(0, len(reads)))]
    dice.shuffle(order)
    went_back = any(
        old.read <= at < new.read and old.order > new.order
        for _, at in events for old in reads for new in reads
    )  # fmt: skip
    return sorted(order, key=lambda item: isinstance(item, Version)) if went_back else order


@pytest.mark.parametrize("partitioned", [None, "day", "month"])
@many
@given(seed=st.integers(0, 2**32))
def test_reads_and_events_converge_in_every_order(make_table, partitioned, seed):
    dice = Random(seed)
    lives = {key: random_life(dice) for key in range(120)}
    orders = {key: shuffled(dice, *life) for key, life in lives.items()}
    table = make_table(partitioned=partitioned)
    for step in range(max(map(len, orders.values()))):
        now = {key: order[step] for key, order in orders.items() if step < len(order)}
        loaded = {key: [item] for key, item in now.items() if isinstance(item, Version)}
        events = [(key, *item) for key, item in now.items() if not isinstance(item, Version)]
        bare = {key: versions for key, versions in loaded.items() if CREATED[key % len(CREATED)] is None}
        dated = {key: versions for key, versions in loaded.items() if key not in bare}
        for load in (bare, dated) if partitioned else (loaded,):  # no NULL among the partitions of the one
            if load:
                table.merge(load)
        if events:
            table.observe(events)
    assert table.said() == {key: converged(*life) for key, life in lives.items()}


def test_every_order_of_deleting_and_coming_back(make_table):
    """Two reads, a deletion, a read with an older stamp after it, a superseding, a read with one older still."""
    seen = [Version("first", 5.0, 8.0), Version("second", 6.0, 9.0), Version("third", 7.0, 11.0)]
    events = [(DELETED, 10.0), (SUPERSEDED, 10.5)]
    table = make_table()
    script = dict(enumerate(permutations([*seen, *events])))
    for step in range(5):
        now = {key: order[step] for key, order in script.items()}
        table.merge({key: [item] for key, item in now.items() if isinstance(item, Version)})
        table.observe([(key, *item) for key, item in now.items() if not isinstance(item, Version)])
    assert set(table.said().values()) == {converged(seen, events)} == {(True, "third")}
    assert len(script) == 120


def test_events_say_what_became_of_them(make_table):
    table = make_table()
    table.merge({key: [Version("A", 1.0, 8.0)] for key in range(4)})
    kinds = [(0, DELETED, 9.0), (1, SUPERSEDED, 9.0), (2, DELETED, 7.0), (7, DELETED, 9.0)]
    assert table.observe(kinds) == {"deleted": 1, "updated": 2, "stale": 1}
    assert table.observe(kinds) == {"unchanged": 3, "stale": 1}
    assert table.observe([(0, DELETED, 9.5), (0, DELETED, 9.0)]) == {"updated": 1, "duplicates": 1}
    assert {key: row[-1] is None for key, row in table.rows().items()} == {
        0: False, 1: True, 2: True, 3: True, 7: False,
    }  # fmt: skip


def test_restored_document_wins_with_its_older_stamp(make_table):
    """What a superseded event is for: without it the stamp of the lost version would hold the row for ever."""
    table = make_table()
    table.merge({1: [Version("lost", 7.0, 8.0)]})
    assert table.merge({1: [Version("restored", 2.0, 10.0)]}) == {"stale": 1}
    assert table.observe([(1, SUPERSEDED, 9.0)]) == {"updated": 1}
    assert table.merge({1: [Version("restored", 2.0, 10.0)]}) == {"updated": 1}
    assert table.merge({1: [Version("lost", 7.0, 8.0)]}) == {"stale": 1}
    assert table.said() == {1: (True, "restored")}


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
    assert table.delete([1, 2], 10.0) == {"updated": 2}
    assert table.merge({1: [Version("A", None, 8.0)], 2: [Version("B", 1.0, 11.0)]}) == {
        "updated": 1,
        "revived": 1,
    }
    assert [(row[0], row[-1] is not None) for _, row in sorted(table.rows().items())] == [
        ("A", True),
        ("B", False),
    ]


# --- reads that are whole ---------------------------------------------------------------------------------


def read_whole(table: Table, notes: dict[int, str], read: float, refused: list[int] | None = None):
    """Merge a read of everything: key → note."""
    absences = Absences(T0 + timedelta(hours=read), tuple((str(key),) for key in refused or ()))
    return table.merge({key: [Version(note, None, read)] for key, note in notes.items()}, absences)


def test_key_that_vanishes_and_comes_back(make_table):
    table = make_table(whole=True)
    assert read_whole(table, {1: "a", 2: "b"}, 8.0) == {"inserted": 2}
    assert read_whole(table, {1: "a"}, 9.0) == {"unchanged": 1, "deleted": 1}
    assert table.said() == {1: (True, "a"), 2: (False, "b")}
    assert read_whole(table, {1: "a"}, 10.0) == {"unchanged": 1}
    assert read_whole(table, {1: "a", 2: "b"}, 11.0) == {"unchanged": 1, "revived": 1}
    assert table.said() == {1: (True, "a"), 2: (True, "b")}


def test_read_that_comes_late_brings_nothing_back(make_table):
    table = make_table(whole=True)
    read_whole(table, {1: "new"}, 10.0)
    assert read_whole(table, {1: "old", 2: "gone since"}, 8.0) == {"stale": 2}
    assert read_whole(table, {1: "old", 2: "gone since"}, 9.0) == {"stale": 1, "unchanged": 1}
    assert table.said() == {1: (True, "new"), 2: (False, "gone since")}


def test_read_that_is_not_whole_lets_nothing_vanish(make_table):
    table = make_table(whole=True)
    read_whole(table, {1: "a", 2: "b"}, 8.0)
    assert table.merge({1: [Version("c", None, 9.0)]}) == {"updated": 1}
    assert table.said() == {1: (True, "c"), 2: (True, "b")}


def test_refused_record_has_not_vanished(make_table):
    table = make_table(whole=True)
    read_whole(table, {1: "a", 2: "b", 3: "c"}, 8.0)
    assert read_whole(table, {1: "a"}, 9.0, refused=[2]) == {"unchanged": 1, "deleted": 1}
    assert table.said() == {1: (True, "a"), 2: (True, "b"), 3: (False, "c")}


def test_same_read_refined_anew_is_no_late_one(make_table):
    """The decoder was mended: what was refused conforms now, in the read of the same instant."""
    table = make_table(whole=True)
    read_whole(table, {1: "a"}, 9.0, refused=[2])
    assert read_whole(table, {1: "a", 2: "b"}, 9.0) == {"unchanged": 1, "inserted": 1}
    assert table.said() == {1: (True, "a"), 2: (True, "b")}


@many
@given(seed=st.integers(0, 2**32))
def test_whole_reads_converge_in_every_order(make_table, seed):
    """The newest read says which rows are there; what any read had and it has not is a tombstone."""
    dice = Random(seed)
    reads = {
        8.0 + number: {key: dice.choice("ABC") for key in range(30) if dice.random() < 0.6}
        for number in range(5)
    }
    order = [*reads, *dice.sample(list(reads), 2)]
    dice.shuffle(order)
    table, live = make_table(whole=True), 0
    for read in order:
        counts = read_whole(table, reads[read], read)
        live += counts["inserted"] + counts["revived"] - counts["deleted"]
        assert live == sum(is_there for is_there, _ in table.said().values())
    newest = reads[max(reads)]
    last = {key: note for _, notes in sorted(reads.items()) for key, note in notes.items()}
    assert table.said() == {key: (key in newest, newest.get(key, note)) for key, note in last.items()}


@many
@given(seed=st.integers(0, 2**32))
def test_whole_reads_say_what_is_there_whatever_their_stamps(make_table, seed):
    """Stamps that go back, or are gone, as after a restored backup: the newest read counts, in every order."""
    dice = Random(seed)
    reads = {
        8.0 + number: {
            key: Version(f"{key} {number}", dice.choice((None, 1.0, 5.0, 7.0, 50.0)), 8.0 + number)
            for key in range(30)
        }
        for number in range(4)
    }
    order = [*reads, *dice.sample(list(reads), 2)]
    dice.shuffle(order)
    table = make_table(whole=True, stamped=True)
    for read in order:
        rows = {key: [version] for key, version in reads[read].items()}
        table.merge(rows, Absences(T0 + timedelta(hours=read)))
    assert table.said() == {key: (True, version.note) for key, version in reads[max(reads)].items()}


def test_row_that_the_table_lost_comes_back_with_the_read_that_has_it(make_table):
    """An older read comes first, and is late for the newer one, which does have the key."""
    table = make_table(whole=True)
    read_whole(table, {1: "a", 2: "b"}, 10.0)
    table.warehouse.run(f"DELETE FROM {table.name.sql} WHERE id = 2", kind="lose", key=uuid4().hex)
    assert read_whole(table, {1: "a", 2: "b"}, 8.0) == {"stale": 2}
    assert read_whole(table, {1: "a", 2: "b"}, 10.0) == {"unchanged": 1, "revived": 1}
    assert table.said() == {1: (True, "a"), 2: (True, "b")}
