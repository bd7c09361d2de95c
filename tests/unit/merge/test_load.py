"""Parts into the load table: what is there already is found, what does not fit is loaded anew."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tideline.errors import IntegrityError
from tideline.lake import manifest as manifests
from tideline.merge import load
from tideline.merge.load import fill
from tideline.warehouse.bigquery import Warehouse
from tideline.warehouse.names import load_table
from tideline.warehouse.schema import load_fields

LOAD_ID = "test.things:w:attempt"


@pytest.fixture
def jobs(monkeypatch):
    """The load jobs that are asked for: `(verb, truncate or number of URIs)`."""
    asked = []
    load_file, load_uris = Warehouse.load_file, Warehouse.load_uris

    def file(self, *arguments, **options):
        asked.append(("file", options["truncate"]))
        return load_file(self, *arguments, **options)

    def uris(self, table, given, *arguments, **options):
        asked.append(("uris", len(given)))
        return load_uris(self, table, given, *arguments, **options)

    monkeypatch.setattr(Warehouse, "load_file", file)
    monkeypatch.setattr(Warehouse, "load_uris", uris)
    return asked


class Bench:
    """Three parts of three, two and four rows, and the table that they go into."""

    def __init__(self, kit, lake, warehouse, *sizes):
        self.dataset, self.lake, self.warehouse = kit.mongo(), lake, warehouse
        parts = [[{"id": 10 * part + n} for n in range(size)] for part, size in enumerate(sizes)]
        refined = lake.refined(self.dataset, *parts)
        self.manifest = manifests.read(lake.processed, refined["processed_manifest_uri"])
        self.table = load_table(self.dataset, LOAD_ID, warehouse.settings)

    def fill(self):
        return fill(
            self.dataset, self.manifest, LOAD_ID, processed=self.lake.processed, warehouse=self.warehouse
        )

    def ids(self):
        rows = self.warehouse.rows(f"SELECT id FROM {self.table.sql} ORDER BY id", kind="test")
        return [row["id"] for row in rows]

    def part(self, number):
        with self.lake.processed.open(self.lake.processed.key_of(self.manifest.parts[number].uri)) as body:
            fields = load_fields(self.dataset)
            self.warehouse.load_file(self.table, body, fields, key=f"by hand {number}", truncate=False)


@pytest.fixture
def bench(kit, lake, warehouse):
    return lambda *sizes: Bench(kit, lake, warehouse, *(sizes or (3, 2, 4)))


WHOLE = [0, 1, 2, 10, 11, 20, 21, 22, 23]


def test_parts_are_uploaded_one_after_the_other(bench, jobs):
    parts = bench()
    assert parts.fill() == parts.table
    assert parts.ids() == WHOLE
    assert jobs == [("file", True), ("file", False), ("file", False)]


def test_load_that_is_whole_is_not_loaded_again(bench, jobs):
    parts = bench()
    parts.fill()
    parts.fill()
    assert len(jobs) == 3
    assert parts.ids() == WHOLE


def test_interrupted_load_goes_on_after_the_last_whole_part(bench, jobs, monkeypatch):
    parts = bench()
    parts.warehouse.tables.create(parts.table, layout_of(parts))
    parts.part(0)
    parts.part(1)
    jobs.clear()
    parts.fill()
    assert jobs == [("file", False)]
    assert parts.ids() == WHOLE


@pytest.mark.parametrize("already", [[1], [0, 0], [0, 1, 2, 2]], ids=["gap", "twice", "too-many"])
def test_table_that_holds_no_whole_parts_is_loaded_anew(already, bench, jobs):
    parts = bench()
    parts.warehouse.tables.create(parts.table, layout_of(parts))
    for number in already:
        parts.part(number)
    jobs.clear()
    parts.fill()
    assert jobs[0] == ("file", True)
    assert parts.ids() == WHOLE


def test_parts_without_rows_are_passed_over(bench, jobs):
    parts = bench(0, 2, 0, 1, 0)
    parts.fill()
    assert parts.ids() == [10, 11, 30]
    assert len(jobs) == 2


@pytest.fixture
def on_gcs(bench, lake, gcs_root):
    """The three parts as objects of Cloud Storage."""
    bucket = f"processed-{id(lake)}"
    lake.processed.root = f"gs://{bucket}"
    parts = bench()
    for key, body in lake.processed.objects.items():
        path = gcs_root / bucket / key
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(body)
    return parts


def test_objects_of_cloud_storage_are_loaded_in_one_job(on_gcs, jobs):
    on_gcs.fill()
    on_gcs.fill()
    assert jobs == [("uris", 3)]
    assert on_gcs.ids() == WHOLE


def test_more_objects_than_a_job_takes_are_loaded_by_several(on_gcs, jobs, monkeypatch):
    monkeypatch.setattr(load, "MOST_URIS", 2)
    on_gcs.fill()
    on_gcs.fill()
    assert jobs == [("uris", 2), ("uris", 1)]
    assert on_gcs.ids() == WHOLE


def test_damaged_part_is_found_before_any_of_it_is_sent(bench, jobs, lake):
    parts = bench()
    key = lake.processed.key_of(parts.manifest.parts[1].uri)
    body = lake.processed.objects[key]
    lake.processed.objects[key] = body[:100] + bytes([body[100] ^ 1]) + body[101:]
    with pytest.raises(IntegrityError, match="SHA-256") as caught:
        parts.fill()
    assert caught.value.place == parts.manifest.parts[1].uri
    assert parts.ids() == [0, 1, 2]


def test_manifest_that_promises_other_rows_is_given_up(bench, jobs):
    parts = bench(2)
    (part,) = parts.manifest.parts
    parts.manifest = replace(parts.manifest, parts=(replace(part, records=3),))
    with pytest.raises(IntegrityError, match="holds 2 rows, the manifest has 3"):
        parts.fill()
    assert len(jobs) == 4


def layout_of(parts):
    from tideline.warehouse.schema import Layout

    return Layout(load_fields(parts.dataset))
