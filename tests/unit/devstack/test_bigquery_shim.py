"""Every correction of the emulator: the fault is there without it and gone with it."""

from __future__ import annotations

import contextlib
import io
import os
import re
import signal
import subprocess
import sys
import time
import urllib.request
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import uuid4

import psutil
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from google.api_core import exceptions
from google.api_core.client_options import ClientOptions
from google.auth.credentials import AnonymousCredentials
from google.cloud import bigquery

from devstack.bigquery import server

Field = bigquery.SchemaField


pytestmark = pytest.mark.xdist_group("bigquery_shim")


class Probe:
    """One emulator and a dataset of its own, asked without any retry."""

    def __init__(self, url: str) -> None:
        self.client = bigquery.Client(
            project="local",
            credentials=AnonymousCredentials(),
            client_options=ClientOptions(api_endpoint=url),
        )
        self.dataset = f"d{uuid4().hex[:8]}"
        self.client.create_dataset(self.dataset, retry=None)

    def query(self, sql: str, **options: Any) -> list[tuple[Any, ...]]:
        job = self.client.query(sql.replace("@d", self.dataset), job_retry=None, retry=None, **options)
        return [tuple(row.values()) for row in job.result(retry=None, timeout=30)]

    def create(self, name: str, *fields: Field) -> str:
        table = f"local.{self.dataset}.{name}"
        self.client.create_table(bigquery.Table(table, schema=fields), retry=None)
        return table

    def load(self, name: str, data: pa.Table, *fields: Field, folder: str | None = None) -> bigquery.LoadJob:
        body = io.BytesIO()
        pq.write_table(data, body)
        config = bigquery.LoadJobConfig(source_format="PARQUET", schema=fields)
        table = f"local.{self.dataset}.{name}"
        if folder is None:
            body.seek(0)
            # a size makes it one multipart request with a media type that every version accepts
            job = self.client.load_table_from_file(body, table, job_config=config, num_retries=0)
        else:
            path = Path(folder) / "part.parquet"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(body.getvalue())
            job = self.client.load_table_from_uri(f"file://{path}", table, job_config=config, retry=None)
        job.result(retry=None, timeout=30)
        return job

    def refuses(self, call: Any) -> bool:
        try:
            call()
        except exceptions.GoogleAPICallError:
            return True
        return False


def parquet_by_name(probe: Probe, folder: Path) -> bool:
    data = pa.table({"second": ["2"], "first": ["1"]})
    fields = [Field("first", "STRING"), Field("second", "STRING")]
    probe.load("flat", data, *fields, folder=str(folder / "flat"))
    in_order = probe.query("select first, second from @d.flat") == [("1", "2")]
    partitioned = str(folder / "dt=2026-01-01" / "hour=00")
    return in_order and not probe.refuses(lambda: probe.load("deep", data, *fields, folder=partitioned))


def upload_media_types(probe: Probe, folder: Path) -> bool:
    def load() -> None:
        probe.client.load_table_from_file(
            io.BytesIO(b'{"a": 1}\n'),
            f"local.{probe.dataset}.t",
            size=9,
            num_retries=0,
            job_config=bigquery.LoadJobConfig(
                source_format="NEWLINE_DELIMITED_JSON", schema=[Field("a", "INT64")]
            ),
        ).result(retry=None)

    return not probe.refuses(load)


def ctas_parentheses(probe: Probe, folder: Path) -> bool:
    sql = "create or replace table @d.t (id string, n numeric) as (select 'a' as id, numeric '1.5' as n)"
    return not probe.refuses(lambda: probe.query(sql))


def decimal_width(probe: Probe, folder: Path) -> bool:
    sql = "select cast('1.23456789' as numeric), cast('1.0123456789' as bignumeric)"
    return probe.query(sql) == [(Decimal("1.23456789"), Decimal("1.0123456789"))]


def cast_digits(probe, folder):
    (row,) = probe.query("select cast('1.25' as numeric), 'cast(x as numeric(12, 2))'")
    wrong = (
        "cast('1.25' as numeric(12, 2))",
        "safe_cast(1 as string(3))",
        "1 + cast('1' as bignumeric(9, 1))",
    )
    for sql in wrong:
        try:
            probe.query(f"select {sql}")
        except exceptions.BadRequest:
            continue
        return False
    return row[0] == Decimal("1.25")


def array_agg_distinct(probe: Probe, folder: Path) -> bool:
    sql = "select array_agg(distinct x ignore nulls) from unnest([1, null, 1]) as x"
    return not probe.refuses(lambda: probe.query(sql)) and probe.query(sql) == [([1],)]


def offsets_in_nested_arrays(probe: Probe, folder: Path) -> bool:
    sql = """select array(
      select as struct array(select as struct i as n from unnest(o.a) as i with offset as n order by n desc) as a
      from unnest(t.a) as o with offset as m order by m desc
    ) as a from (select [struct([1, 2] as a), struct([3] as a)] as a) as t"""
    if probe.refuses(lambda: probe.query(sql)):
        return False
    return probe.query(sql) == [([{"a": [{"n": 3}]}, {"a": [{"n": 2}, {"n": 1}]}],)]


def starred_records(probe: Probe, folder: Path) -> bool:
    probe.create("t", Field("id", "INT64"), Field("r", "RECORD", fields=[Field("a", "STRING")]))
    probe.query("insert into @d.t (id, r) values (1, struct('x' as a))")
    sql = "with s as (select * from @d.t) select r.a, upper(r.a) from s"
    return not probe.refuses(lambda: probe.query(sql)) and probe.query(sql) == [("x", "X")]


def names_in_lower_case(probe: Probe, folder: Path) -> bool:
    probe.create("t", Field("Id", "INT64"))
    probe.query("insert into @d.t (Id) values (1)")
    sql = "select to_json_string(struct(Id as Key)) as Text, countif(Id = 1) as N from @d.t group by 1"
    (row,) = probe.client.query(sql.replace("@d", probe.dataset), job_retry=None, retry=None).result(
        retry=None
    )
    return dict(row.items()) == {"Text": '{"Key":1}', "N": 1}


def missing_dataset(probe: Probe, folder: Path) -> bool:
    table = bigquery.Table("local.nowhere.t", schema=[Field("a", "INT64")])
    try:
        probe.client.create_table(table, retry=None)
    except exceptions.NotFound:
        return True
    except exceptions.GoogleAPICallError:
        return False
    return False


def schema_digits(probe: Probe, folder: Path) -> bool:
    nested = Field("r", "RECORD", fields=[Field("n", "NUMERIC", precision=7, scale=1)])
    table = probe.create("t", Field("n", "NUMERIC", precision=12, scale=2), nested)
    amount, record = probe.client.get_table(table, retry=None).schema
    return (amount.precision, amount.scale, record.fields[0].precision) == (12, 2, 7)


def bignumeric_tables(probe: Probe, folder: Path) -> bool:
    fields = [
        Field("a", "BIGNUMERIC"),
        Field("b", "BIGNUMERIC", precision=38, scale=18),
        Field("r", "RECORD", "REPEATED", fields=[Field("n", "BIGNUMERIC")]),
    ]
    if probe.refuses(lambda: probe.create("t", *fields)):
        return False
    value = Decimal("1234567890123456789.0123456789012345678")
    wide = pa.decimal256(76, 38)
    data = pa.table(
        {
            "a": pa.array([value], wide),
            "b": pa.array([Decimal("0.000000000000000001")], pa.decimal128(38, 18)),
            "r": pa.array([[{"n": value}]], pa.list_(pa.struct([("n", wide)]))),
        }
    )
    probe.load("t", data, *fields, folder=str(folder / "wide"))
    too_long = pa.table({"a": pa.array([Decimal("1e-30")], wide)})
    rounds = not probe.refuses(lambda: probe.load("t", too_long, *fields, folder=str(folder / "long")))
    rows = probe.query("select a, b, r[offset(0)].n from @d.t")
    return not rounds and rows == [(value, Decimal("0.000000000000000001"), value)]


def schema_changes(probe: Probe, folder: Path) -> bool:
    table = probe.client.get_table(
        probe.create("t", Field("a", "INT64"), Field("r", "RECORD", fields=[Field("x", "INT64")]))
    )
    probe.query("insert into @d.t (a, r) values (1, struct(1))")
    table.schema = [
        Field("a", "NUMERIC"),
        Field("r", "RECORD", fields=[Field("x", "INT64"), Field("y", "STRING")]),
        Field("added", "STRING", "REPEATED"),
    ]
    probe.client.update_table(table, ["schema"], retry=None)
    sql = "insert into @d.t (a, r, added) values (2.5, struct(2, 'y'), ['z'])"
    if probe.refuses(lambda: probe.query(sql)):
        return False
    rows = probe.query("select a, r.y, array_length(added) from @d.t order by a")
    table.schema = table.schema[:1]
    return rows == [(1, None, None), (Decimal("2.5"), "y", 1)] and probe.refuses(
        lambda: probe.client.update_table(table, ["schema"], retry=None)
    )


def job_ids(probe: Probe, folder: Path) -> bool:
    probe.query("select 1", job_id=f"{probe.dataset}_query")
    again = probe.refuses(lambda: probe.query("select 2", job_id=f"{probe.dataset}_query"))
    body, size = b'{"a": 1}\n', 9
    config = bigquery.LoadJobConfig(source_format="NEWLINE_DELIMITED_JSON", schema=[Field("a", "INT64")])
    ids = []
    for _ in range(2):
        try:
            job = probe.client.load_table_from_file(
                io.BytesIO(body), f"local.{probe.dataset}.t", size=size, num_retries=0,
                job_id=f"{probe.dataset}_load", job_config=config,
            )  # fmt: skip
        except exceptions.GoogleAPICallError as error:
            ids.append(str(error.code))
        else:
            ids.append(job.job_id)
    return again and ids == [f"{probe.dataset}_load", "409"]


def job_configuration(probe: Probe, folder: Path) -> bool:
    config = bigquery.QueryJobConfig(labels={"app": "tideline"}, maximum_bytes_billed=7 << 20)
    job_id = f"{probe.dataset}_labels"
    probe.query("select 1", job_config=config, job_id=job_id)
    job = probe.client.get_job(job_id, retry=None)
    return (job.labels, job.maximum_bytes_billed) == ({"app": "tideline"}, 7 << 20)


def copy_jobs(probe: Probe, folder: Path) -> bool:
    old = probe.create("old", Field("a", "INT64"), Field("b", "INT64"))
    new = probe.create("new", Field("b", "INT64"), Field("c", "STRING"), Field("a", "NUMERIC"))
    probe.query("insert into @d.old (a, b) values (1, 2), (3, 4)")
    probe.query("insert into @d.new (a, b, c) values (1.5, 2, 'x')")
    config = bigquery.CopyJobConfig(write_disposition="WRITE_TRUNCATE")

    def copy() -> None:
        job_id = f"{probe.dataset}_copy"
        probe.client.copy_table(new, old, job_id=job_id, job_config=config, retry=None).result(retry=None)

    if probe.refuses(copy) or not probe.refuses(copy):
        return False
    names = [field.name for field in probe.client.get_table(old, retry=None).schema]
    rows = probe.query("select a, b, c from @d.old")
    return (names, rows) == (["b", "c", "a"], [(Decimal("1.5"), 2, "x")])


def snapshot_copies(probe: Probe, folder: Path) -> bool:
    count = "select count(*) from duckdb_tables() where schema_name = '_bqemulator_snapshots'"
    probe.create("t", Field("a", "INT64"))
    before = probe.query(count)
    probe.query("insert into @d.t (a) values (1)")
    return probe.query(count) == before


def update_conditions(probe: Probe, folder: Path) -> bool:
    name = probe.create("t", Field("a", "INT64"))
    first, second = (probe.client.get_table(name, retry=None) for _ in range(2))
    first.description, second.description = "first", "second"
    first = probe.client.update_table(first, ["description"], retry=None)
    try:
        probe.client.update_table(second, ["description"], retry=None)
    except exceptions.PreconditionFailed:
        first.description = "again"
        return probe.client.update_table(first, ["description"], retry=None).description == "again"
    return False


def record_names(probe: Probe, folder: Path) -> bool:
    inside = [Field("at", "INT64"), Field("end", "RECORD", fields=[Field("order", "STRING", "REPEATED")])]
    try:
        probe.create("t", Field("r", "RECORD", "REPEATED", fields=inside))
    except (exceptions.GoogleAPICallError, OSError):
        return False
    probe.query("insert into @d.t (r) values ([struct(1 as `at`, struct(['x'] as `order`) as `end`)])")
    rows = probe.query("select r[offset(0)].`at`, r[offset(0)].`end`.`order` from @d.t")
    names = [
        field.name
        for field in probe.client.get_table(f"local.{probe.dataset}.t", retry=None).schema[0].fields
    ]
    return (rows, names) == ([(1, ["x"])], ["at", "end"])


def requests_unwatched(probe, folder):
    with urllib.request.urlopen(f"{probe.client._connection.API_BASE_URL}/readyz", timeout=30) as answer:
        return "x-correlation-id" not in answer.headers


CHECKS = [
    parquet_by_name,
    upload_media_types,
    ctas_parentheses,
    decimal_width,
    cast_digits,
    array_agg_distinct,
    offsets_in_nested_arrays,
    starred_records,
    names_in_lower_case,
    missing_dataset,
    schema_digits,
    bignumeric_tables,
    schema_changes,
    job_ids,
    job_configuration,
    copy_jobs,
    snapshot_copies,
    update_conditions,
    record_names,
    requests_unwatched,
]


@pytest.fixture(scope="module")
def uncorrected(tmp_path_factory):
    """The emulator without any correction but the one without which it does not start."""
    names = [check.__name__ for check in CHECKS]
    with server.start(tmp_path_factory.mktemp("uncorrected"), without=names, tied=True) as emulator:
        yield emulator


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_correction_removes_its_fault(check, bigquery_emulator, tmp_path):
    assert check(Probe(bigquery_emulator.url), tmp_path)


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_fault_is_there_without_the_correction(check, uncorrected, tmp_path):
    assert not check(Probe(uncorrected.url), tmp_path)


def test_every_correction_has_a_check():
    code = "from devstack.bigquery import shim; print(*shim.CORRECTIONS)"
    environment = {**os.environ, "PYTHONPATH": str(server.INCLUDE)}
    names = subprocess.check_output([server.default_python(), "-c", code], env=environment, text=True).split()
    assert sorted(names) == sorted(
        [check.__name__ for check in CHECKS]
        + [
            "spatial_from_package",
            "merges_in_order",
            "merges_on_false",
            "parsed_once",
            "translated_once",
            "jobs_in_memory",
            "one_thread",
        ]
    )


@pytest.mark.parametrize(("without", "kept"), [((), 0), (("jobs_in_memory",), 1)])
def test_jobs_are_not_written_to_disk(tmp_path, without, kept):
    with server.start(tmp_path, without=without) as emulator:
        Probe(emulator.url).query("select 1")
    (file,) = (tmp_path / "data").glob("*.duckdb")
    code = f"import duckdb; print(len(duckdb.connect({str(file)!r}).sql('from _bqemulator_catalog.jobs')))"
    said = subprocess.check_output([server.default_python(), "-c", code], text=True)
    assert int(said) == kept


def test_statements_are_parsed_once_for_each_dialect_they_pass_through():
    code = (
        "import sqlglot; from devstack.bigquery import shim; from bqemulator.sql.translator import SQLTranslator\n"
        "def parses(correction):\n"
        "    seen, parse = [], sqlglot.Dialect.parse\n"
        "    sqlglot.Dialect.parse = lambda self, sql, **options: seen.append(sql) or parse(self, sql, **options)\n"
        "    correction()\n"
        "    SQLTranslator().translate('select upper(struct(a / 2 as a).a) from x.t')\n"
        "    sqlglot.Dialect.parse = parse\n"
        "    return len(seen)\n"
        "print(parses(lambda: None) > parses(shim.CORRECTIONS['parsed_once']))"
    )
    environment = {**os.environ, "PYTHONPATH": str(server.INCLUDE)}
    said = subprocess.check_output([server.default_python(), "-c", code], env=environment, text=True)
    assert said.split()[-1] == "True"


LENT = """
import sqlglot
from devstack.bigquery import shim
from bqemulator.sql.translator import SQLTranslator

SQL = "select upper(struct(a / 2 as a).a) as b from x.t"
parse, own = sqlglot.parse_one, SQLTranslator().translate(SQL)
shim.CORRECTIONS["parsed_once"]()
lent = sqlglot.parse_one(SQL, read="bigquery")
assert lent is sqlglot.parse_one(SQL, read="bigquery") and lent == parse(SQL, read="bigquery")
for _ in range(3):
    changed = sqlglot.parse_one(SQL, read="bigquery")
    changed.find(sqlglot.exp.Upper).replace(sqlglot.exp.column("d"))
    assert changed.sql("bigquery").startswith("SELECT d AS b")
    assert sqlglot.parse_one(SQL, read="bigquery") == parse(SQL, read="bigquery")
assert SQLTranslator().translate(SQL) == SQLTranslator().translate(SQL) == own
"""


def test_a_tree_that_was_changed_is_lent_to_nobody_else():
    environment = {**os.environ, "PYTHONPATH": str(server.INCLUDE)}
    subprocess.run([server.default_python(), "-c", LENT], env=environment, check=True)


TRANSLATED = """
from devstack.bigquery import shim
from bqemulator.sql.translator import SQLTranslator

SQL, exact, whole = "select avg(a) from x.t", {"t": {"a": "DECIMAL(38, 9)"}}, {"t": {"a": "BIGINT"}}
own, seen, rules = SQLTranslator(), [], SQLTranslator._apply_rules
expected = [own.translate(SQL, schema=schema) for schema in (exact, whole)]
SQLTranslator._apply_rules = lambda *given, **options: seen.append(given) or rules(*given, **options)
shim.CORRECTIONS["translated_once"]()
assert [own.translate(SQL, schema=schema) for schema in (exact, whole)] == expected
assert [own.translate(SQL, schema=schema) for schema in (exact, whole)] == expected
assert expected[0] != expected[1] and len(seen) == 2, seen
refused = [own.translate("select * from ML.PREDICT(model x.m, table x.t)").error for _ in range(2)]
assert refused[0] is not refused[1]
"""


def test_a_statement_of_the_same_tables_is_translated_once():
    environment = {**os.environ, "PYTHONPATH": str(server.INCLUDE)}
    subprocess.run([server.default_python(), "-c", TRANSLATED], env=environment, check=True)


def test_a_statement_wakes_one_thread(bigquery_emulator):
    assert Probe(bigquery_emulator.url).query("select current_setting('threads')") == [(1,)]


LOADS = """
import tempfile, types
from pathlib import Path
from devstack.bigquery import shim
from devstack.bigquery.corrections import jobs
from bqemulator.jobs import executor
shim.CORRECTIONS["one_thread"]()
executor._LOAD_FORMAT_HANDLERS = {"ANY": lambda path, target, ctx: said.append("load")}
said = []
ctx = types.SimpleNamespace(engine=types.SimpleNamespace(execute=said.append))
job = types.SimpleNamespace(source_format="ANY", target_ref="")
with tempfile.TemporaryDirectory() as folder:
    for size in (jobs.MUCH_BYTES, jobs.MUCH_BYTES + 1):
        Path(folder, "part").write_bytes(bytes(size))
        executor._load_path_into_target(f"{folder}/part", job, ctx)
print(said)
"""


def test_a_large_load_wakes_the_others():
    environment = {**os.environ, "PYTHONPATH": str(server.INCLUDE)}
    said = subprocess.check_output([server.default_python(), "-c", LOADS], env=environment, text=True)
    assert said.splitlines()[-1] == str(["load", f"SET threads = {os.cpu_count()}", "load"])


MERGE = """merge into @d.t as t using (select * from @d.s) as s on t.a = s.a and t.b < 9
when matched then update set b = s.b when not matched then insert (a, b) values (s.a, s.b)"""


def translated(merge: str) -> str:
    """What DuckDB is given for a MERGE, by the corrections of these alone."""
    code = (
        "import sys; from devstack.bigquery import shim; from bqemulator.sql.translator import SQLTranslator\n"
        "for name in ('merges_in_order', 'merges_on_false'): shim.CORRECTIONS[name]()\n"
        "print(SQLTranslator().translate(sys.argv[1]))"
    )
    environment = {**os.environ, "PYTHONPATH": str(server.INCLUDE)}
    command = [server.default_python(), "-c", code, merge.replace("@d", "x")]
    return subprocess.check_output(command, env=environment, text=True)


WRITTEN = pytest.mark.parametrize(
    "columns", ["*", "a, upper(b) as b"], ids=["plain", "rewritten, so written twice"]
)


@WRITTEN
def test_the_rows_of_a_merge_come_in_the_order_of_its_target(columns):
    (using,) = re.findall(r"USING \(SELECT s\.\* FROM .+", translated(MERGE.replace("*", columns)))
    assert using.count("ORDER BY (SELECT MIN(t.rowid) FROM") == 1


def test_a_merge_does_the_same_in_that_order(bigquery_emulator):
    probe = Probe(bigquery_emulator.url)
    for name in ("t", "s"):
        probe.create(name, Field("a", "INT64"), Field("b", "INT64"))
    probe.query("insert into @d.t (a, b) values (2, 1), (1, 1), (1, 2), (4, 9), (5, 5)")
    probe.query("insert into @d.s (a, b) values (1, 7), (2, 8), (3, 6), (4, 4)")
    probe.query(MERGE)
    rows = probe.query("select a, b from @d.t order by a, b")
    assert rows == [(1, 7), (1, 7), (2, 8), (3, 6), (4, 4), (4, 9), (5, 5)]


REPLACE = """merge into @d.t as t using (select * from @d.s) as s on false
when not matched by source and t.b < 9 then delete when not matched then insert (a, b) values (a, b)"""


@WRITTEN
def test_a_merge_on_false_looks_rows_up(columns):
    said = translated(REPLACE.replace("*", columns))
    assert "ON CAST(t.rowid AS INT128) = -1 - CAST(HASH(s) AS INT128) WHEN" in said
    assert "ORDER BY" not in said


def test_a_merge_on_false_meets_no_row(bigquery_emulator):
    probe = Probe(bigquery_emulator.url)
    for name in ("t", "s"):
        probe.create(name, Field("a", "INT64"), Field("b", "INT64"))
    probe.query("insert into @d.t (a, b) values (0, 1), (1, 1), (2, 9), (3, null), (null, null)")
    probe.query("insert into @d.s (a, b) values (0, 1), (1, 7), (1, 7), (null, null)")
    probe.query(REPLACE)
    rows = probe.query("select a, b from @d.t order by a nulls last, b")
    assert rows == [(0, 1), (1, 7), (1, 7), (2, 9), (3, None), (None, None), (None, None)]


def test_nothing_is_written_under_the_home_folder(bigquery_emulator):
    assert not (bigquery_emulator.log.parent / ".duckdb").exists()


def test_without_its_package_start_up_installs_under_the_home_folder_or_fails(tmp_path):
    with (
        contextlib.suppress(server.EmulatorError),
        server.start(tmp_path, without=["spatial_from_package"], tied=True),
    ):
        pass
    failed = "INSTALL/LOAD spatial failed" in (tmp_path / "emulator.log").read_text()
    assert failed or list(tmp_path.glob(".duckdb/**/*.duckdb_extension"))


def test_unknown_correction_is_refused(tmp_path):
    with pytest.raises(server.EmulatorError, match=r"emulator\.log"):
        server.start(tmp_path, without=["no_such"], tied=True)
    assert "no_such" in (tmp_path / "emulator.log").read_text()


def test_missing_interpreter_says_what_to_do(tmp_path):
    with pytest.raises(server.EmulatorError, match="make setup"):
        server.start(tmp_path, python=tmp_path / "python")
    with pytest.raises(server.EmulatorError, match="make setup"):
        server.prepare(tmp_path / "python")


def test_environment_is_checked():
    server.prepare(server.default_python())
    with pytest.raises(server.EmulatorError, match="bqemulator"):
        server.prepare(Path(sys.executable))


def test_emulator_that_does_not_answer_in_time_is_stopped(tmp_path):
    with pytest.raises(server.EmulatorError, match="did not answer"):
        server.start(tmp_path, timeout_seconds=0, tied=True)
    assert not [
        p for p in psutil.process_iter(["cmdline"]) if str(tmp_path) in " ".join(p.info["cmdline"] or [])
    ]


def test_busy_port_is_refused_before_anything_starts(tmp_path, bigquery_emulator):
    port = int(bigquery_emulator.url.rpartition(":")[2])
    with pytest.raises(server.EmulatorError, match=f"port {port}"):
        server.start(tmp_path, port, tied=True)
    assert not (tmp_path / "emulator.log").exists()


def test_port_lost_to_another_process_is_replaced(tmp_path, bigquery_emulator, monkeypatch):
    taken = int(bigquery_emulator.url.rpartition(":")[2])
    free = server._free_port(0)
    offers = iter([taken, free])
    monkeypatch.setattr(server, "_free_port", lambda wanted: next(offers))
    monkeypatch.setattr(server, "_is_ready", slow_answer(server._is_ready, taken))
    with server.start(tmp_path, tied=True) as emulator:
        assert emulator.url == f"http://127.0.0.1:{free}"


def slow_answer(is_ready, port):
    """On that port somebody else answers; do not take the answer for the emulator's."""
    return lambda url: not url.endswith(f":{port}") and is_ready(url)


def test_data_survive_a_restart(tmp_path):
    with server.start(tmp_path) as emulator:
        probe = Probe(emulator.url)
        probe.create("t", Field("n", "NUMERIC", precision=12, scale=2))
        probe.query("insert into @d.t (n) values (1.25)")
    with server.start(tmp_path, tied=True) as emulator:
        again = Probe(emulator.url)
        assert again.query(f"select n from {probe.dataset}.t") == [(Decimal("1.25"),)]


def test_tied_emulator_ends_with_a_killed_parent(tmp_path):
    code = (
        "import pathlib, sys; from devstack.bigquery import server;"
        "print(server.start(pathlib.Path(sys.argv[1]), tied=True).process.pid, flush=True); sys.stdin.read()"
    )
    environment = {**os.environ, "PYTHONPATH": str(server.INCLUDE)}
    with subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path)], env=environment,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    ) as parent:  # fmt: skip
        child = psutil.Process(int(parent.stdout.readline()))
        parent.send_signal(signal.SIGKILL)
    _, alive = psutil.wait_procs([child], timeout=20)
    assert not alive


def test_emulator_that_ignores_the_first_signal_is_killed(tmp_path):
    code = (
        "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN);"
        "print(1, flush=True); time.sleep(60)"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stdin=subprocess.PIPE, start_new_session=True
    )
    process.stdout.readline()
    started = time.monotonic()
    server.Emulator("http://127.0.0.1:1", process, tmp_path / "log").stop(timeout_seconds=0.2)
    assert process.returncode == -signal.SIGKILL
    assert time.monotonic() - started < 50
    process.stdout.close()
