"""Refine as a whole: manifests, order of commits, threshold, damage, and what a retry finds."""

from __future__ import annotations

import gzip
import io
import subprocess
import sys
import threading
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import TYPE_CHECKING, Any

import pyarrow.parquet as pq
import pytest

from tideline import __version__
from tideline.catalog.loader import fingerprint
from tideline.catalog.model import Partition
from tideline.errors import ContractError, IntegrityError, StoreUnavailableError
from tideline.lake import manifest as manifests
from tideline.refine import refine as module
from tideline.refine.contract import processed_schema
from tideline.refine.refine import refine

if TYPE_CHECKING:
    from collections.abc import Callable

    from tideline.catalog.model import CsvDataset
    from tideline.lake.manifest import Manifest

    Make = Callable[..., CsvDataset]

COLUMNS = {"id": "int64", "name": "string", "updated_at": "timestamp"}
HEADER = b"id,name,updated_at\n"
ROW = b"1,a,2026-01-31T13:30:00Z\n"


def run(lake: Any, dataset: CsvDataset, uri: str, **options: Any) -> tuple[Manifest, str]:
    ticks = count()
    options.setdefault("now", lambda: datetime(2026, 1, 31, 15, tzinfo=UTC) + timedelta(seconds=next(ticks)))
    stores = {"raw": lake.raw, "processed": lake.processed, "quarantine": lake.quarantine}
    return refine(dataset, uri, **stores, run_id="run-1", **options)


def rows_of(store: Any, manifest: Manifest) -> list[dict[str, Any]]:
    return [
        row
        for part in manifest.parts
        for row in pq.read_table(io.BytesIO(store.read(store.key_of(part.uri)))).to_pylist()
    ]


def test_rows_are_committed_with_their_lineage(lake: Any, csv_dataset: Make) -> None:
    dataset = csv_dataset(COLUMNS, change_column="updated_at", partition=Partition(column="updated_at"))
    body = HEADER + ROW + b"2,,\n"
    uri = lake.land(dataset, body, gzip.compress(body))
    manifest, processed_uri = run(lake, dataset, uri)
    assert manifests.read(lake.processed, processed_uri) == manifest
    landed = manifests.read(lake.raw, uri)
    assert (manifest.stage, manifest.window, manifest.run_id) == ("processed", landed.window, "run-1")
    assert (manifest.extracted_at, manifest.records) == (landed.extracted_at, 4)
    assert (manifest.code_version, manifest.catalog_fingerprint) == (__version__, fingerprint(dataset))
    assert manifest.attempt_id.startswith("20260131T150000")
    details = dict(manifest.details)
    assert details.pop("seconds") >= 0
    assert details == {
        "landed": 4, "refined": 4, "quarantined": 0, "quarantine_uri": None, "raw_manifest": uri,
        "reasons": {},
        "cursor": {"column": "updated_at", "min": "2026-01-31T13:30:00Z", "max": "2026-01-31T13:30:00Z",
                   "null": 2, "future": 0},
        "partitions": ["2026-01-31T00:00:00Z", None], "drift": {}, "empty_columns": [], "engine": "python", "semantics": 1,
        "raw_bytes": landed.bytes, "bytes": manifest.bytes,
    }  # fmt: skip
    found = rows_of(lake.processed, manifest)
    assert [(row["id"], row["_raw_uri"], row["_raw_position"]) for row in found] == [
        (1, landed.parts[0].uri, 1), (2, landed.parts[0].uri, 2),
        (1, landed.parts[1].uri, 1), (2, landed.parts[1].uri, 2),
    ]  # fmt: skip
    assert {row["_extracted_at"] for row in found} == {landed.extracted_at}
    body = lake.processed.read(lake.processed.key_of(manifest.parts[0].uri))
    file = pq.ParquetFile(io.BytesIO(body))
    assert file.schema_arrow.remove_metadata() == processed_schema(dataset)
    assert file.metadata.metadata[b"tideline.raw_manifest"] == uri.encode()
    assert file.metadata.metadata[b"tideline.window_id"] == landed.window.window_id.encode()
    assert lake.quarantine.objects == {}


@pytest.mark.parametrize("unchanged", [True, False])
def test_nothing_landed_is_a_commit_of_nothing(lake: Any, csv_dataset: Make, unchanged: bool) -> None:
    dataset = csv_dataset(COLUMNS)
    manifest, _ = run(lake, dataset, lake.land(dataset, unchanged=unchanged, records=0))
    assert (manifest.parts, manifest.records, manifest.unchanged) == ((), 0, unchanged)
    assert (manifest.details["landed"], manifest.details["refined"]) == (0, 0)


def test_evidence_is_committed_before_the_rows(lake: Any, csv_dataset: Make) -> None:
    dataset = csv_dataset(COLUMNS, quarantine_threshold=0.5)
    order: list[str] = []
    for store in (lake.processed, lake.quarantine):
        store.order = order
    uri = lake.land(dataset, HEADER + ROW * 3 + b"x,b,\n4,c,never\n")
    manifest, _ = run(lake, dataset, uri)
    prefix = manifest.folder.prefix
    assert order == [
        f"{prefix}part-00000.parquet", f"{prefix}_manifest.json",
        f"{prefix}part-00000.parquet", f"{prefix}_manifest.json",
    ]  # fmt: skip
    assert list(lake.quarantine.objects) == list(lake.processed.objects) == order[:2]
    details = manifest.details
    assert (details["landed"], details["refined"], details["quarantined"]) == (5, 3, 2)
    assert details["reasons"] == {"bad_number": 1, "bad_timestamp": 1}
    evidence = manifests.read(lake.quarantine, details["quarantine_uri"])
    assert (evidence.stage, evidence.records, evidence.attempt_id) == ("quarantine", 2, manifest.attempt_id)
    assert evidence.details == {
        "landed": 5, "quarantined": 2, "reasons": details["reasons"], "raw_manifest": uri,
        "drift": details["drift"],
    }  # fmt: skip
    assert {path: entry["kind"] for path, entry in details["drift"].items()} == {
        "(changed type) id": "changed_type", "(changed type) updated_at": "changed_type",
    }  # fmt: skip
    found = rows_of(lake.quarantine, evidence)
    assert [(row["position"], row["line"], row["column"], row["raw"]) for row in found] == [
        (4, 5, "id", b"x,b,"), (5, 6, "updated_at", b"4,c,never"),
    ]  # fmt: skip


@pytest.mark.parametrize(("bad", "fails"), [(1, False), (2, True), (20, True)])
def test_the_threshold_is_honoured_after_the_evidence(
    lake: Any, csv_dataset: Make, bad: int, fails: bool
) -> None:
    dataset = csv_dataset(COLUMNS)
    uri = lake.land(dataset, HEADER + ROW * (20 - bad) + b"x,b,\n" * bad)
    if not fails:
        assert run(lake, dataset, uri)[0].details["quarantined"] == bad
        return
    with pytest.raises(ContractError) as caught:
        run(lake, dataset, uri)
    error = caught.value
    assert f"{bad} of 20 records ({bad / 20:.2%}) were refused" in error.message
    assert f"allows: bad_number {bad} times, first at line {22 - bad} id: 'x'" in error.message
    assert "5.00%" in error.message
    assert "raise quarantine_threshold" in str(error.remedy)
    evidence = manifests.read(lake.quarantine, str(error.place))
    assert evidence.records == bad
    assert lake.processed.objects == {}


def test_a_threshold_of_one_absorbs_everything(lake: Any, csv_dataset: Make) -> None:
    dataset = csv_dataset(COLUMNS, quarantine_threshold=1)
    manifest, _ = run(lake, dataset, lake.land(dataset, HEADER + b"x,b,\n"))
    assert (manifest.parts, manifest.records, manifest.details["quarantined"]) == ((), 0, 1)


def test_a_threshold_of_zero_absorbs_nothing(lake: Any, csv_dataset: Make) -> None:
    dataset = csv_dataset(COLUMNS, quarantine_threshold=0)
    with pytest.raises(ContractError):
        run(lake, dataset, lake.land(dataset, HEADER + ROW * 10_000 + b"x,b,\n"))
    assert run(lake, dataset, lake.land(dataset, HEADER + ROW, attempt_id="good"))[0].records == 1


def test_drift_is_in_the_manifest(lake: Any, csv_dataset: Make) -> None:
    dataset = csv_dataset(COLUMNS)
    uri = lake.land(dataset, HEADER + ROW, b"id,name,updated_at,colour\n1,a,,red\n2,b,,blue\n")
    assert run(lake, dataset, uri)[0].details["drift"] == {
        "colour": {"count": 2, "example": "red", "kind": "new_field"}
    }


def test_an_object_that_does_not_fit_commits_nothing(lake: Any, csv_dataset: Make) -> None:
    dataset = csv_dataset(COLUMNS)
    uri = lake.land(dataset, HEADER + ROW, b"name\na\n")
    before = threading.active_count()
    with pytest.raises(ContractError, match="lacks declared columns: 'id'") as caught:
        run(lake, dataset, uri)
    assert "items/1.csv" in str(caught.value)
    assert lake.processed.objects == lake.quarantine.objects == {}
    assert threading.active_count() == before


PACKED = gzip.compress(HEADER + b"".join(b"%d,n,\n" % i for i in range(20_000)))


@pytest.mark.parametrize("sixtyfourth", range(1, 64, 9))
def test_a_cut_gzip_commits_nothing(lake: Any, csv_dataset: Make, sixtyfourth: int) -> None:
    dataset = csv_dataset(COLUMNS)
    uri = lake.land(dataset, PACKED[: len(PACKED) * sixtyfourth // 64])
    with pytest.raises(ContractError, match="cut short"):
        run(lake, dataset, uri)
    assert lake.processed.objects == lake.quarantine.objects == {}


def test_damaged_raw_bytes_commit_nothing(lake: Any, csv_dataset: Make) -> None:
    dataset = csv_dataset(COLUMNS)
    uri = lake.land(dataset, HEADER + ROW)
    lake.raw.damage(manifests.read(lake.raw, uri).parts[0].uri, HEADER + ROW.replace(b"a", b"b"))
    with pytest.raises(IntegrityError, match="SHA-256"):
        run(lake, dataset, uri)
    assert lake.processed.objects == {}


@pytest.mark.parametrize("change", [{"stage": "processed"}, {"dataset": "orders"}, {"source": "bank"}])
def test_another_manifest_is_refused(lake: Any, csv_dataset: Make, change: dict[str, str]) -> None:
    dataset = csv_dataset(COLUMNS)
    uri = lake.land(dataset, **change)
    with pytest.raises(IntegrityError, match=r"expected a raw manifest of shop\.items, found one of"):
        run(lake, dataset, uri)


def test_a_missing_manifest_is_an_error(lake: Any, csv_dataset: Make) -> None:
    with pytest.raises(IntegrityError):
        run(lake, csv_dataset(COLUMNS), "s3://raw/shop/items/nothing/_manifest.json")


def test_counts_of_the_landing_are_held_against_ours(lake: Any, csv_dataset: Make) -> None:
    dataset = csv_dataset(COLUMNS)
    with pytest.raises(IntegrityError, match="landed 3, decoded 1, refined 1, quarantined 0"):
        run(lake, dataset, lake.land(dataset, HEADER + ROW, records=3))
    assert lake.processed.objects == {}


def test_rows_that_were_not_written_are_noticed(
    lake: Any, csv_dataset: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module.ProcessedWriter, "close", lambda _: ())
    dataset = csv_dataset(COLUMNS)
    with pytest.raises(IntegrityError, match="1 rows were refined, but 0 written"):
        run(lake, dataset, lake.land(dataset, HEADER + ROW))
    assert lake.processed.objects == {}


def test_every_attempt_writes_its_own_folder(lake: Any, csv_dataset: Make) -> None:
    dataset = csv_dataset(COLUMNS)
    uri = lake.land(dataset, HEADER + ROW)
    first, second = run(lake, dataset, uri), run(lake, dataset, uri)
    assert first[1] != second[1]
    assert rows_of(lake.processed, first[0]) == rows_of(lake.processed, second[0])


def test_a_retry_after_a_failed_store_starts_clean(
    lake: Any, csv_dataset: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    dataset = csv_dataset(COLUMNS)
    uri = lake.land(dataset, HEADER + ROW)
    before = threading.active_count()

    def refuse(*_: Any, **__: Any) -> None:
        raise StoreUnavailableError("gone")

    with monkeypatch.context() as patched, pytest.raises(StoreUnavailableError):  # noqa: PT012 - patched meanwhile
        patched.setattr(lake.processed, "put_file", refuse)
        run(lake, dataset, uri)
    assert threading.active_count() == before
    assert not [key for key in lake.processed.objects if key.endswith("_manifest.json")]
    assert run(lake, dataset, uri)[0].records == 1


def test_the_clock_is_read_where_none_is_given(lake: Any, csv_dataset: Make) -> None:
    dataset = csv_dataset(COLUMNS)
    before = datetime.now(UTC)
    manifest, _ = run(lake, dataset, lake.land(dataset, HEADER + ROW), now=module.utc_now)
    assert f"{before:%Y%m%dT%H%M%S%f}" <= manifest.attempt_id <= f"{datetime.now(UTC):%Y%m%dT%H%M%S%f}Z~"


def test_pandas_is_not_imported() -> None:
    """It takes a second and 50 MB, and pyarrow imports it for `pa.array`, scalars and `to_numpy`."""
    code = """
import io, sys
from tideline.catalog.model import Column, CsvDataset
from tideline.lake.manifest import Part
from tideline.refine import csv, parquet, processed, quarantine, refine, tally
kinds = {"id": "int64", "s": "string", "f": "float64", "d": "numeric(12,2)", "b": "bool", "day": "date",
         "at": "timestamp", "j": "json", "y": "bytes", "g": "bignumeric"}
dataset = CsvDataset(name="items", source="shop", bucket="drops", prefix="items/", key=("id",),
                     change_column="at", partition={"column": "day"},
                     columns=tuple(Column(name=n, type=k) for n, k in kinds.items()))
good = b"1,a,0.5,1.50,true,2026-01-31,2026-01-31T14:05:06Z,{},YQ==,1.5,more\\n"
odd = b"+1,b,nan,,,,,,,,\\n" + b"+2,b,,,,,,,,,\\n" + b"3,\\xff\\n"
body = (",".join(kinds) + ",extra\\n").encode() + good * 3 + odd + good
from datetime import datetime, UTC
found = tally.Tally(dataset, datetime(2026, 1, 1, tzinfo=UTC))
for decoded in csv.decode_csv(dataset, Part("s3://raw/p", 0, ""), io.BytesIO(body)):
    found.add(decoded)
    parts = parquet.PartWriter(None, None, footer={})
    rows = processed.ProcessedWriter(dataset, parts)
    rows.add(decoded.batch, "s3://raw/p", datetime(2026, 1, 1, tzinfo=UTC))
    parquet.encoded_bytes(rows._table())
    window = type("W", (), {"window_id": "w"})
    folder = type("F", (), {"source": "s", "dataset": "d", "window": window})
    quarantine._table(folder, [("u", reject) for reject in decoded.rejects])
assert found.refined == 5 and found.quarantined == 2, found.details()
print(sorted({"pandas", "polars", "airflow", "google.cloud.bigquery"} & set(sys.modules)))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.stdout.strip(), done.returncode) == ("[]", 0), done.stderr
