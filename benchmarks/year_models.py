"""`make bench-year-models`: a year of hourly `dbt build`s by BigQuery's billing rules, model by model.

The statements are those of a real build: three hours of a small shop go through the pipeline on the emulator,
and what dbt asks in the last is kept. What each reads is taken from its text (`scans`); how many rows its
tables have in each hour of the year comes from `year.Shop`. Nothing of the year itself is executed.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter, defaultdict, deque
from dataclasses import dataclass, replace
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks import year, year_rules
from benchmarks.harness import perform
from benchmarks.paths import CACHE, ROOT
from benchmarks.scans import Reader, views
from tideline.catalog.loader import load_catalog
from tideline.warehouse import builds
from tideline.warehouse.ledger_table import LAYOUT
from tideline.warehouse.schema import Field, raw_layout

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from typing import TypeAlias

    from benchmarks.scans import Scan
    from benchmarks.year import Days

    Rows: TypeAlias = Callable[..., float]
    """Of a table: whether only touched partitions, and of how many days → rows."""

CAPTURED = CACHE / "year-models-statements.json"
RESULT = CACHE / "year-models.json"
SCALE = 0.05
TESTS, DAILY_TESTS = "data tests", "data tests, once a day"
CALM = "4,000 orders an hour, old ones are never corrected"
LOOKBACK_HOURS = 6
"""`merge_lookback_hours` of the dbt project: what was merged so long before the last build, which was an hour
ago, is built again."""
LEDGER, BUILDS = "tideline_ops.load_ledger", "tideline_ops.build_ledger"
PLACES, PLACES_AT_MOST = "tideline_ops.build_places", 5_000
"""Rows in the end: some months for each day, for two facts."""
BUILDS_AN_HOUR = 100
"""Rows of the build ledger: some months and one end for each of sixteen models."""
ORDERS = "raw_shop_mongodb.orders"
PER_ORDER = ("raw_shop_mongodb.charges", "raw_shop_s3.order_items", "raw_shop_mongodb.customers")
PER_ORDER_MARTS = ("fct_", "dim_customers", "dim_customer_versions")
DAILY = ("rpt_daily_", "rpt_weekly_", "rpt_order_status_mix", "rpt_customer_cohorts", "dim_dates")
SUMS = {
    "int_order_status_days": "2 * count(distinct status_code)",
    "int_charge_days": "2 * count(distinct concat(charge_kind, '|', charge_method, '|', currency_code))",
    "int_product_weeks": "count(distinct product_id) * 1.2 / 7",
    "int_customer_days": "count(distinct concat(country_code, coalesce(cast(cohort_month as string), '')))",
}
"""How many rows a day has: some stand in two months; for cohorts as many as there can be."""
STANDARD = {"INTEGER": "INT64", "FLOAT": "FLOAT64", "BOOLEAN": "BOOL"}
"""Types as the API calls them."""
WEEK = 7 * 24
FLAT = 1.05
"""How much more an hour of the last week may read than one of the first."""


@dataclass(frozen=True)
class Table:
    """How a table grows."""

    kind: str
    """`order`: rows for each order. `day`: rows for each day. `load`: rows for each hour. `fixed`."""
    rows: float
    columns: Mapping[str, int]
    partition: str | None = None
    """`day` or `month`."""


@dataclass(frozen=True)
class Read:
    """What one statement reads of one table: bytes of a row."""

    table: str
    row_bytes: int
    pruned: bool
    recent_days: int | None = None


@dataclass(frozen=True)
class Statement:
    """One statement of the hour."""

    node: str
    reads: tuple[Read, ...]
    every_hours: int = 1


def statements(captured: Mapping[str, Any]) -> tuple[list[Statement], dict[str, Table]]:
    """What each statement of the captured hour reads, and the tables."""
    schema = {name: table["types"] for name, table in captured["tables"].items()}
    partitions = {n: t["partition"] for n, t in captured["tables"].items() if t["partition"]}
    tables = {name: _table(name, given, captured) for name, given in captured["tables"].items()}
    every = [(node, sql, 1) for node, sql in captured["statements"]]
    every += [(node, sql, 24) for node, sql in captured.get("daily", ())]
    said = [one for one in every if one[0].startswith(("model.", "test.", "seed."))]
    reader = Reader(schema, partitions, views([sql for _, sql, _ in said]))
    found = []
    for node, sql, hours in said:
        if "where false and current_timestamp() = current_timestamp()" in sql:
            continue  # asks for the columns only, and reads nothing
        if reads := _reads(reader.scans(sql), tables):
            found.append(Statement(_label(node, hours), reads, hours))
    return found, tables


def _label(node: str, every_hours: int) -> str:
    kind, _, name = node.split(".", 2)
    if kind != "test":
        return name
    return TESTS if every_hours == 1 else DAILY_TESTS


def _reads(scans: Sequence[Scan], tables: Mapping[str, Table]) -> tuple[Read, ...]:
    """Each column of a table once: BigQuery bills it once a statement, however often it is named."""
    columns: dict[tuple[str, bool, int | None], set[str]] = defaultdict(set)
    written = defaultdict(int)
    for scan in scans:
        how = (scan.table, scan.pruned, scan.recent_days)
        columns[how] |= scan.columns
        if scan.writes:
            written[how] = sum(tables[scan.table].columns.values())
    reads = []
    for how, named in columns.items():
        name, *_ = whole = how[0], False, None
        table = tables.get(name) or Table("fixed", 0, {})  # a temporary one: what changed
        once = named - columns[whole] if how != whole and whole in columns else named
        size = sum(table.columns.get(column, 0) for column in once) + written[how]
        reads.append(Read(name, size, *how[1:]))
    return tuple(reads)


def _table(name: str, given: Mapping[str, Any], captured: Mapping[str, Any]) -> Table:
    orders = captured["tables"][ORDERS]["rows"]
    short = name.partition(".")[2]
    partition = given["granularity"]
    if name == ORDERS or name in PER_ORDER or short.startswith(PER_ORDER_MARTS):
        return Table("order", given["rows"] / orders, given["bytes"], partition)
    if short in SUMS or short.startswith(DAILY):
        return Table("day", given["groups"], given["bytes"], partition)
    if name in (LEDGER, BUILDS):
        return Table("load", given["groups"], given["bytes"], partition)
    return Table("fixed", given["rows"], given["bytes"], partition)


class Shop:
    """A shop's year: how many rows each table has in an hour, all of them and those of touched partitions."""

    def __init__(self, shop: year.Shop, hours: int) -> None:
        dataset = load_catalog(ROOT / "include" / "catalog").dataset(year.DATASET)
        self._simulation = year.Simulation(shop, dataset, hours)
        self._shop, self._hours = shop, hours
        first = year.BEGIN.date() - timedelta(days=shop.history_days)
        days = [first + timedelta(days=n) for n in range(shop.history_days + hours // 24 + 2)]
        self._month = np.array([12 * day.year + day.month for day in days])
        self._month -= self._month[0]

    def hours(self, tables: Mapping[str, Table]) -> Iterator[Rows]:
        """For each hour a function: rows of a table, of all, of touched or of the newest partitions."""
        orders = np.zeros(len(self._month), np.int64)
        orders[: self._shop.history_days] = int(self._shop.orders_per_hour * 24)
        recent: deque[Days] = deque(maxlen=LOOKBACK_HOURS + 1)
        for hour in range(self._hours):
            changed, born = self._simulation._changes(hour)
            np.add.at(orders, born, 1)
            recent.append(np.unique(changed))
            days = np.unique(np.concatenate(list(recent)))
            months = np.isin(self._month, np.unique(self._month[days]))
            yield self._counter(tables, orders, days, months, hour)

    def _counter(
        self, tables: Mapping[str, Table], orders: Days, days: Days, months: year_rules.Mask, hour: int
    ) -> Rows:
        today = self._shop.history_days + hour // 24
        total = {"all": int(orders.sum()), "day": int(orders[days].sum()), "month": int(orders[months].sum())}
        lived = {
            "all": self._shop.history_days + hour / 24,
            "day": float(len(days)),
            "month": float(months.sum()),
        }
        daily = self._shop.orders_per_hour * 24

        def rows(name: str, pruned: bool, recent_days: int | None = None) -> float:
            table = tables.get(name)
            if table is None:
                return 0.0
            which = (table.partition or "month") if pruned else "all"
            placed, passed = total[which], lived[which]
            if recent_days is not None:
                placed, passed = int(orders[max(0, today - recent_days) :].sum()), min(passed, recent_days)
            if table.kind == "order":
                return table.rows * placed
            if table.kind == "day":
                return min(table.rows, 3 * daily) * passed
            if table.kind == "load":
                return table.rows * 24 * passed
            return table.rows

        return rows


def simulate(
    shop: year.Shop, hours: int, asked: Sequence[Statement], tables: Mapping[str, Table]
) -> dict[str, Any]:
    """Bytes billed by node: in the year, in each week's mean hour, and if only touched months were read."""
    weeks: list[Counter[str]] = []
    whole: Counter[str] = Counter()
    least: Counter[str] = Counter()
    for hour, rows in enumerate(Shop(shop, hours).hours(tables)):
        if hour % WEEK == 0:
            weeks.append(Counter())
        for statement in asked:
            if hour % statement.every_hours:
                continue
            size = _billed(statement, rows)
            whole[statement.node] += size
            weeks[-1][statement.node] += size
            least[statement.node] += _billed(statement, rows, pruned=True)
    full = [week for number, week in enumerate(weeks) if (number + 1) * WEEK <= hours] or weeks
    means = [_means(week, min(hours, WEEK)) for week in full]
    return {"shop": shop.label, "hours": hours, "year": whole, "least": least, "weeks": means}


def _means(week: Counter[str], hours: int) -> dict[str, float]:
    return {node: size / hours for node, size in week.items()}


def _billed(statement: Statement, rows: Rows, *, pruned: bool = False) -> int:
    sizes: Counter[str] = Counter()
    for read in statement.reads:
        found = rows(read.table, pruned or read.pruned, None if pruned else read.recent_days)
        sizes[read.table] += int(found * read.row_bytes)
    billed = sum(max(year_rules.LEAST_BYTES, size) for size in sizes.values())
    return -(-billed // year_rules.MEGABYTE) * year_rules.MEGABYTE


def capture() -> dict[str, Any]:
    """Three hours of a small shop on the emulator: the last build's statements, and the tables after it."""
    from benchmarks.living import living

    with living("year-models", scale=SCALE, hours=3) as world:
        state = world.state
        for hour in range(3):
            # all rows of the first are as new as its newest, and looked at again by the second
            world.fill(hour)
            perform(world.build(statements=str(state / "statements.json"), lookback_hours=0))
        perform(world.build(statements=str(state / "daily.json"), lookback_hours=0, daily=True))
        found = _tables(world.warehouse, json.loads((state / "target" / "manifest.json").read_text()))
    found["statements"] = json.loads((state / "statements.json").read_text())
    found["daily"] = json.loads((state / "daily.json").read_text())
    return found


def _tables(url: str, manifest: Mapping[str, Any]) -> dict[str, Any]:
    from google.auth.credentials import AnonymousCredentials
    from google.cloud import bigquery

    client = bigquery.Client("tideline", AnonymousCredentials(), client_options={"api_endpoint": url})

    def ask(sql: str) -> int:
        (row,) = client.query(sql, job_retry=None).result()
        return int(row[0])

    def types(name: str) -> dict[str, str]:
        return {
            field.name: STANDARD.get(field.field_type, field.field_type)
            for field in client.get_table(name).schema
        }

    catalog = load_catalog(ROOT / "include" / "catalog")
    tables: dict[str, Any] = {
        LEDGER: _raw(LAYOUT.fields, ("committed_at", "day"), 0) | {"groups": len(catalog.datasets)},
        BUILDS: _raw(builds.LAYOUT.fields, ("logged_at", "day"), 0) | {"groups": BUILDS_AN_HOUR},
        PLACES: _raw(builds.PLACES.fields, None, PLACES_AT_MOST),
    }
    for dataset in catalog.datasets:
        name = f"raw_{dataset.source}.{dataset.name}"
        partition = (dataset.partition.column, dataset.partition.granularity) if dataset.partition else None
        tables[name] = _raw(raw_layout(dataset).fields, partition, ask(f"select count(*) from {name}"))
    for node in manifest["nodes"].values():
        if node["resource_type"] in ("model", "seed") and node["config"]["materialized"] != "view":
            tables[f"{node['schema']}.{node['alias']}"] = _mart(node, ask, types)
    return {"tables": tables, "datasets": len(catalog.datasets), "date": date.today().isoformat()}  # noqa: DTZ011


def _raw(fields: Sequence[Field], partition: tuple[str, str] | None, rows: int) -> dict[str, Any]:
    return {
        "types": {field.name: _type(field) for field in fields},
        "bytes": {field.name: year_rules.column_bytes(field) for field in fields},
        "partition": partition[0] if partition else None,
        "granularity": partition[1] if partition else None,
        "rows": rows,
    }


def _type(field: Field) -> str:
    inner = ", ".join(f"{part.name} {_type(part)}" for part in field.fields)
    kind = f"struct<{inner}>" if field.fields else field.type
    return f"array<{kind}>" if field.mode == "REPEATED" else kind


def _mart(
    node: Mapping[str, Any], ask: Callable[[str], int], types_of: Callable[[str], Any]
) -> dict[str, Any]:
    name = f"{node['schema']}.{node['alias']}"
    types = types_of(name)
    fields = [Field(column, _plain(kind)) for column, kind in types.items()]
    partition = node["config"].get("partition_by")
    where = f"where {partition['field']} >= '1900-01-01'" if partition else ""
    found = _raw(fields, (partition["field"], partition["granularity"]) if partition else None, 0)
    found["rows"] = ask(f"select count(*) from {name} {where}")
    texts = [column for column, kind in types.items() if kind == "STRING" and not column.endswith("_id")]
    groups = f"select distinct {', '.join(texts)} from {name} {where}" if texts else "select 1 as one"
    found["groups"] = ask(f"select count(*) from ({groups})") if name.startswith("marts.rpt_") else 1
    if node["alias"] in SUMS:
        found["groups"] = ask(f"select cast(ceil({SUMS[node['alias']]}) as int64) from {name}")
    return found | {"types": types}


def _plain(kind: str) -> str:
    return kind.partition("(")[0].strip()


def measure(hours: int, captured: Mapping[str, Any], say: Callable[[str], None]) -> dict[str, Any]:
    """The shops through the year."""
    asked, tables = statements(captured)
    shops = []
    calm = replace(year.SHOPS[1], label=CALM, corrections_per_day=0)
    for shop in (*year.SHOPS[:2], calm):
        say(f"{shop.label}: {hours} hours, {len(asked)} statements each")
        shops.append(simulate(shop, hours, asked, tables))
    hourly = sum(statement.every_hours == 1 for statement in asked)
    return {"date": captured["date"], "statements": hourly, "shops": shops}


def main() -> int:
    """Write `.tideline/bench/year-models.json`, and with --page the tables and the plot in docs/."""
    parser = argparse.ArgumentParser(prog="benchmarks.year_models", description=__doc__)
    parser.add_argument("--hours", type=int, default=year.HOURS, help="hours of each shop (default a year)")
    parser.add_argument("--again", action="store_true", help="take the statements that were captured last")
    parser.add_argument("--page", action="store_true", help="write docs/bench-year-models.md and its plot")
    options = parser.parse_args()

    from benchmarks import year_models_page

    def say(text: str) -> None:
        print(text, file=sys.stderr)

    if not (options.again and CAPTURED.is_file()):
        say("three hours of a small shop")
        CACHE.mkdir(parents=True, exist_ok=True)
        CAPTURED.write_text(json.dumps(capture()))
    found = measure(options.hours, json.loads(CAPTURED.read_text()), say)
    RESULT.write_text(json.dumps(found, indent=1) + "\n")
    print(year_models_page.table(found))
    if options.page:
        year_models_page.write(found)
    return 0


if __name__ == "__main__":
    sys.exit(main())
