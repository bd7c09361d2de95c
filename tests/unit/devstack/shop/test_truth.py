"""What the shop says is true, against what it wrote: all is read back from servers, typed and reduced here.

The typing below is written from the catalog's YAML alone and shares nothing with the shop or the pipeline.
"""

from __future__ import annotations

import csv
import gzip
import io
import json
import re
from collections import Counter
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from bson import Decimal128, json_util
from bson.codec_options import CodecOptions, DatetimeConversion
from pymongo import MongoClient

from devstack.http_server import PlaceholderServer
from devstack.mongo_server import MongoServer
from devstack.s3_server import S3Server
from devstack.servers import s3
from devstack.shop import BUCKET, DATASETS, Shop, Targets

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.xdist_group("shop")

CATALOG = Path(__file__).parents[4] / "include" / "catalog"
ANCHOR = datetime(2026, 11, 20, 10, tzinfo=UTC)
HOUR = timedelta(hours=1)
HOURS = 4
SEED, SCALE = 11, 0.02
AUTO: CodecOptions[dict[str, Any]] = CodecOptions(
    tz_aware=True, tzinfo=UTC, datetime_conversion=DatetimeConversion.DATETIME_AUTO
)


class BadError(Exception):
    """The reason for which a record must be refused."""


def declared() -> dict[str, dict[str, dict[str, Any]]]:
    """Dataset id → column → its declaration, spelled out."""
    found = {}
    for path in CATALOG.glob("*.yaml"):
        source = yaml.safe_load(path.read_text())
        for name, dataset in source["datasets"].items():
            found[f"{source['source']}.{name}"] = spelled_out(dataset["columns"])
    return found


def spelled_out(columns: dict[str, Any]) -> dict[str, dict[str, Any]]:
    made = {}
    for name, given in columns.items():
        column = {"type": given} if isinstance(given, str) else dict(given)
        column.setdefault("field", name)
        column["columns"] = spelled_out(column.get("columns", {}))
        made[name] = column
    return made


def row_of(
    found: dict[str, Any], columns: dict[str, Any], scalar: Callable[[Any, str], Any]
) -> dict[str, Any]:
    row = {}
    for name, column in columns.items():
        value = found.get(column["field"])
        if value is None:
            if column.get("nullable") is False:
                raise BadError("null_required" if column["field"] in found else "missing_required")
            row[name] = [] if column.get("repeated") else None
        elif column.get("repeated"):
            if None in value:
                raise BadError("null_item")
            row[name] = [typed(item, column, scalar) for item in value]
        else:
            row[name] = typed(value, column, scalar)
    return row


def typed(value: Any, column: dict[str, Any], scalar: Callable[[Any, str], Any]) -> Any:
    if column["type"] == "record":
        if not isinstance(value, dict):
            raise BadError("type_mismatch")
        return row_of(value, column["columns"], scalar)
    return scalar(value, column["type"])


def of_bson(value: Any, kind: str) -> Any:
    if kind == "json":
        return json.loads(json_util.dumps(value, json_options=json_util.RELAXED_JSON_OPTIONS))
    if kind.startswith("numeric"):
        if not isinstance(value, Decimal128):
            raise BadError("type_mismatch")
        return money(value.to_decimal(), kind)
    if kind in ("date", "timestamp"):
        if not isinstance(value, datetime):
            raise BadError("out_of_range" if type(value).__name__ == "DatetimeMS" else "type_mismatch")
        assert kind == "timestamp" or value.time() == datetime.min.time()
        return value if kind == "timestamp" else value.date()
    if kind == "float64" and type(value).__name__ in ("int", "Int64"):
        return float(value)
    if not isinstance(value, {"string": str, "int64": int, "float64": float, "bool": bool}[kind]):
        raise BadError("type_mismatch")
    return int(value) if kind == "int64" else value


def money(amount: Decimal, kind: str) -> Decimal:
    precision, scale = map(int, re.findall(r"\d+", kind))
    if not amount.is_finite():
        raise BadError("not_finite")
    if amount != round(amount, scale):
        raise BadError("decimal_scale")
    if abs(amount) >= 10 ** (precision - scale):
        raise BadError("decimal_overflow")
    return amount


def of_text(text: str, kind: str) -> Any:
    if kind == "string":
        return text
    readers: dict[str, tuple[Callable[[str], Any], str]] = {
        "int64": (int, "bad_number"),
        "float64": (float, "bad_number"),
        "bool": ({"true": True, "false": False}.__getitem__, "bad_bool"),
        "date": (date.fromisoformat, "bad_date"),
        "timestamp": (datetime.fromisoformat, "bad_timestamp"),
    }
    if kind.startswith("numeric"):
        if not re.fullmatch(r"-?\d+(\.\d+)?", text):
            raise BadError("bad_number")
        return money(Decimal(text), kind)
    read, reason = readers[kind]
    try:
        value = read(text)
    except (ValueError, KeyError):
        raise BadError(reason) from None
    if kind == "int64" and abs(value) >= 1 << 63:
        raise BadError("out_of_range")
    return value


def unknown_of(found: dict[str, Any], columns: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Undeclared fields by path, as JSON."""
    known = {column["field"]: column for column in columns.values()}
    extra = {}
    for name, value in found.items():
        if name not in known:
            extra[prefix + name] = json.loads(
                json_util.dumps(value, json_options=json_util.RELAXED_JSON_OPTIONS)
            )
        elif known[name]["columns"] and isinstance(value, dict):
            extra |= unknown_of(value, known[name]["columns"], f"{name}.")
    return extra


class Replay:
    """The shop's systems as a reader sees them, hour by hour."""

    def __init__(self, targets: Targets, api: PlaceholderServer) -> None:
        self._targets, self._api = targets, api
        self._columns = declared()
        self._objects: dict[tuple[str, str], list[str]] = {}
        self._versions: dict[str, dict[Any, tuple[dict[str, Any], dict[str, Any]]]] = {
            "shop_s3.products": {}, "shop_s3.order_items": {},
        }  # fmt: skip
        self.rows: dict[str, dict[Any, dict[str, Any]]] = {}
        self.extra: dict[str, dict[Any, dict[str, Any]]] = {}
        self.refused: dict[str, Counter[str]] = {}
        self.landed: Counter[str] = Counter()

    def read(self, since: datetime | None) -> Seen:
        """Read everything; count what a run that begins at `since` must refuse."""
        self.rows = {name: {} for name in DATASETS}
        self.extra = {name: {} for name in DATASETS}
        self.refused = {name: Counter() for name in DATASETS}
        self.landed = Counter()
        for name in DATASETS:
            source = name.partition(".")[0]
            {"shop_mongodb": self._documents, "shop_s3": self._records, "jsonplaceholder": self._items}[
                source
            ](name, since)
        return Seen(self.rows, self.extra, self.refused, self.landed)

    def _keep(self, name: str, row: dict[str, Any], extra: dict[str, Any]) -> None:
        self.rows[name][row["id"]] = row
        if extra:
            self.extra[name][row["id"]] = extra

    def _documents(self, name: str, since: datetime | None) -> None:
        collection = self._targets.collection(name)
        assert collection is not None
        for found in collection.with_options(AUTO).find():
            is_read = since is None or found["updated_at"] >= since
            self.landed[name] += is_read
            try:
                row = row_of(found, self._columns[name], of_bson)
            except BadError as bad:
                self.refused[name][str(bad)] += is_read
            else:
                self._keep(name, row, unknown_of(found, self._columns[name]))

    def _records(self, name: str, _: datetime | None) -> None:
        assert self._targets.s3 is not None
        listed = self._targets.s3.list_objects_v2(Bucket=BUCKET, Prefix=name.partition(".")[2] + "/")[
            "Contents"
        ]
        for entry in listed:
            if (entry["Key"], entry["ETag"]) not in self._objects:
                self._objects[entry["Key"], entry["ETag"]] = []
                body = self._targets.s3.get_object(Bucket=BUCKET, Key=entry["Key"])["Body"].read()
                text = (gzip.decompress(body) if entry["Key"].endswith(".gz") else body).decode()
                header, *records = csv.reader(io.StringIO(text, newline=""))
                for record in records:
                    self._record(name, header, record)
        for row, extra in self._versions[name].values():
            self._keep(name, row, extra)

    def _record(self, name: str, header: list[str], record: list[str]) -> None:
        self.landed[name] += 1
        columns = self._columns[name]
        strings = {column["field"] for column in columns.values() if column["type"] == "string"}
        if len(record) != len(header):
            self.refused[name]["field_count"] += 1
            return
        fields = dict(zip(header, record, strict=True))
        try:
            found = {key: None if text == "" and key not in strings else text for key, text in fields.items()}
            row = row_of(found, columns, of_text)
        except BadError as bad:
            self.refused[name][str(bad)] += 1
            return
        known = self._versions[name].get(row["id"])
        assert known is None or known[0] == row or known[0]["updated_at"] != row["updated_at"]
        if known is None or known[0]["updated_at"] < row["updated_at"]:
            self._versions[name][row["id"]] = (row, unknown_of(fields, columns))

    def _items(self, name: str, _: datetime | None) -> None:
        for found in self._api.items.get(name.partition(".")[2]) or []:
            row = row_of(found, self._columns[name], of_bson)
            self._keep(name, row, unknown_of(found, self._columns[name]))


@dataclass(frozen=True)
class Seen:
    """What was read back at one time."""

    rows: dict[str, dict[Any, dict[str, Any]]]
    extra: dict[str, dict[Any, dict[str, Any]]]
    refused: dict[str, Counter[str]]
    landed: Counter[str]


@pytest.fixture(scope="module")
def shop() -> Shop:
    return Shop(SEED, SCALE, ANCHOR)


@pytest.fixture(scope="module")
def seen(shop: Shop) -> dict[int | str, Seen]:
    """What readers see of the history (-1), after every hour, and after the last one was written again."""
    found: dict[int | str, Seen] = {}
    with (
        MongoServer() as mongo,
        S3Server() as objects,
        PlaceholderServer(seed=99) as api,
        MongoClient[dict[str, Any]](mongo.uri, tz_aware=True) as client,
    ):
        port = int(objects.url.rpartition(":")[2])
        s3.make_buckets(port, [BUCKET])
        source = s3.client(port)
        targets = Targets(client, source, api.url)
        shop.open(targets)
        found[-1] = Replay(targets, api).read(None)
        replay = Replay(targets, api)
        for hour in range(HOURS):
            shop.advance(hour, targets)
            found[hour] = replay.read(ANCHOR + (hour - 1) * HOUR if hour else None)
        shop.advance(HOURS - 1, targets)
        found["again"] = replay.read(None)
        source.close()
    return found


def test_the_history_is_what_was_written(seen: dict[int | str, Seen], shop: Shop) -> None:
    assert seen[-1].rows == shop.truth(-1)
    assert seen[-1].extra == shop.expected_extra(-1)
    stamps = [row["updated_at"] for name in DATASETS[:5] for row in seen[-1].rows[name].values()]
    assert max(stamps) < ANCHOR


@pytest.mark.parametrize("hour", range(HOURS))
def test_every_hour_is_what_was_written(seen: dict[int | str, Seen], shop: Shop, hour: int) -> None:
    truth = shop.truth(hour)
    for name in DATASETS:
        assert seen[hour].rows[name] == truth[name]
    assert seen[hour].extra == shop.expected_extra(hour)
    assert seen[hour].refused == shop.quarantined(hour)


@pytest.mark.parametrize("hour", range(HOURS))
def test_refused_rows_stay_below_the_threshold(seen: dict[int | str, Seen], hour: int) -> None:
    for name, refused in seen[hour].refused.items():
        assert refused.total() <= 0.05 * seen[hour].landed[name]


def test_an_hour_written_again_changes_nothing(seen: dict[int | str, Seen], shop: Shop) -> None:
    assert seen["again"].rows == shop.truth(HOURS - 1)


def test_another_shop_of_the_same_seed_knows_the_same(shop: Shop) -> None:
    other = Shop(SEED, SCALE, ANCHOR)
    assert other.truth(HOURS - 1) == shop.truth(HOURS - 1)
    assert other.truth(0) == shop.truth(0)
    assert other.bad_rows(HOURS - 1) == shop.bad_rows(HOURS - 1)
    assert Shop(SEED + 1, SCALE, ANCHOR).truth(0) != shop.truth(0)


def test_truth_has_the_catalogs_datasets_and_columns(shop: Shop) -> None:
    columns = declared()
    assert set(columns) == set(DATASETS)
    for name, rows in shop.truth(0).items():
        assert {frozenset(row) for row in rows.values()} == {frozenset(columns[name])}
        for key, row in rows.items():
            assert row["id"] == key
