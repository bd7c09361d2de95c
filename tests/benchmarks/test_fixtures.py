from __future__ import annotations

import csv
import gzip
import io
from typing import TYPE_CHECKING

import bson
import pytest

from benchmarks import fixtures
from benchmarks.fixtures import COLUMNS, Fixture

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(fixtures, "FIXTURES", tmp_path)


@pytest.fixture
def _small_chunks(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(fixtures, "CSV_CHUNK_ROWS", 100)


def test_documents_hold_what_their_truth_says():
    fixture = Fixture("d.bson", 300)
    fixtures.make(fixture)
    documents = bson.decode_all(fixture.path.read_bytes())
    assert len(documents) == fixture.truth.rows == 300
    assert sum(document["order_id"] for document in documents) == fixture.truth.order_id_sum
    assert sum(len(document["email"]) for document in documents) == fixture.truth.email_bytes
    assert {len(document) for document in documents} == {16}


@pytest.mark.usefixtures("_small_chunks")
def test_csv_holds_what_its_truth_says():
    fixture = Fixture("c.csv.gz", 250)
    fixtures.make(fixture)
    rows = list(csv.DictReader(io.StringIO(gzip.decompress(fixture.path.read_bytes()).decode())))
    assert tuple(rows[0]) == COLUMNS
    assert len(rows) == fixture.truth.rows == 250
    assert sum(int(row["order_id"]) for row in rows) == fixture.truth.order_id_sum
    assert sum(len(row["email"]) for row in rows) == fixture.truth.email_bytes
    assert {"", "n/a"} < {row["note"] for row in rows}
    assert any("," in row["note"] for row in rows)


@pytest.mark.parametrize("name", ["d.bson", "c.csv.gz"])
def test_a_fixture_is_the_same_each_time_and_made_once(name: str):
    fixture = Fixture(name, 50)
    fixtures.make(fixture)
    first = fixture.path.read_bytes()
    fixture.path.write_bytes(b"kept")
    fixtures.make(fixture)
    assert fixture.path.read_bytes() == b"kept"
    fixture.truth_path.unlink()
    fixtures.make(fixture)
    assert fixture.path.read_bytes() == first
