"""What nobody would declare and somebody has: odd names, keys of every type, rows without stamps, empty objects.

One catalog, one history: hours over the days on which clocks and years change, then everything again, in replays
and reconciliations. The expectation is a dict that the test keeps beside the source.
"""

from __future__ import annotations

import gzip
import json
import os
from contextlib import ExitStack
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from bson import Decimal128, Int64, ObjectId
from typer.testing import CliRunner

from devstack.stack import Stack
from tideline import connections, pipeline
from tideline.cli import app
from tideline.errors import SchemaEvolutionError
from tideline.plan import RunRequest
from tideline.warehouse.names import raw_table

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tideline.pipeline import Deployment

pytestmark = [pytest.mark.integration, pytest.mark.timeout(900)]

MONGO = """\
source: odd
kind: mongodb
connection: odd_mongodb
database: odd-db
datasets:
  select:  # composite key with a NULL-like text, reserved words, fields that YAML and BSON would read otherwise
    collection: weird coll.ünï
    key: [from, number]
    change_column: updated_at
    lookback: 10m
    partition: {column: order, granularity: month}
    columns:
      from: {field: tenant.name, type: string}
      number: int64
      order: date
      group: {field: $group, type: string}
      no: bool
      _Under: {field: Ünder score, type: string}
      rate: numeric(38, 9)
      big: bignumeric(38, 10)
      lines:
        type: record
        repeated: true
        columns:
          sku: string
          taxes: {type: record, repeated: true, columns: {code: string, rate: "numeric(38, 9)", tags: {type: string, repeated: true}}}
          at: timestamp
      anything: json
      updated_at: timestamp
  nulls:
    key: [id]
    change_column: changed
    null_changes: first_load
    columns: {id: {field: _id, type: string}, note: string, changed: timestamp}
  whole:  # no change column: every read is whole
    key: [day, flag]
    columns: {day: date, flag: bool, _whole_at: {field: value, type: float64}}
  ticks:
    key: [observed_at, amount]
    change_column: observed_at
    columns: {observed_at: {field: at, type: timestamp}, amount: "numeric(20, 5)", raw: bytes}
"""
CSV = """\
source: odd_files
kind: s3_csv
connection: odd_s3
bucket: odd-drops
datasets:
  one:
    key: [id]
    columns: {id: {type: string}}
  money:
    prefix: "money & more/"
    suffixes: [.csv, .CSV, .txt.gz]
    dialect: {delimiter: ";", encoding: cp1252, null_values: ["", "NULL"], strings_can_be_null: true}
    key: [konto, tag]
    change_column: stand
    columns:
      konto: {field: "Konto-Nr.", type: "numeric(29, 0)"}
      tag: {field: Tag, type: date}
      betrag: {field: "Betrag (€)", type: "numeric(38, 9)"}
      text: {field: Text, type: string}
      stand: {field: Stand, type: timestamp}
"""
DAYS = [
    datetime(2024, 2, 29, 23, tzinfo=UTC),
    datetime(2024, 3, 31, 1, tzinfo=UTC),  # Europe's clocks go forward
    datetime(2024, 12, 31, 23, tzinfo=UTC),
]
"""The beginnings of the hours that are run."""
HOUR = timedelta(hours=1)
LAST = ("--start", "2024-12-31T23:00", "--end", "2025-01-01T00:00")
IDS = ["odd.select", "odd.nulls", "odd.whole", "odd.ticks", "odd_files.one", "odd_files.money"]


class Odd:
    """The sources, and what they say at present by dataset and key."""

    def __init__(self, targets: Any) -> None:
        self.database, self.s3 = targets.mongo["odd-db"], targets.s3
        self.s3.create_bucket(Bucket="odd-drops")
        self.truth: dict[str, dict[Any, dict[str, Any]]] = {name: {} for name in IDS}

    def select(self, tenant: str, number: int, at: datetime, **changes: Any) -> None:
        row = {
            "from": tenant, "number": number, "order": at.date(), "group": "'; DROP TABLE x; --`\\", "no": None,
            "_Under": "\u0000zero"[1:], "rate": Decimal("1234567890123456789012345.123456789"),
            "big": Decimal("-0.0000000001"), "anything": {"a": [1, {"b": None}], "ü": "\u2028"}, "updated_at": at,
            "lines": [
                {"sku": "a", "taxes": [], "at": None},
                {"sku": None, "at": at, "taxes": [{"code": "x", "rate": Decimal("0.000000001"), "tags": ["", "b"]}]},
            ],
        } | changes  # fmt: skip
        self.truth["odd.select"][tenant, number] = row
        document = {
            "tenant.name": tenant, "number": Int64(number), "order": datetime.combine(row["order"], datetime.min.time()),
            "$group": row["group"], "no": row["no"], "Ünder score": row["_Under"], "rate": Decimal128(row["rate"]),
            "big": Decimal128(row["big"]), "anything": row["anything"], "updated_at": at,
            "lines": [
                {**line, "taxes": [{**tax, "rate": Decimal128(tax["rate"])} for tax in line["taxes"]]}
                for line in row["lines"]
            ],
        }  # fmt: skip
        collection = self.database["weird coll.ünï"]
        collection.delete_many({"number": number, "_id": f"{tenant} {number}"})
        collection.insert_one({"_id": f"{tenant} {number}", **document})

    def nulls(self, name: str, note: str, changed: datetime | None, *, absent: bool = False) -> None:
        key = ObjectId(name * 24)
        self.truth["odd.nulls"][str(key)] = {"id": str(key), "note": note, "changed": changed}
        document = {"note": note} if absent else {"note": note, "changed": changed}
        self.database["nulls"].replace_one({"_id": key}, document, upsert=True)

    def whole(self, day: date, flag: bool, value: float | None) -> None:
        self.truth["odd.whole"][day, flag] = {"day": day, "flag": flag, "_whole_at": value}
        at = datetime.combine(day, datetime.min.time())
        self.database["whole"].replace_one(
            {"day": at, "flag": flag}, {"day": at, "flag": flag, "value": value}, True
        )

    def tick(self, at: datetime, amount: str, raw: bytes) -> None:
        self.truth["odd.ticks"][at, Decimal(amount)] = {
            "observed_at": at,
            "amount": Decimal(amount),
            "raw": raw,
        }
        self.database["ticks"].insert_one({"at": at, "amount": Decimal128(amount), "raw": raw})

    def put(self, key: str, body: bytes) -> None:
        self.s3.put_object(Bucket="odd-drops", Key=key, Body=body)

    def one(self, key: str, body: bytes, *ids: str) -> None:
        self.truth["odd_files.one"] |= {name: {"id": name} for name in ids}
        self.put(f"one/{key}", body)

    def money(self, key: str, *rows: tuple[str, str, str, str, str], zipped: bool = False) -> None:
        lines = ["Stand;Betrag (€);Text;Konto-Nr.;Tag", *(";".join(row) for row in rows)]
        body = "\r\n".join(lines).encode("cp1252")
        for stand, amount, text, account, day in rows:
            row = {
                "konto": Decimal(account), "tag": date.fromisoformat(day), "text": text if text != "NULL" else None,
                "betrag": Decimal(amount) if amount not in ("", "NULL") else None,
                "stand": datetime.fromisoformat(stand).astimezone(UTC),
            }  # fmt: skip
            known = self.truth["odd_files.money"].get((row["konto"], row["tag"]))
            if known is None or known["stand"] <= row["stand"]:
                self.truth["odd_files.money"][row["konto"], row["tag"]] = row
        self.put(f"money & more/{key}", gzip.compress(body) if zipped else body)

    def history(self, number: int, start: datetime) -> None:
        """What happens in the hour that begins then."""
        at = start + timedelta(minutes=59, seconds=59, microseconds=999_000)
        for tenant in ("", "NULL", "ünï'`\"", " "):
            self.select(tenant, 2**63 - 1, start)
            self.select(tenant, -number, at, no=bool(number % 2), rate=Decimal(-number) / 10**9, lines=[])
        self.nulls("a", f"note {number}", None if number == 0 else start)
        self.nulls("0123456789"[number], "new", start if number else None, absent=not number)
        self.whole(start.date(), bool(number % 2), float(number) or None)
        self.whole(date(1, 1, 1), True, -0.5 * number)
        self.whole(date(9999, 12, 31), False, 1e300)
        self.tick(at, f"{number}.5", bytes(range(256)))
        self.tick(at, f"-{number}.50000", b"")
        self.one(f"empty-{number}.csv", b"")
        self.one(f"header-{number}.csv", b"id")
        self.one(f"header-{number}-lf.csv", b"id\n")
        self.one(f"crlf-{number}.csv", b'id\r\n"a ""b"" \r\nc"\r\n%d' % number, 'a "b" \r\nc', str(number))
        self.one(f"zipped-{number}.csv.gz", gzip.compress(b"\xef\xbb\xbfid\nz%d\n" % number), f"z{number}")
        stamp = at.isoformat()
        self.money(f"a {number}%20+#.CSV", (stamp, "1" * 29 + ".000000001", "Äpfel, nein", "9" * 29, "2024-02-29"),
                   (start.isoformat(), "NULL", "NULL", str(number), "0001-01-01")) if number % 2 else self.money(
                       f"ü/{number}.txt.gz", (stamp, "-0.1", "€ ‰", "9" * 29, "2024-02-29"), zipped=True)  # fmt: skip


class World:
    def __init__(self, odd: Odd, deployment: Deployment) -> None:
        self.odd, self.deployment = odd, deployment

    def run(self, start: datetime, run_id: str = "hour") -> dict[str, Any]:
        interval = (start, start + HOUR)
        request = RunRequest(run_id, "scheduled", interval, None, None, catch_up=False, now=datetime.now(UTC))
        done = {}
        for dataset_id, load in pipeline.plan_run(self.deployment, request).items():
            landed = pipeline.land_dataset(self.deployment, load, run_id)
            refined = pipeline.refine_dataset(self.deployment, landed, run_id)
            done[dataset_id] = pipeline.merge_dataset(self.deployment, refined, run_id)
        return done

    def table(self, dataset_id: str) -> dict[Any, dict[str, Any]]:
        dataset = self.deployment.catalog.dataset(dataset_id)
        warehouse = self.deployment.open_warehouse()
        names = [column.name for column in dataset.columns]
        sql = f"SELECT {', '.join(f'`{n}`' for n in names)} FROM {raw_table(dataset, warehouse.settings).sql} WHERE _deleted_at IS NULL"
        rows = [dict(row.items()) for row in warehouse.rows(sql, kind="test")]
        found = {}
        for row in rows:
            if isinstance(row.get("anything"), str):
                row["anything"] = json.loads(row["anything"])
            key = tuple(row[name] for name in dataset.key)
            found[key[0] if len(key) == 1 else key] = row
        assert len(found) == len(rows)
        return found

    def check(self) -> None:
        for dataset_id, expected in self.odd.truth.items():
            found = self.table(dataset_id)
            assert found.keys() == expected.keys(), dataset_id
            differing = {key: (found[key], row) for key, row in expected.items() if found[key] != row}
            assert not differing, (dataset_id, differing)


def tideline(*arguments: str) -> Any:
    done = CliRunner().invoke(app, list(arguments))
    if done.exit_code and not isinstance(done.exception, SystemExit):
        raise done.exception
    return done


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    before = dict(os.environ)
    catalog: Path = tmp_path_factory.mktemp("odd catalog")
    (catalog / "odd.yaml").write_text(MONGO)
    (catalog / "files.yml").write_text(CSV)
    with ExitStack() as opened:
        stack = opened.enter_context(Stack(tmp_path_factory.mktemp("odd"), offline=True, environ=before))
        targets = opened.enter_context(stack.targets())
        os.environ |= stack.environment
        os.environ |= {
            "TIDELINE_CATALOG_DIR": str(catalog),
            "AIRFLOW_CONN_ODD_S3": stack.environment["AIRFLOW_CONN_TIDELINE_S3_SOURCE"],
            "AIRFLOW_CONN_ODD_MONGODB": stack.environment["AIRFLOW_CONN_TIDELINE_MONGODB"],
        }
        try:
            yield World(Odd(targets), opened.enter_context(connections.open_deployment()))
        finally:
            os.environ.clear()
            os.environ.update(before)


def test_every_hour_arrives(world):
    for number, start in enumerate(DAYS):
        world.odd.history(number, start)
        done = world.run(start)
        assert {name: summary["quarantined"] for name, summary in done.items()} == dict.fromkeys(IDS, 0)
        world.check()
        again = world.run(start, "again")
        changed = {name: summary["inserted"] + summary["updated"] for name, summary in again.items()}
        assert changed == dict.fromkeys(IDS, 0)
        world.check()


@pytest.mark.parametrize("window", [
    ("0001-01-01T00:00", "2025-06-01T00:00"), ("2024-12-31T23:59:59.999999", "2025-01-01"),
    ("2024-03-31T01:30:00+01:00", "2024-03-31T03:30:00+02:00"),
])  # fmt: skip
def test_windows_of_any_size_change_nothing(world, window):
    done = tideline("run", "--start", window[0], "--end", window[1], "--json")
    assert done.exit_code == 0, done.output
    assert {
        load["dataset_id"]: load["inserted"] + load["updated"] for load in json.loads(done.stdout)
    } == dict.fromkeys(IDS, 0)
    world.check()


def test_reconciling_finds_nothing_and_then_what_was_deleted(world):
    done = tideline("reconcile", "--json")
    assert done.exit_code == 0, done.output
    world.check()
    world.odd.database["ticks"].delete_one(
        {"at": max(at for at, _ in world.odd.truth["odd.ticks"]), "raw": b""}
    )
    gone = max(key for key, row in world.odd.truth["odd.ticks"].items() if row["raw"] == b"")
    del world.odd.truth["odd.ticks"][gone]
    world.odd.database["weird coll.ünï"].delete_many({"tenant.name": "NULL", "number": 0})
    world.odd.database["weird coll.ünï"].delete_many({"_id": "NULL 0"})
    del world.odd.truth["odd.select"]["NULL", 0]
    world.odd.nulls("0", "changed without a stamp", None)
    done = tideline("reconcile", "--max-delete-ratio", "1", "--json")
    assert done.exit_code == 0, done.output
    world.check()


def test_everything_is_replayed_into_the_same(world):
    done = tideline("replay", *(word for name in IDS for word in ("--dataset", name)))
    assert done.exit_code == 0, done.output
    world.check()


@pytest.mark.parametrize("dataset_id", ["odd.select", "odd_files.money"])
def test_a_shadow_of_everything_is_the_same(world, dataset_id):
    done = tideline("replay", "--dataset", dataset_id, "--into", "shadow", "--swap")
    assert done.exit_code == 0, done.output
    world.check()


def test_a_lost_ledger_is_recovered(world):
    from tideline.warehouse.ledger import Ledger
    from tideline.warehouse.names import LEDGER, ops_table

    warehouse = world.deployment.open_warehouse()
    before = {name: state.high_water_mark for name, state in Ledger(warehouse).state().items()}
    table = ops_table(LEDGER, warehouse.settings).sql
    warehouse.run(f"DELETE FROM {table} WHERE TRUE", kind="test", key="lost")
    done = tideline("recover")
    assert done.exit_code == 0, done.output
    assert {name: state.high_water_mark for name, state in Ledger(warehouse).state().items()} == before
    world.check()
    assert tideline("status").exit_code == 0


def test_a_table_under_another_key_is_replayed_past_the_deletes_of_the_old_one(world):
    """As the refusal of the key says: the table is put aside, then the dataset replayed."""
    path = Path(os.environ["TIDELINE_CATALOG_DIR"], "odd.yaml")
    path.write_text(MONGO.replace("key: [observed_at, amount]", "key: [amount]"))
    warehouse = world.deployment.open_warehouse()
    ticks = world.deployment.catalog.dataset("odd.ticks")
    with pytest.raises(SchemaEvolutionError, match="one for each observed_at, amount"):
        tideline("run", "--dataset", "odd.ticks", *LAST)
    warehouse.client.delete_table(str(raw_table(ticks, warehouse.settings)))
    done = tideline("replay", "--dataset", "odd.ticks", "--json")
    assert done.exit_code == 0, done.output
    (why,) = json.loads(done.stdout)["merged"]["passed_over"].values()
    assert "the catalog's key is amount, these events are about observed_at, amount" in why
    assert tideline("reconcile", "--dataset", "odd.ticks", "--max-delete-ratio", "1").exit_code == 0
    assert world.table("odd.ticks") == world.odd.truth["odd.ticks"]
    path.write_text(MONGO)
